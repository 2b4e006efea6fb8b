"""A fragment at half its resolution: eight times fewer voxels to find the rough cut in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import FloatArray, MaskArray, Spacing

_FACTOR = 2
_LEAST_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarseFragment:
    """A fragment in blocks of 2 x 2 x 2 voxels.

    Attributes:
        mask: blocks of which at least half is bone, and those that hold a point.
        points: piece number of the points in a block, 0 elsewhere.
        separation: the largest of its voxels: a thin wall stays closed.
        spacing_mm: size of a block along (k, j, i), in mm.
        fine_shape: voxels of the fragment's own grid along (k, j, i).
    """

    mask: MaskArray
    points: npt.NDArray[np.uint32]
    separation: FloatArray
    spacing_mm: Spacing
    fine_shape: tuple[int, ...]

    def seeds(
        self, fine: tuple[tuple[tuple[int, int, int], ...], ...]
    ) -> tuple[tuple[tuple[int, int, int], ...], ...]:
        """The blocks of points, those of each piece in their order, each once."""
        return tuple(
            tuple(dict.fromkeys((k // _FACTOR, j // _FACTOR, i // _FACTOR) for k, j, i in clicked))
            for clicked in fine
        )

    def on_fine_grid(self, pieces: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """Give every voxel the value of its block."""
        fine = pieces
        for axis in range(3):
            fine = np.repeat(fine, _FACTOR, axis=axis)
        k, j, i = self.fine_shape
        return fine[:k, :j, :i]


def coarsened(
    mask: MaskArray,
    points: npt.NDArray[np.uint32],
    separation: FloatArray,
    spacing_mm: Spacing,
) -> CoarseFragment | None:
    """Put a fragment into blocks.

    Args:
        mask: (K, J, I) the fragment.
        points: (K, J, I) piece number of each point, 0 elsewhere.
        separation: (K, J, I) how likely fragments part at each voxel.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        The blocks; None where points of two pieces share one.
    """
    greatest = _blocks(points).max(axis=-1)
    none = np.iinfo(np.uint32).max
    least = np.where(points > 0, points, none).astype(np.uint32)
    if (_blocks(least, none).min(axis=-1) < greatest).any():
        return None
    k, j, i = (size * _FACTOR for size in spacing_mm)
    share = _blocks(mask).mean(axis=-1, dtype=np.float32)
    return CoarseFragment(
        mask=(share >= _LEAST_SHARE) | (greatest > 0),
        points=greatest,
        separation=_blocks(np.where(mask, separation, 0.0).astype(np.float32)).max(axis=-1),
        spacing_mm=(k, j, i),
        fine_shape=mask.shape,
    )


def _blocks(values: npt.NDArray[Any], beyond: int = 0) -> npt.NDArray[Any]:
    """(K / 2, J / 2, I / 2, 8) the voxels of every block; odd ends are filled up."""
    padding = [(0, -count % _FACTOR) for count in values.shape]
    padded = np.pad(values, padding, constant_values=beyond)
    k, j, i = (count // _FACTOR for count in padded.shape)
    split = padded.reshape(k, _FACTOR, j, _FACTOR, i, _FACTOR)
    return split.transpose(0, 2, 4, 1, 3, 5).reshape(k, j, i, _FACTOR**3)
