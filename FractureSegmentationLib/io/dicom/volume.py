"""A DICOM series as a volume in HU, or the reasons why it is none.

Geometry comes from the headers of every slice (`geometry.py`). A stack that is only sheared by a
gantry tilt, or whose steps are slightly uneven, is resampled and said to be; everything else
irregular is refused with the reason and the place, never squashed into a grid.

The grid has the axes of the slices. Against a tilted gantry every slice is shifted in its own
plane, so nothing is mixed across slices; a slice at a new position is mixed from the two beside
it, along their normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.dicom.geometry import SlicePositions, SliceStack, stack_slices
from FractureSegmentationLib.io.dicom.headers import ImageHeader, kind_problems
from FractureSegmentationLib.io.dicom.pixels import read_plane, read_planes
from FractureSegmentationLib.io.dicom.series import MINIMUM_SLICES, SeriesInfo
from FractureSegmentationLib.io.hounsfield import AIR_HU, clean_hu
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.types import HuArray
from FractureSegmentationLib.volume import Volume

_GIVE_A_CT = f"Give a CT series of at least {MINIMUM_SLICES} parallel slices."
_ALL_SLICES = (
    "Export the series again with all its slices, evenly spaced or at most 3 mm apart, and without "
    "tilt."
)
_ONE_SCAN = "Export every scan or phase as a series of its own, and give one of them."


@dataclass(frozen=True, slots=True)
class SeriesJudgement:
    """What the headers of a series say of its use as a CT.

    Attributes:
        stack: its slices in order, and their grid.
        problems: why it cannot be used, each as the rest of "The series ...", geometry first.
        remedy: what to do about them; "" if there are none.
        notes: what was found and put right, one sentence each.
    """

    stack: SliceStack
    problems: tuple[str, ...]
    remedy: str
    notes: tuple[str, ...]

    def refusal(self) -> InputError:
        """All problems in one sentence."""
        return InputError(f"The series {'; it '.join(self.problems)}.", self.remedy)


def judge_series(series: SeriesInfo) -> SeriesJudgement:
    """Judge a series by its headers; pixels are read of images at one position only.

    Raises:
        InputError: one of those is damaged.
    """
    kinds = kind_problems(series.images)
    images, notes = _without_repeats(series.images) if not kinds else (series.images, ())
    stack = stack_slices(images)
    problems = (*stack.problems, *kinds)
    count = len(images)
    if count < MINIMUM_SLICES:
        counted = f"{count} slice{'s' if count != 1 else ''}"
        problems += (f"has {counted} where at least {MINIMUM_SLICES} are needed",)
    if not problems:
        return SeriesJudgement(stack, (), "", notes)
    told = (*(one.problem for one in stack.irregularities), *problems)
    return SeriesJudgement(stack, told, _remedy(stack, kinds), notes)


def read_series(
    series: SeriesInfo, progress: Progress | None = None
) -> tuple[Volume, tuple[str, ...]]:
    """The voxels of a CT series.

    Args:
        series: one of `list_series`.
        progress: told the part of the slices that is read, and asked whether to stop.

    Returns:
        The volume in HU as stored (padding outside the image is air), k along the slices' normal;
        and warnings, one sentence each.

    Raises:
        InputError: the series is no usable CT; the message names every problem, geometry first.
        RunCancelledError: the caller asked to stop.
    """
    judgement = judge_series(series)
    if judgement.problems:
        raise judgement.refusal()
    volume, notes = read_stack(judgement.stack, progress)
    return volume, judgement.notes + notes


def read_stack(
    stack: SliceStack, progress: Progress | None = None
) -> tuple[Volume, tuple[str, ...]]:
    """The voxels of slices that fill a regular grid or can be resampled onto one.

    How many there are, and of what, is not asked here.

    Args:
        stack: what `stack_slices` found, without problems.
        progress: as for `read_series`.

    Raises:
        InputError: a slice is damaged.
        RunCancelledError: the caller asked to stop.
        ValueError: the stack has no grid.
    """
    if stack.geometry is None or stack.places is None:
        raise ValueError("the slices lie on no grid")
    planes = read_planes(stack.slices, progress)
    notes: tuple[str, ...] = ()
    if any(image.is_lossy for image in stack.slices):
        notes = ("The series was compressed with loss; fine fracture lines may be blurred.",)
    if not stack.irregularities:
        return Volume(voxels=np.stack(planes), geometry=stack.geometry), notes
    # Padding and impossible values must go before they are mixed with tissue.
    hu, more = clean_hu(np.stack(planes))
    planes.clear()
    voxels = regularised(list(hu), stack.places, stack.geometry)
    notes += tuple(one.note for one in stack.irregularities) + more
    return Volume(voxels=voxels, geometry=stack.geometry), notes


def _without_repeats(
    images: Sequence[ImageHeader],
) -> tuple[tuple[ImageHeader, ...], tuple[str, ...]]:
    """Leave out images that show the same pixels at the same place as one before."""
    places: dict[tuple[object, ...], list[ImageHeader]] = {}
    for image in images:
        place = (image.position_lps_mm, image.axes, image.spacing_mm, image.shape)
        places.setdefault(place, []).append(image)
    dropped: set[int] = set()
    for alike in places.values():
        if len(alike) == 1:
            continue
        first, *others = (read_plane(image, "An image") for image in alike)
        if not all(np.array_equal(first, other) for other in others):
            return tuple(images), ()  # these stay, so the series is refused anyway
        dropped.update(id(image) for image in alike[1:])
    kept = tuple(image for image in images if id(image) not in dropped)
    if not dropped:
        return kept, ()
    what = "images repeat others" if len(dropped) > 1 else "image repeats another"
    return kept, (f"{len(dropped)} {what} at the same place, pixel by pixel; left out.",)


def _remedy(stack: SliceStack, kinds: tuple[str, ...]) -> str:
    if kinds or stack.places is None:
        return _GIVE_A_CT
    if any("duplicate" in problem for problem in stack.problems):
        return _ONE_SCAN
    return _ALL_SLICES if stack.problems else _GIVE_A_CT


_SAME = 1e-3  # of a pixel or a step


def regularised(
    planes: Sequence[npt.NDArray[Any]], places: SlicePositions, grid: Geometry
) -> HuArray:
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
    begin_mm = np.floor(places.in_plane_offsets_mm.min(axis=0) / grid.spacing_mm[1:] + _SAME)
    begin_mm *= grid.spacing_mm[1:]
    straight: dict[int, npt.NDArray[np.float32]] = {}
    for k in range(len(filled)):
        low, share = _neighbours(
            places.slice_positions_mm, k * grid.spacing_mm[0], grid.spacing_mm[0]
        )
        needed = (low, low + 1) if share else (low,)
        straight = {
            n: straight[n]
            if n in straight
            else _shifted(
                planes[n], (begin_mm - places.in_plane_offsets_mm[n]) / grid.spacing_mm[1:], grid
            )
            for n in needed
        }
        mixed = straight[low]
        if share:
            mixed = (1.0 - share) * mixed + share * straight[low + 1]
        mixed = np.where(np.isnan(mixed), np.float32(AIR_HU), mixed)
        filled[k] = np.rint(mixed) if is_whole else mixed
    return filled


def _neighbours(
    slice_positions_mm: npt.NDArray[np.float64], height_mm: float, step_mm: float
) -> tuple[int, float]:
    """The slice below a height, and how much of the next one is mixed in."""
    nearest = int(np.abs(slice_positions_mm - height_mm).argmin())
    if abs(slice_positions_mm[nearest] - height_mm) <= _SAME * step_mm:
        return nearest, 0.0
    low = int(
        np.clip(np.searchsorted(slice_positions_mm, height_mm) - 1, 0, len(slice_positions_mm) - 2)
    )
    gap_mm = slice_positions_mm[low + 1] - slice_positions_mm[low]
    return low, float(np.clip((height_mm - slice_positions_mm[low]) / gap_mm, 0.0, 1.0))


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
