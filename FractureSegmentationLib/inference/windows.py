"""Where a network looks, and how much each look counts: pure geometry, no network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import Box, FloatArray, MaskArray, Shape

_SIGMA_SHARE = 0.125
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """How a network is moved over a volume.

    Attributes:
        patch: window size along (k, j, i).
        overlap: share of a window's length that its neighbour covers too, in [0, 1).
        padding: value per input channel of what lies outside the volume.

    Raises:
        ValueError: a size or the overlap is impossible.
    """

    patch: Shape
    overlap: float
    padding: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.patch) != 3 or min(self.patch) < 1:
            raise ValueError(f"patch must be three positive counts, got {self.patch}")
        if not 0.0 <= self.overlap < 1.0:
            raise ValueError(f"overlap must lie in [0, 1), got {self.overlap}")


def plan_windows(where: MaskArray, patch: Shape, overlap: float) -> tuple[Box, ...]:
    """Windows that together see every marked voxel well.

    Windows are spread evenly over the box of the marked voxels. Each is answerable for the voxels
    that are nearer to its centre than to that of any other window, axis by axis; one that has no
    marked voxel to answer for is left out.

    Args:
        where: (K, J, I) what has to be predicted.
        patch: window size along (k, j, i); no larger than the grid.
        overlap: share of a window's length that its neighbour covers too, in [0, 1).

    Returns:
        Boxes of exactly `patch` voxels inside the grid, k slowest; none where nothing is marked.

    Raises:
        ValueError: the grid is smaller than a window, or the overlap is not in [0, 1).
    """
    if any(n < p for n, p in zip(where.shape, patch, strict=True)):
        raise ValueError(f"a grid of {where.shape} holds no window of {patch}")
    if not 0.0 <= overlap < 1.0:
        raise ValueError(f"overlap must lie in [0, 1), got {overlap}")
    if not where.any():
        return ()
    starts = [_starts(where, axis, patch[axis], overlap) for axis in range(3)]
    cells = [
        _cells(axis_starts, size, count)
        for axis_starts, size, count in zip(starts, patch, where.shape, strict=True)
    ]
    return tuple(
        (slice(k, k + patch[0]), slice(j, j + patch[1]), slice(i, i + patch[2]))
        for k, cell_k in zip(starts[0], cells[0], strict=True)
        for j, cell_j in zip(starts[1], cells[1], strict=True)
        for i, cell_i in zip(starts[2], cells[2], strict=True)
        if where[cell_k, cell_j, cell_i].any()
    )


def gaussian_weights(patch: Shape) -> npt.NDArray[np.float32]:
    """How much each voxel of a window counts: most in the middle, little at the border.

    Args:
        patch: window size along (k, j, i).

    Returns:
        (K, J, I) weights from 0.001 to 1; the standard deviation is an eighth of the window.
    """
    profiles = []
    for count in patch:
        distance = np.arange(count) - (count - 1) / 2.0
        profiles.append(np.exp(-0.5 * (distance / (_SIGMA_SHARE * count)) ** 2))
    weights: FloatArray = reduce(np.multiply.outer, profiles)
    return np.maximum(weights, _LEAST_WEIGHT).astype(np.float32)


def padding_to(shape: Shape, patch: Shape) -> tuple[tuple[int, int], ...]:
    """Voxels to add before and after along (k, j, i) so that a window fits into the grid."""
    missing = [max(0, p - n) for n, p in zip(shape, patch, strict=True)]
    return tuple((m // 2, m - m // 2) for m in missing)


def _starts(where: MaskArray, axis: int, size: int, overlap: float) -> list[int]:
    others = tuple(a for a in range(3) if a != axis)
    marked = np.flatnonzero(where.any(axis=others))
    first, last = int(marked[0]), int(marked[-1]) + 1
    length = last - first
    if length <= size:
        centred = first - (size - length) // 2
        return [min(max(centred, 0), where.shape[axis] - size)]
    count = 1 + math.ceil((length - size) / (size * (1.0 - overlap)))
    return [round(first + n * (length - size) / (count - 1)) for n in range(count)]


def _cells(starts: list[int], size: int, count: int) -> list[slice]:
    """The voxels nearest to each window's centre; the outer cells reach to the border."""
    borders = [math.ceil((a + b + size) / 2.0) for a, b in pairwise(starts)]
    return [slice(a, b) for a, b in zip([0, *borders], [*borders, count], strict=True)]
