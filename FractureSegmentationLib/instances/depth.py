"""Distance from each voxel to the nearest voxel of another label, up to a limit, in mm."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing


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
