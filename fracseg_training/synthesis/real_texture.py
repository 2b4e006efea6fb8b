"""The look of real bone, taken from bones of known shape and painted onto others.

A real pelvis among painted vertebrae teaches a network to tell real from painted, not pelvis from
spine. Here the painted bones get the real ones' mean HU by depth and their grain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects

if TYPE_CHECKING:
    from fracseg_training.synthesis.fields import Float32Array
    from FractureSegmentationLib.types import HuArray, LabelArray, MaskArray, Spacing

_DEPTH_STEP_MM = 0.75
_DEEPEST_MM = 12.0
_LEAST_VOXELS = 50
_MOST_DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneTexture:
    """How the bones of one patient look.

    Attributes:
        mean_hu: mean by depth below the surface, in steps of 0.75 mm; the last holds deeper ones.
        spread_hu: standard deviation by depth.
        grain: (K, J, I) deviation from the mean in standard deviations, continued outside bone.
    """

    mean_hu: npt.NDArray[np.float32]
    spread_hu: npt.NDArray[np.float32]
    grain: Float32Array


def bone_texture(hu: HuArray, bones: LabelArray, spacing_mm: Spacing) -> BoneTexture:
    """The look of real bones.

    Args:
        hu: (K, J, I) Hounsfield units, not read outside the bones.
        bones: (K, J, I) which voxel is which bone, 0 elsewhere.
        spacing_mm: voxel size along (k, j, i), in mm.

    Raises:
        ValueError: there is no bone.
    """
    boxes = find_objects((bones > 0).astype(np.uint8))
    if not boxes:
        raise ValueError("there is no bone to take a look from")
    bones = bones[boxes[0]]
    inside = bones > 0
    steps = np.zeros(bones.shape, np.intp)
    for value in np.unique(bones[inside]):
        of_bone = bones == value
        steps[of_bone] = _depth_steps(of_bone, spacing_mm)[of_bone]
    at, values = steps[inside], np.asarray(hu[boxes[0]], np.float32)[inside]
    count = np.bincount(at, minlength=_steps())
    mean = np.bincount(at, values, _steps()) / np.maximum(count, 1)
    spread = np.sqrt(np.bincount(at, (values - mean[at]) ** 2, _steps()) / np.maximum(count, 1))
    known = np.flatnonzero(count >= min(_LEAST_VOXELS, int(count.max())))
    # Depths that hardly occur look like the nearest that do.
    nearest = known[np.abs(known[None] - np.arange(_steps())[:, None]).argmin(axis=1)]
    mean, spread = mean[nearest], np.maximum(spread[nearest], 1.0)
    grain = np.zeros(bones.shape, np.float32)
    grain[inside] = np.clip((values - mean[at]) / spread[at], -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    source = distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return BoneTexture(
        mean_hu=mean.astype(np.float32),
        spread_hu=spread.astype(np.float32),
        grain=grain[tuple(source)],
    )


def paint_texture(
    hu: Float32Array,
    bones: LabelArray,
    spacing_mm: Spacing,
    texture: BoneTexture,
    rng: np.random.Generator,
) -> None:
    """Give bones the look of real ones, in place.

    Args:
        hu: (K, J, I) the CT in the making.
        bones: (K, J, I) which voxel is which bone, 0 elsewhere; each has a shell of its own.
        spacing_mm: voxel size along (k, j, i), in mm.
        texture: the look.
        rng: where in the grain each bone lies.
    """
    for value, box in enumerate(find_objects(bones), start=1):
        if box is None:
            continue
        inside = bones[box] == value
        steps = _depth_steps(inside, spacing_mm)[inside]
        grain = _reflected(texture.grain, inside.shape, rng)[inside]
        hu[box][inside] = texture.mean_hu[steps] + texture.spread_hu[steps] * grain


def _steps() -> int:
    return round(_DEEPEST_MM / _DEPTH_STEP_MM) + 1


def _depth_steps(inside: MaskArray, spacing_mm: Spacing) -> npt.NDArray[np.intp]:
    """Depth of every voxel centre below the surface, in steps."""
    depth_mm = distance_transform_edt(np.pad(inside, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    depth_mm = np.maximum(depth_mm - 0.5 * min(spacing_mm), 0.0)
    return np.asarray(np.minimum(depth_mm / _DEPTH_STEP_MM, _steps() - 1), np.intp)


def _reflected(
    grain: Float32Array, shape: tuple[int, ...], rng: np.random.Generator
) -> Float32Array:
    """A piece of the grain from a random place, continued by reflection at its borders."""
    places = []
    for axis, (have, want) in enumerate(zip(grain.shape, shape, strict=True)):
        period = max(1, 2 * have - 2)
        along = (np.arange(want) + rng.integers(period)) % period
        along = np.where(along < have, along, period - along)
        places.append(along.reshape([-1 if n == axis else 1 for n in range(3)]))
    return np.asarray(grain[tuple(places)], np.float32)
