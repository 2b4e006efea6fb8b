"""Mending a cut where a point lies in the piece of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import FloatArray, Spacing
from FractureSegmentationLib.voxels.geodesic import arrival_times

_OVERREACH = 1.5
"""How far the surroundings of a point reach, as a share of the way back to its own piece."""

_OWN_SHARE = 0.5
"""And at most: a share of the way to points of other pieces."""

_Labels = npt.NDArray[np.uint32]
_Voxel = tuple[int, int, int]


def mended(
    pieces: _Labels,
    seeds: Sequence[Sequence[_Voxel]],
    slowness: FloatArray,
    spacing_mm: Spacing,
) -> _Labels:
    """Give every point's surroundings to its piece, where they belong to another.

    A point in the wrong piece was clicked somewhere in the part that went wrong: that part reaches
    about as far beyond the point as the point is away from its own piece.

    Args:
        pieces: (K, J, I) pieces 1..n of a fragment, 0 elsewhere.
        seeds: the points of each piece, in the order in which they were clicked.
        slowness: (K, J, I) time per mm, 1 where nothing speaks for a cut.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) the pieces, all of which hold their points.
    """
    changed = pieces.copy()
    longest = max(map(len, seeds))
    for turn in range(longest):
        for piece, clicked in enumerate(seeds, start=1):
            if turn < len(clicked) and changed[clicked[turn]] != piece:
                _give(changed, clicked[turn], piece, seeds, slowness, spacing_mm)
    return changed


def _give(
    pieces: _Labels,
    point: _Voxel,
    piece: int,
    seeds: Sequence[Sequence[_Voxel]],
    slowness: FloatArray,
    spacing_mm: Spacing,
) -> None:
    """Give the surroundings of a point to a piece, in place."""
    start = np.zeros(pieces.shape, bool)
    start[point] = True
    own = pieces == pieces[point]
    plain_mm = arrival_times(
        start, own | (pieces == piece), np.ones(pieces.shape, np.float32), spacing_mm
    )
    times = arrival_times(start, own, slowness, spacing_mm)
    reach = _OVERREACH * float(plain_mm[pieces == piece].min(initial=np.inf))
    for number, clicked in enumerate(seeds, start=1):
        if number != piece:
            others = times[tuple(np.transpose(clicked))]
            reach = min(reach, _OWN_SHARE * float(others.min()))
    # Without a way to its own piece or to another's points, the whole part it lies in is meant.
    pieces[own & np.isfinite(times) & (times <= reach)] = piece
