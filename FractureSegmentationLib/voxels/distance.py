"""Distance from each voxel to the nearest voxel of another label, up to a limit, in mm."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.sparse_distance import sparse_depth_mm

_SPARSE = 4
"""Where less than one voxel in so many has a label, only those that have one are visited."""


def label_depth_mm(
    labels: LabelArray, spacing_mm: Spacing, limit_mm: float
) -> npt.NDArray[np.float32]:
    """Distance of every labelled voxel to the nearest voxel of another label or background.

    All labels are treated in one pass. The result is exact up to `limit_mm`, which is what makes it
    several times faster than one full distance transform per label. What lies outside the array
    is nobody's: it is not counted as another label.

    Args:
        labels: (K, J, I) labels, 0 = background.
        spacing_mm: voxel size along (k, j, i), in mm.
        limit_mm: distances beyond this are reported as this.

    Returns:
        (K, J, I) centre-to-centre distance in mm, at most `limit_mm`; 0 in the background.
    """
    if _SPARSE * np.count_nonzero(labels) < labels.size:
        return sparse_depth_mm(labels, spacing_mm, limit_mm)
    limit_squared = np.float32(limit_mm * limit_mm)
    squared = np.where(labels > 0, limit_squared, np.float32(0.0))
    for axis in (2, 1, 0):
        squared = _relax_along(axis, squared, labels, spacing_mm[axis], limit_mm)
    return np.sqrt(squared, out=squared)


def distance_to_mm(
    mask: MaskArray, spacing_mm: Spacing, limit_mm: float
) -> npt.NDArray[np.float32]:
    """Distance of every voxel to the nearest True voxel, exact up to `limit_mm`, in mm.

    Args:
        mask: (K, J, I) where the distance is 0.
        spacing_mm: voxel size along (k, j, i), in mm.
        limit_mm: distances beyond this are reported as this.
    """
    return label_depth_mm(np.logical_not(mask).view(np.uint8), spacing_mm, limit_mm)


def within_mm(mask: MaskArray, spacing_mm: Spacing, reach_mm: float) -> MaskArray:
    """Voxels at most `reach_mm` from a True voxel, itself included: dilation by a ball.

    Eight voxels along i share a byte, so a ball costs little more than its (k, j) columns.

    Args:
        mask: (K, J, I) what is dilated.
        spacing_mm: voxel size along (k, j, i), in mm.
        reach_mm: radius of the ball, measured between voxel centres.
    """
    near = np.zeros(mask.shape, bool)
    box = bounding_box(mask, margin=int(reach_mm / min(spacing_mm)) + 1)
    if box is None:
        return near
    part = mask[box]
    columns = _ball_columns(part.shape, spacing_mm, reach_mm)
    rows = _packed_rows(part, set(columns.values()))
    grown = np.zeros_like(rows[0])
    for (k, j), width in columns.items():
        grown[_shifted(k), _shifted(j)] |= rows[width][_shifted(-k), _shifted(-j)]
    near[box] = np.unpackbits(grown, axis=2, count=part.shape[2]).view(bool)
    return near


def _ball_columns(
    shape: tuple[int, ...], spacing_mm: Spacing, reach_mm: float
) -> dict[tuple[int, int], int]:
    """How far along i a ball reaches to each side, per step along (k, j) within the array."""
    k_mm, j_mm, i_mm = spacing_mm
    sides = [min(int(reach_mm / s) + 1, n - 1) for s, n in zip(spacing_mm, shape, strict=True)]
    along_i = np.square(np.arange(sides[2] + 1) * i_mm)
    columns = {}
    for k, j in itertools.product(*(range(-side, side + 1) for side in sides[:2])):
        inside = np.sqrt(((k * k_mm) ** 2 + (j * j_mm) ** 2) + along_i) <= reach_mm
        if inside[0]:
            columns[k, j] = int(inside.sum()) - 1
    return columns


def _packed_rows(mask: MaskArray, widths: set[int]) -> dict[int, npt.NDArray[np.uint8]]:
    """The mask dilated along i by each of the widths, and by none, as bits."""
    grown = mask.copy()
    rows = {0: np.packbits(grown, axis=2)}
    for step in range(1, max(widths) + 1):
        grown[..., step:] |= mask[..., :-step]
        grown[..., :-step] |= mask[..., step:]
        if step in widths:
            rows[step] = np.packbits(grown, axis=2)
    return rows


def _shifted(offset: int) -> slice:
    """What remains of an axis after a step of `offset` along it."""
    return slice(offset, None) if offset >= 0 else slice(None, offset)


def _relax_along(
    axis: int,
    squared: npt.NDArray[np.float32],
    labels: LabelArray,
    step_mm: float,
    limit_mm: float,
) -> npt.NDArray[np.float32]:
    """One axis of the separable minimum: a voxel of another label counts as distance 0."""
    relaxed = squared.copy()
    reach = min(math.floor(limit_mm / step_mm), labels.shape[axis] - 1)
    for offset in range(1, reach + 1):
        step_squared = np.float32((offset * step_mm) ** 2)
        lower = _part(axis, slice(None, -offset))
        upper = _part(axis, slice(offset, None))
        is_same = labels[lower] == labels[upper]
        for here, there in ((lower, upper), (upper, lower)):
            candidate = squared[there] * is_same
            candidate += step_squared
            np.minimum(relaxed[here], candidate, out=relaxed[here])
    return relaxed


def _part(axis: int, part: slice) -> tuple[slice, slice, slice]:
    parts = [slice(None), slice(None), slice(None)]
    parts[axis] = part
    return (parts[0], parts[1], parts[2])
