"""Makes a raw bone labelling plausible: right sides and positions, no small or far-off parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, find_objects
from scipy.spatial import cKDTree

from FractureSegmentationLib.anatomy.catalogue import BONES
from FractureSegmentationLib.types import Box, FloatArray, LabelArray, Spacing
from FractureSegmentationLib.voxels.components import connected_components, label_components

LEAST_BONE_MM3 = 4000.0
"""A bone smaller than this is no bone."""
_LEAST_PART_MM3 = 500.0

_FAR_MM = 15.0
_MOST_POINTS = 20_000
_SACRUM = next(bone.mask_value for bone in BONES if bone.slug == "sacrum")
_PARTNER = {
    bone.mask_value: partner.mask_value
    for bone in BONES
    for partner in BONES
    if bone.side and partner.side != bone.side and partner.region == bone.region
}
_SIDE = {bone.mask_value: bone.side for bone in BONES}
_LEAST_HEIGHT_MM = 100.0
_SLACK_MM = 5.0
_HIPS = tuple(bone.mask_value for bone in BONES if bone.slug.endswith("_hip"))
_FEMORA = tuple(bone.mask_value for bone in BONES if bone.slug.endswith("_femur"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A connected piece of one bone."""

    number: int
    value: int
    volume_mm3: float
    left_mm: float
    box: Box


def clean_bones(labels: LabelArray, spacing_mm: Spacing) -> npt.NDArray[np.uint8]:
    """Correct sides and remove what cannot belong to a bone.

    What lies where its bone cannot goes first. A piece on the wrong side of the midline takes the
    other side's name. A piece that is too small or too far from the main piece of its bone goes to
    the bone it touches, or away. What is left of a bone must have the size of one.

    Args:
        labels: (K, J, I) mask values, axes k to Superior, j to Posterior, i to Left.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) uint8 mask values.
    """
    labels = without_misplaced(labels, spacing_mm)
    pieces = label_components(labels, 26)
    parts = _with_sides(_parts(labels, pieces, spacing_mm))
    lookup = np.zeros(int(pieces.max()) + 1, np.uint8)
    for part in _kept(parts, pieces, spacing_mm):
        lookup[part.number] = part.value
    cleaned = lookup[pieces]
    _hand_over(cleaned, pieces, [part for part in parts if not lookup[part.number]])
    return cleaned


def without_misplaced(labels: LabelArray, spacing_mm: Spacing) -> npt.NDArray[np.uint8]:
    """Remove what lies where its bone cannot: spine taken for sacrum or femur.

    The sacrum ends below the iliac crests (at 0.85 to 0.91 of the hip bones' height in six bodies),
    and the middle of a femur lies below the middle of the hip bones. Without a hip bone of at least
    100 mm in height nothing is known and nothing is removed.

    Args:
        labels: (K, J, I) mask values, k to Superior.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) uint8 mask values.
    """
    kept = np.array(labels, np.uint8)
    heights = _hip_heights(kept)
    if heights is None or (heights[1] - heights[0]) * spacing_mm[0] < _LEAST_HEIGHT_MM:
        return kept
    lowest, highest = heights
    above = kept[highest + 1 + round(_SLACK_MM / spacing_mm[0]) :]
    above[above == _SACRUM] = 0
    for value in _FEMORA:
        pieces = connected_components(kept == value, 26)
        is_high = pieces.centroids()[:, 0] > (lowest + highest) / 2.0
        is_high[0] = False
        kept[is_high[pieces.labels]] = 0
    return kept


def _parts(labels: LabelArray, pieces: LabelArray, spacing_mm: Spacing) -> list[_Part]:
    parts = []
    for number, box in enumerate(find_objects(pieces), start=1):
        if box is None:
            continue
        where = np.nonzero(pieces[box] == number)
        parts.append(
            _Part(
                number=number,
                value=int(labels[box][tuple(axis[0] for axis in where)]),
                volume_mm3=len(where[0]) * float(np.prod(spacing_mm)),
                left_mm=(float(where[2].mean()) + box[2].start) * spacing_mm[2],
                box=box,
            )
        )
    return parts


def _with_sides(parts: Sequence[_Part]) -> list[_Part]:
    """The parts with left and right as they lie; unchanged where no midline is known."""
    midline_mm = _midline_mm(parts)
    if midline_mm is None:
        return list(parts)
    return [
        replace(part, value=_PARTNER[part.value])
        if part.value in _PARTNER and (part.left_mm > midline_mm) != (_SIDE[part.value] == "left")
        else part
        for part in parts
    ]


def _midline_mm(parts: Sequence[_Part]) -> float | None:
    """Where the middle of the body is: at the sacrum, else between two paired bones."""
    largest: dict[int, _Part] = {}
    for part in parts:
        if part.value not in largest or part.volume_mm3 > largest[part.value].volume_mm3:
            largest[part.value] = part
    if _SACRUM in largest and largest[_SACRUM].volume_mm3 >= LEAST_BONE_MM3:
        return largest[_SACRUM].left_mm
    for value, part in largest.items():
        partner = largest.get(_PARTNER.get(value, -1))
        if partner and min(part.volume_mm3, partner.volume_mm3) >= LEAST_BONE_MM3:
            return (part.left_mm + partner.left_mm) / 2.0
    return None


def _kept(parts: Sequence[_Part], pieces: LabelArray, spacing_mm: Spacing) -> list[_Part]:
    """The largest part of every bone, and what lies near a part that is kept."""
    near: dict[int, list[_Part]] = {}
    for part in sorted(parts, key=lambda part: -part.volume_mm3):
        kept = near.setdefault(part.value, [])
        if not kept or (
            part.volume_mm3 >= _LEAST_PART_MM3
            and any(_gap_mm(part, other, pieces, spacing_mm) <= _FAR_MM for other in kept)
        ):
            kept.append(part)
    return [
        part
        for kept in near.values()
        if sum(part.volume_mm3 for part in kept) >= LEAST_BONE_MM3
        for part in kept
    ]


def _gap_mm(one: _Part, other: _Part, pieces: LabelArray, spacing_mm: Spacing) -> float:
    """Distance between two parts; bounding boxes will not do, a hip bone's holds half a spine."""
    tree = cKDTree(_points_mm(other, pieces, spacing_mm))
    gaps_mm, _ = tree.query(_points_mm(one, pieces, spacing_mm), distance_upper_bound=2 * _FAR_MM)
    return float(gaps_mm.min())


def _points_mm(part: _Part, pieces: LabelArray, spacing_mm: Spacing) -> FloatArray:
    """(N, 3) voxel centres of a part in mm, thinned out where there are many."""
    points = np.argwhere(pieces[part.box] == part.number)
    points = points[:: max(1, len(points) // _MOST_POINTS)]
    corner = np.array([side.start for side in part.box])
    positions: FloatArray = (points + corner) * np.asarray(spacing_mm)
    return positions


def _hand_over(
    cleaned: npt.NDArray[np.uint8], pieces: LabelArray, dropped: Sequence[_Part]
) -> None:
    """Give dropped pieces to the kept bone they touch most; in place."""
    for part in dropped:
        k, j, i = (slice(max(0, s.start - 1), s.stop + 1) for s in part.box)
        near = (k, j, i)
        inside = pieces[near] == part.number
        rim = binary_dilation(inside) & ~inside
        touched = np.bincount(cleaned[near][rim], minlength=1)
        touched[0] = 0
        if touched.any():
            cleaned[near][inside] = touched.argmax()


def _hip_heights(labels: LabelArray) -> tuple[int, int] | None:
    """Lowest and highest slice of the main pieces of the hip bones."""
    heights = []
    for value in _HIPS:
        pieces = label_components(labels == value, 26)
        sizes = np.bincount(pieces.ravel())
        if sizes.size > 1:
            main = pieces == 1 + int(sizes[1:].argmax())
            slices = np.flatnonzero(main.any(axis=(1, 2)))
            heights.append((int(slices[0]), int(slices[-1])))
    if not heights:
        return None
    return min(low for low, _ in heights), max(high for _, high in heights)
