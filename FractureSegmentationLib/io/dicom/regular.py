"""A stack of slices that leans or has uneven steps, interpolated on its straight, even grid.

The grid has the axes of the slices. Against a tilted gantry every slice is shifted in its own
plane, so nothing is mixed across slices; a slice at a new height is mixed from the two beside it,
along their normal. Both are linear: a CT whose values grow evenly in space comes out exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.dicom.places import SlicePlaces
from FractureSegmentationLib.io.hounsfield import AIR_HU
from FractureSegmentationLib.types import HuArray

_SAME = 1e-3  # of a pixel or a step


def regularised(planes: Sequence[npt.NDArray[Any]], places: SlicePlaces, grid: Geometry) -> HuArray:
    """Slices in HU on a regular grid; air where a slice that is needed does not reach.

    Args:
        planes: (J, I) each, in the order of `places`; without padding, which would be mixed in.
        places: where they lie.
        grid: the grid that `stack_slices` made for them.

    Returns:
        (K, J, I) on `grid`: whole numbers if all planes hold such, else float32.
    """
    kind = np.result_type(*planes)
    is_whole = np.issubdtype(kind, np.integer)
    filled = np.empty(grid.shape, kind if is_whole else np.float32)
    begin_mm = np.floor(places.sideways_mm.min(axis=0) / grid.spacing_mm[1:] + _SAME)
    begin_mm *= grid.spacing_mm[1:]
    straight: dict[int, npt.NDArray[np.float32]] = {}
    for k in range(len(filled)):
        low, share = _neighbours(places.heights_mm, k * grid.spacing_mm[0], grid.spacing_mm[0])
        needed = (low, low + 1) if share else (low,)
        straight = {
            n: straight[n]
            if n in straight
            else _shifted(planes[n], (begin_mm - places.sideways_mm[n]) / grid.spacing_mm[1:], grid)
            for n in needed
        }
        mixed = straight[low]
        if share:
            mixed = (1.0 - share) * mixed + share * straight[low + 1]
        mixed = np.where(np.isnan(mixed), np.float32(AIR_HU), mixed)
        filled[k] = np.rint(mixed) if is_whole else mixed
    return filled


def _neighbours(
    heights_mm: npt.NDArray[np.float64], height_mm: float, step_mm: float
) -> tuple[int, float]:
    """The slice below a height, and how much of the next one is mixed in."""
    nearest = int(np.abs(heights_mm - height_mm).argmin())
    if abs(heights_mm[nearest] - height_mm) <= _SAME * step_mm:
        return nearest, 0.0
    low = int(np.clip(np.searchsorted(heights_mm, height_mm) - 1, 0, len(heights_mm) - 2))
    gap_mm = heights_mm[low + 1] - heights_mm[low]
    return low, float(np.clip((height_mm - heights_mm[low]) / gap_mm, 0.0, 1.0))


def _shifted(
    plane: npt.NDArray[Any], first: npt.NDArray[np.float64], grid: Geometry
) -> npt.NDArray[np.float32]:
    """(J, I) of the grid, NaN outside the plane; it begins at the fractional pixel `first`."""
    moved = _shifted_rows(np.asarray(plane, np.float32), float(first[0]), grid.shape[1])
    return _shifted_rows(moved.T, float(first[1]), grid.shape[2]).T


def _shifted_rows(
    rows: npt.NDArray[np.float32], first: float, count: int
) -> npt.NDArray[np.float32]:
    """`count` rows from the fractional row `first` on; NaN beyond the outer edges of the old."""
    whole = round(first)
    share = first - whole if abs(first - whole) > _SAME else 0.0
    if not share and whole == 0 and count == len(rows):
        return rows
    places = whole + share + np.arange(count)
    low = np.floor(places).astype(int)
    part = np.float32(places[0] - low[0])
    last = len(rows) - 1
    moved = rows[np.clip(low, 0, last)]
    if part:
        moved = (1.0 - part) * moved + part * rows[np.clip(low + 1, 0, last)]
    moved[(places < -0.5) | (places > last + 0.5)] = np.nan
    return np.asarray(moved, np.float32)
