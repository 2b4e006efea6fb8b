"""Simulate a fracture in a crop of the CT of an intact bone, with exact fragment labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fracseg_training.simulate.appearance import Filling, darken_cracks, draw_filling, scan
from fracseg_training.simulate.bone_points import bone_points
from fracseg_training.simulate.compose import (
    Scene,
    Source,
    assemble,
    close_narrow_gaps,
    make_source,
)
from fracseg_training.simulate.config import Mode, SimulationConfig
from fracseg_training.simulate.movement import Movement, draw_movements
from fracseg_training.simulate.pattern import break_bone, by_volume, join_small_pieces
from FractureSegmentationLib.types import HuArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box

Float32Array = npt.NDArray[np.float32]
_MARGIN = 6
Corner = npt.NDArray[np.int64]
Kind = TypeVar("Kind", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedBone:
    """The CT of a bone that the simulator broke, or left whole.

    Attributes:
        hu: (K, J, I) int16 Hounsfield units.
        fragments: (K, J, I) uint8, 1..n from the largest to the smallest, 0 elsewhere.
        offset_kji: index of the input's voxel (0, 0, 0) in this grid, which grows where a fragment
            moved past the input's border.
        modes: the mode of each fracture between two fragments; empty for a whole bone.
        movements: what each fragment but the main one did, in the order they were placed.
        pattern: name of the pattern at a landmark of the bone, "" where there was none.
    """

    hu: npt.NDArray[np.int16]
    fragments: npt.NDArray[np.uint8]
    offset_kji: tuple[int, int, int]
    modes: tuple[Mode, ...]
    movements: tuple[Movement, ...]
    pattern: str = ""

    @property
    def fragment_count(self) -> int:
        """How many fragments there are."""
        return int(self.fragments.max())

    def on_input_grid(
        self, shape: tuple[int, ...]
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
        """HU and fragments on the grid of the input, which has this shape."""
        k, j, i = (slice(o, o + n) for o, n in zip(self.offset_kji, shape, strict=True))
        return self.hu[k, j, i], self.fragments[k, j, i]


def simulate_fracture(  # noqa: PLR0913  what is broken, where, and how
    hu: HuArray,
    bone_mask: MaskArray,
    spacing_mm: Spacing,
    rng: np.random.Generator,
    config: SimulationConfig | None = None,
    blocked: MaskArray | None = None,
    *,
    slug: str = "",
) -> SimulatedBone:
    """Break one bone and image it.

    Args:
        hu: (K, J, I) CT of the intact bone.
        bone_mask: (K, J, I) True in the bone.
        spacing_mm: voxel size along (k, j, i), in mm.
        rng: source of all randomness; the same state gives the same fracture.
        config: settings; the defaults resemble real pelvic fractures.
        blocked: (K, J, I) where no fragment should go, e.g. the other bones. Fragments are pushed
            out of it as far as their fracture allows, which is not always all the way.
        slug: of the bone, e.g. "left_hip", which then breaks mostly at its landmarks; the axes are
            k to Superior, j to Posterior, i to Left. "" for any other bone.

    Returns:
        The broken bone. A bone too small to break comes back whole, as one fragment.

    Raises:
        ValueError: the grids differ, or the mask is empty.
    """
    config = config or SimulationConfig()
    low, high = mask_box(hu, bone_mask, _MARGIN)
    ct = crop_padded(hu, low, high).astype(np.float32)
    bone = bone_points(crop_padded(bone_mask, low, high, fill=False), spacing_mm)
    pattern = break_bone(bone, config.pattern, rng, slug)
    labels = np.zeros(ct.shape, np.int32)
    labels[tuple(bone.index.T)] = pattern.labels
    filling = draw_filling(config.appearance, rng)
    others = None if blocked is None else crop_padded(blocked, low, high, fill=False)
    movements = draw_movements(labels, pattern.contacts, spacing_mm, config.pose, rng, others)
    ct = darken_cracks(ct, bone, pattern, filling, config.appearance, rng)
    source = make_source(ct, labels, spacing_mm)
    moved = {m.label: m.pose for m in movements if not m.pose.is_identity}
    scene = assemble(source, moved, float(rng.uniform(*config.appearance.densify)))
    low = low - scene.origin
    background = crop_padded(hu, low, low + scene.labels.shape).astype(np.float32)
    _fill_vacated(background, source, scene, set(moved), filling)
    image = scene.finished_hu(background, config.appearance.densify_max_hu)
    closes_gaps = rng.random() < config.appearance.close_gaps_probability
    fragments = close_narrow_gaps(scene) if closes_gaps else scene.labels
    smallest = max(1, round(config.pattern.min_fragment_mm3 / bone.voxel_mm3))
    crop = _Crop(
        image=image,
        fragments=join_small_pieces(fragments, smallest, drops_lone=True),
        low=low,
        movements=tuple(movements),
    )
    return replace(_imaged(hu, crop, spacing_mm, config, rng), pattern=pattern.name)


def simulate_intact(
    hu: HuArray,
    bone_mask: MaskArray,
    spacing_mm: Spacing,
    rng: np.random.Generator,
    config: SimulationConfig | None = None,
) -> SimulatedBone:
    """Image a bone in one piece just as `simulate_fracture` images a broken one.

    Args:
        hu: (K, J, I) CT of the intact bone.
        bone_mask: (K, J, I) True in the bone.
        spacing_mm: voxel size along (k, j, i), in mm.
        rng: source of all randomness.
        config: settings; only the scanner's part is used.

    Returns:
        The bone as one fragment, on the input's grid.

    Raises:
        ValueError: the grids differ, or the mask is empty.
    """
    config = config or SimulationConfig()
    low, high = mask_box(hu, bone_mask, _MARGIN)
    image = crop_padded(hu, low, high).astype(np.float32)
    fragments = crop_padded(bone_mask, low, high, fill=False).astype(np.int32)
    first, last = np.clip(low, 0, None) - low, np.minimum(high, hu.shape) - low
    cut = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    crop = _Crop(image=image[cut], fragments=fragments[cut], low=low + first, movements=())
    return _imaged(hu, crop, spacing_mm, config, rng)


def mask_box(hu: HuArray, mask: MaskArray, margin: int) -> tuple[Corner, Corner]:
    """Corners of the mask's bounding box, grown by `margin` voxels, past the grid if need be.

    Args:
        hu: (K, J, I) the CT, to check the grid against.
        mask: (K, J, I) the bone.
        margin: voxels added on each side.

    Returns:
        First corner and the corner one past the last.

    Raises:
        ValueError: the grids differ, or the mask is empty.
    """
    if hu.shape != mask.shape or hu.ndim != 3:
        raise ValueError(f"hu {hu.shape} and bone mask {mask.shape} must share one 3D grid")
    box = bounding_box(mask)
    if box is None:
        raise ValueError("the bone mask is empty")
    low = np.array([side.start for side in box], np.int64)
    high = np.array([side.stop for side in box], np.int64)
    return low - margin, high + margin


def crop_padded(
    array: npt.NDArray[Kind], low: Corner, high: Corner, fill: float | None = None
) -> npt.NDArray[Kind]:
    """A copy of `array` between two corners; outside the grid `fill`, or the border's values.

    Args:
        array: (K, J, I) any array.
        low: first corner, may be negative.
        high: one past the last corner, may exceed the shape.
        fill: value outside the grid; None repeats the border.

    Returns:
        The crop.
    """
    size = np.asarray(array.shape)
    first, last = np.clip(low, 0, size - 1), np.clip(high, 1, size)
    inner = array[tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))]
    width = [(int(f - a), int(b - e)) for f, a, b, e in zip(first, low, high, last, strict=True)]
    if fill is None:
        return np.pad(inner, width, mode="edge")
    return np.pad(inner, width, mode="constant", constant_values=fill)


def grown_to_hold(
    hu: HuArray, low: Corner, fragments: npt.NDArray[np.integer], fill: float | None
) -> tuple[npt.NDArray[np.int16], Corner]:
    """The CT, padded just enough that every labelled voxel of a crop lies in it.

    Args:
        hu: (K, J, I) the input CT.
        low: where the crop's first voxel lies in it.
        fragments: the crop's labels.
        fill: HU of the padding; None repeats the border.

    Returns:
        The int16 CT and the index of the input's voxel (0, 0, 0) in it.
    """
    hit = np.argwhere(fragments > 0)
    first = np.minimum(hit.min(axis=0) + low - 1, 0) if len(hit) else np.zeros(3, np.int64)
    last = hit.max(axis=0) + low + 2 if len(hit) else np.zeros(3, np.int64)
    last = np.maximum(last, hu.shape)
    return as_int16(crop_padded(hu, first, last, fill)), -first


def as_int16(hu: HuArray) -> npt.NDArray[np.int16]:
    """HU rounded to int16 within the 12 bits scanners store; int16 input stays as it is."""
    if hu.dtype == np.int16:
        return hu.astype(np.int16)
    return np.clip(np.round(hu.astype(np.float32)), -1024, 3071).astype(np.int16)


def paste(canvas: npt.NDArray[Kind], crop: npt.NDArray[Kind], at: Corner) -> None:
    """Write the part of `crop` that lies on `canvas` at corner `at`; changes `canvas`."""
    first = np.maximum(at, 0)
    last = np.minimum(at + crop.shape, canvas.shape)
    there = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    here = tuple(slice(int(a), int(b)) for a, b in zip(first - at, last - at, strict=True))
    canvas[there] = crop[here]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Crop:
    """The simulated part of a CT; `low` is where its first voxel lies in the input."""

    image: Float32Array
    fragments: npt.NDArray[np.int32]
    low: npt.NDArray[np.int64]
    movements: tuple[Movement, ...]


def _fill_vacated(
    background: Float32Array, source: Source, scene: Scene, moved: set[int], filling: Filling
) -> None:
    """Put blood or fat where bone that moved away used to be; changes `background`."""
    if not moved:
        return
    voxels = np.concatenate([source.shell_voxels[label] for label in moved])
    values = filling.at(voxels * np.asarray(source.spacing_mm))
    background[tuple((voxels + scene.origin).T)] = values


def _imaged(
    hu: HuArray,
    crop: _Crop,
    spacing_mm: Spacing,
    config: SimulationConfig,
    rng: np.random.Generator,
) -> SimulatedBone:
    """Scan the crop and put it back into the input's grid, grown as far as needed."""
    image = scan(crop.image, spacing_mm, config.appearance, rng)
    if config.outside_hu is not None:
        image = np.where(crop.fragments > 0, image, config.outside_hu).astype(np.float32)
    fragments = by_volume(crop.fragments).astype(np.uint8)
    canvas, offset = grown_to_hold(hu, crop.low, fragments, fill=config.outside_hu)
    whole = np.zeros(canvas.shape, np.uint8)
    paste(canvas, as_int16(image), crop.low + offset)
    paste(whole, fragments, crop.low + offset)
    return SimulatedBone(
        hu=canvas,
        fragments=whole,
        offset_kji=(int(offset[0]), int(offset[1]), int(offset[2])),
        modes=tuple(m.mode for m in crop.movements),
        movements=crop.movements,
    )
