"""Real bones without their body, put into a synthetic one that was fitted around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, distance_transform_edt, find_objects, gaussian_filter
from scipy.spatial import cKDTree

from fracseg_training.synthesis.bone import bone_labels
from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.ct import SyntheticCt, image_body
from fracseg_training.synthesis.deform import warp_labels
from fracseg_training.synthesis.label_map import LabelMap
from fracseg_training.synthesis.real_texture import bone_texture, paint_texture
from FractureSegmentationLib.voxels.boxes import grown_box

if TYPE_CHECKING:
    from fracseg_training.synthesis.fields import Float32Array
    from FractureSegmentationLib.types import Box, FloatArray, HuArray, LabelArray, Spacing

_POINTS_PER_BONE = 600
_FIT_ROUNDS = 25
_FIT_BONES = (1, 2, 3)
_FEMORA = (4, 5)
_BOX_MARGIN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """How much body is put around the bones, in mm.

    Attributes:
        below_mm: below the lowest bone voxel.
        above_mm: above the highest.
        beside_mm: in front, behind and at the sides.
    """

    below_mm: float = 60.0
    above_mm: float = 120.0
    beside_mm: float = 90.0

    def voxels(self, spacing_mm: Spacing) -> tuple[tuple[int, int], ...]:
        """Voxels before and after the bones along (k, j, i), as `numpy.pad` takes them."""
        k, j, i = spacing_mm
        beside_j, beside_i = round(self.beside_mm / j), round(self.beside_mm / i)
        return (
            (round(self.below_mm / k), round(self.above_mm / k)),
            (beside_j, beside_j),
            (beside_i, beside_i),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BareBones:
    """A CT of bones alone, axes k to Superior, j to Posterior, i to Left.

    Attributes:
        hu: (K, J, I) Hounsfield units, meaningless outside the bones.
        bones: (K, J, I) uint8 mask values; at least the sacrum and both hip bones.
        spacing_mm: voxel size along (k, j, i), in mm.
    """

    hu: HuArray
    bones: LabelArray
    spacing_mm: Spacing


def embed_real_bones(
    bare: BareBones,
    host: LabelMap,
    rng: np.random.Generator,
    config: SynthesisConfig | None = None,
    surroundings: Surroundings | None = None,
) -> SyntheticCt:
    """Fit the body of a label map around real bones, and scan both together.

    The host's own sacrum and hip bones vanish; its femora, spine and organs stay, where the real
    bones leave room. Its bones take the look of the real ones.

    Args:
        bare: the real bones.
        host: a whole-body label map.
        rng: source of every draw.
        config: how much the synthetic part varies.
        surroundings: how much body there is to be.

    Returns:
        The CT with the bones of both, on the grid of `bare`, widened.
    """
    wide = _widened(bare, surroundings or Surroundings())
    matrix, offset = fit_body(wide, host)
    k, j, i = wide.bones.shape
    labels = warp_labels(host, (k, j, i), wide.spacing_mm, matrix, offset)
    body = LabelMap(labels=labels, names=host.names, spacing_mm=wide.spacing_mm)
    body, truth = _cleared(body, wide)
    (inner,) = find_objects((wide.bones > 0).view(np.uint8))
    box = grown_box(inner, _BOX_MARGIN, wide.bones.shape)
    weight, real = _soft_bones(wide, box)

    def place(hu: Float32Array) -> None:
        texture = bone_texture(bare.hu, bare.bones, bare.spacing_mm)
        paint_texture(hu, bone_labels(body), body.spacing_mm, texture, rng)
        hu[box] += weight * (real - hu[box])

    quiet = replace(config or SynthesisConfig(), psf_mm=(0.2, 0.6))
    return image_body(body, truth, rng, quiet, place)


def fit_body(bare: BareBones, host: LabelMap) -> tuple[FloatArray, FloatArray]:
    """The affine map from the grid of real bones to a label map that lays bone on bone.

    Iterated closest points, each bone against its namesake.

    Returns:
        (3, 3) and (3,): a point p, mm along (k, j, i) from voxel 0 of `bare`, lies at
        matrix @ p + offset in the host.
    """
    targets = _surface_points(host.bones(), host.spacing_mm)
    points = _surface_points(bare.bones, bare.spacing_mm)
    shared = [value for value in _FIT_BONES if value in points and value in targets]
    if not shared:
        raise ValueError("the real bones and the label map have no pelvic bone in common")
    trees = {value: cKDTree(targets[value]) for value in shared}
    source = np.concatenate([points[value] for value in shared])
    goal = np.concatenate([targets[value] for value in shared])
    scale = goal.std(axis=0) / source.std(axis=0)
    matrix, offset = np.diag(scale), goal.mean(axis=0) - scale * source.mean(axis=0)
    for _ in range(_FIT_ROUNDS):
        nearest = np.concatenate(
            [
                targets[value][trees[value].query(points[value] @ matrix.T + offset)[1]]
                for value in shared
            ]
        )
        extended = np.column_stack([source, np.ones(len(source))])
        solution = np.linalg.lstsq(extended, nearest, rcond=None)[0]
        matrix, offset = solution[:3].T, solution[3]
    return matrix, offset


def _surface_points(bones: LabelArray, spacing_mm: Spacing) -> dict[int, FloatArray]:
    """Evenly chosen surface points of every bone, in mm along (k, j, i)."""
    found = {}
    for value in _FIT_BONES:
        inside = bones == value
        surface = np.argwhere(inside & ~binary_erosion(inside))
        if len(surface):
            step = max(1, len(surface) // _POINTS_PER_BONE)
            found[value] = surface[::step] * np.asarray(spacing_mm)
    return found


def _widened(bare: BareBones, around: Surroundings) -> BareBones:
    pads = around.voxels(bare.spacing_mm)
    return replace(bare, hu=np.pad(bare.hu, pads), bones=np.pad(bare.bones, pads))


def _cleared(body: LabelMap, bare: BareBones) -> tuple[LabelMap, npt.NDArray[np.uint8]]:
    """The host without its pelvis and without what the real bones displace; and the truth."""
    labels = np.array(body.labels)
    own = body.bones()
    labels[np.isin(own, _FIT_BONES) | (bare.bones > 0)] = 0
    cleared = replace(body, labels=labels)
    truth = np.where(np.isin(own, _FEMORA) & (labels > 0), own, 0).astype(np.uint8)
    truth[bare.bones > 0] = bare.bones[bare.bones > 0]
    return cleared, truth


def _soft_bones(bare: BareBones, box: Box) -> tuple[Float32Array, Float32Array]:
    """How much real bone a voxel of the box holds, soft over a voxel; and the real HU, continued.

    Outside the bones the HU of the nearest bone voxel stands.
    """
    inside = bare.bones[box] > 0
    nearest = distance_transform_edt(
        ~inside, sampling=bare.spacing_mm, return_distances=False, return_indices=True
    )
    real: Float32Array = np.asarray(bare.hu[box], np.float32)[tuple(nearest)]
    return gaussian_filter(inside.astype(np.float32), 0.5, truncate=3.0), real
