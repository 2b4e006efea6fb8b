"""A DICOM series as a volume in HU, or the reasons why it is none.

Geometry comes from the headers of every slice (`dicom_geometry`). A stack that only leans or has
slightly uneven steps is resampled and said to be; everything else irregular is refused with the
reason and the place, never squashed into a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.dicom.geometry import SliceStack, stack_slices
from FractureSegmentationLib.io.dicom.header import ImageHeader
from FractureSegmentationLib.io.dicom.kind import kind_problems
from FractureSegmentationLib.io.dicom.pixels import read_plane, read_planes
from FractureSegmentationLib.io.dicom.regular import regularised
from FractureSegmentationLib.io.dicom.series import MINIMUM_SLICES, SeriesInfo
from FractureSegmentationLib.io.hounsfield import clean_hu
from FractureSegmentationLib.progress import Progress
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
