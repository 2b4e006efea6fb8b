"""Which voxels are taken by bone that is placed already."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import MaskArray, Spacing

_REACH_MM = 40.0


class Occupancy:
    """A grid, wider than the bone by 40 mm on all sides, on which fragments claim their voxels.

    Args:
        taken: (K, J, I) voxels that nothing may enter, or not before they are released.
        spacing_mm: voxel size along (k, j, i), in mm.
    """

    def __init__(self, taken: MaskArray, spacing_mm: Spacing) -> None:
        self._spacing = np.asarray(spacing_mm)
        self._margin = np.ceil(_REACH_MM / self._spacing).astype(np.int64)
        self._taken = np.pad(taken, [(int(m), int(m)) for m in self._margin])

    def release(self, points_mm: npt.NDArray[np.floating]) -> None:
        """Free the voxels at (N, 3) positions, in mm from the bone grid's voxel (0, 0, 0)."""
        self._taken[self._at(points_mm)] = False

    def claim(self, points_mm: npt.NDArray[np.floating]) -> None:
        """Take the voxels at (N, 3) positions."""
        self._taken[self._at(points_mm)] = True

    def overlap(self, points_mm: npt.NDArray[np.floating]) -> int:
        """How many of (N, 3) positions fall on taken voxels."""
        return int(np.count_nonzero(self._taken[self._at(points_mm)]))

    def _at(self, points_mm: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.int64], ...]:
        index = np.round(points_mm / self._spacing).astype(np.int64) + self._margin
        return tuple(np.clip(index, 0, np.asarray(self._taken.shape) - 1).T)
