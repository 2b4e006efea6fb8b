"""Largest and smallest value in a box around each voxel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import LabelArray, MaskArray, Shape

_Extremum = Callable[..., npt.NDArray[Any]]


def window_maximum(values: npt.NDArray[Any], radius: Shape | int) -> npt.NDArray[Any]:
    """Largest value within `radius` voxels along each axis; the array's edge is repeated.

    Args:
        values: (K, J, I) array.
        radius: voxels to either side, one number or one per axis; 0 leaves an axis alone.
    """
    return _window_extremum(values, radius, np.maximum)


def window_minimum(values: npt.NDArray[Any], radius: Shape | int) -> npt.NDArray[Any]:
    """Smallest value within `radius` voxels along each axis; the array's edge is repeated."""
    return _window_extremum(values, radius, np.minimum)


def another_label_near(labels: LabelArray, radius: Shape | int) -> MaskArray:
    """Labelled voxels with a different label, background not counted, in the box around them.

    One is near exactly where the greatest and the least label of the box differ.

    Args:
        labels: (K, J, I) labels, 0 = background.
        radius: voxels to either side, one number or one per axis.
    """
    if labels.dtype != np.uint8 and 0 <= labels.min(initial=0) <= labels.max(initial=0) < 255:
        labels = labels.astype(np.uint8)  # every pass is over memory, of which this is less
    nothing = np.iinfo(labels.dtype).max
    greatest = window_maximum(labels, radius)
    least = window_minimum(np.where(labels == 0, nothing, labels).astype(labels.dtype), radius)
    return np.asarray((labels != 0) & (greatest != least))


def _window_extremum(
    values: npt.NDArray[Any], radius: Shape | int, extremum: _Extremum
) -> npt.NDArray[Any]:
    radii = (radius,) * 3 if isinstance(radius, int) else radius
    result = values
    for axis, reach in enumerate(radii):
        if reach > 0:
            result = _along(axis, result, reach, extremum)
    return result.copy() if result is values else result


def _along(
    axis: int, values: npt.NDArray[Any], reach: int, extremum: _Extremum
) -> npt.NDArray[Any]:
    """Windows of doubling width: log2 passes over memory that the processor vectorises."""
    padding = [(0, 0)] * 3
    padding[axis] = (reach, reach)
    current = np.moveaxis(np.pad(values, padding, mode="edge"), axis, 0)
    width, wanted = 1, 2 * reach + 1
    while width < wanted:
        step = min(width, wanted - width)
        current = extremum(current[:-step], current[step:])
        width += step
    return np.ascontiguousarray(np.moveaxis(current, 0, axis))
