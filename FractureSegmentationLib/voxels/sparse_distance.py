"""Depth of labelled voxels that are few among many, as those of a bone in its box are."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import LabelArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box

_Places = npt.NDArray[np.int64]
_Squared = npt.NDArray[np.float32]


def sparse_depth_mm(
    labels: LabelArray, spacing_mm: Spacing, limit_mm: float
) -> npt.NDArray[np.float32]:
    """What `label_depth_mm` gives, by visiting the labelled voxels only.

    Args:
        labels: (K, J, I) labels, 0 = background.
        spacing_mm: voxel size along (k, j, i), in mm.
        limit_mm: distances beyond this are reported as this.
    """
    depth_mm = np.zeros(labels.shape, np.float32)
    # The nearest background of a voxel is never further out than the margin.
    box = bounding_box(labels != 0, margin=1)
    if box is None:
        return depth_mm
    part = labels[box]
    voxels = np.flatnonzero(part)
    reaches = [
        min(math.floor(limit_mm / s), n - 1) for s, n in zip(spacing_mm, part.shape, strict=True)
    ]
    limit = np.float32(limit_mm * limit_mm)
    squared = _along_rows(part, voxels, spacing_mm[2], reaches[2], limit)
    # Beyond the array the last voxel continues: it makes nothing nearer than it is itself.
    padded = np.pad(part, ((reaches[0],) * 2, (reaches[1],) * 2, (0, 0)), mode="edge")
    grid = _Grid.of(padded, part.shape, voxels, (reaches[0], reaches[1]))
    squared = grid.relaxed(squared, padded.shape[2], reaches[1], spacing_mm[1], limit)
    plane = padded.shape[1] * padded.shape[2]
    squared = grid.relaxed(squared, plane, reaches[0], spacing_mm[0], limit)
    inner = np.zeros(part.shape, np.float32)
    inner.reshape(-1)[voxels] = np.sqrt(squared)
    depth_mm[box] = inner
    return depth_mm


def _along_rows(
    part: LabelArray, voxels: _Places, step_mm: float, reach: int, limit: np.float32
) -> _Squared:
    """Squared distance along i to the nearest voxel of another label: from runs of one label."""
    count = part.shape[2]
    column = voxels % count
    own = part.reshape(-1)[voxels]
    is_first = np.ones(voxels.size, bool)
    is_first[1:] = (np.diff(voxels) != 1) | (own[1:] != own[:-1]) | (column[1:] == 0)
    starts = np.flatnonzero(is_first)
    lengths = np.diff(np.append(starts, voxels.size))
    first = column[starts]
    last = first + lengths - 1
    # Nobody lies beyond the array, so that a run that ends there is open.
    before = np.where(first == 0, -count - reach, first - 1)
    after = np.where(last == count - 1, 2 * count + reach, last + 1)
    steps = np.minimum(column - np.repeat(before, lengths), np.repeat(after, lengths) - column)
    table = np.array([(n * step_mm) ** 2 for n in range(reach + 1)] + [limit], np.float32)
    squared: _Squared = table[np.minimum(steps, reach + 1)]
    return squared


class _Grid:
    """Labels on a padded grid, and where the visited voxels lie in it.

    Args:
        labels: flat labels of the padded grid.
        here: flat numbers of the visited voxels in it.
    """

    def __init__(self, labels: LabelArray, here: _Places) -> None:
        self._labels = labels
        self._here = here
        self._own = labels[here]

    @classmethod
    def of(
        cls,
        padded: LabelArray,
        inner: tuple[int, ...],
        voxels: _Places,
        margins: tuple[int, int],
    ) -> _Grid:
        """The grid around an inner one, whose flat voxels are visited."""
        row, column = np.divmod(voxels, inner[2])
        plane = row // inner[1]
        rows = row + plane * 2 * margins[1] + margins[0] * padded.shape[1] + margins[1]
        return cls(padded.reshape(-1), rows * padded.shape[2] + column)

    def relaxed(
        self, squared: _Squared, stride: int, reach: int, step_mm: float, limit: np.float32
    ) -> _Squared:
        """One axis of the separable minimum; a voxel of another label counts as distance 0."""
        values = np.where(self._labels != 0, limit, np.float32(0.0))
        values[self._here] = squared
        nearest = squared.copy()
        active = np.arange(nearest.size)
        for offset in range(1, reach + 1):
            step_squared = np.float32((offset * step_mm) ** 2)
            # Who already has something nearer than the step finds nothing at its end.
            active = active[nearest[active] > step_squared]
            here, own, best = self._here[active], self._own[active], nearest[active]
            for signed in (-offset, offset):
                there = here + signed * stride
                is_same = self._labels[there] == own
                best = np.minimum(best, np.where(is_same, values[there], 0.0) + step_squared)
            nearest[active] = best
        return nearest
