"""DICOM series: which there are in a folder, which is meant, and its voxels in HU.

Geometry comes from the headers of every slice (`dicom_geometry`); a series that does not fill a
regular grid is refused with the reason and the place, never squashed into one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.dicom_geometry import stack_slices
from FractureSegmentationLib.io.dicom_header import ImageHeader, scan_folder
from FractureSegmentationLib.io.dicom_pixels import read_plane
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.volume import Volume

MINIMUM_SLICES = 10

_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_HU_TYPES = frozenset({"", "HU", "US"})

_REGULARISE = (
    "Load the series in 3D Slicer with acquisition geometry regularisation (DICOM module), or "
    "export it again as one even, untilted stack, and give that volume."
)
_GIVE_A_CT = "Give a CT series of parallel slices."


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesInfo:
    """One series of a folder; its localizers, if any, count as a series of their own.

    Attributes:
        number: 1 for the first that is listed.
        uid: its Series Instance UID. An original identifier: it may enter no output.
        images: its files.
    """

    number: int
    uid: str
    images: tuple[ImageHeader, ...]

    @property
    def modality(self) -> str:
        """E.g. CT, MR."""
        return self.images[0].modality

    @property
    def is_ct_volume(self) -> bool:
        """Whether it is a CT made of single slices, judged by what it says of itself."""
        return not _kind_problems(self.images)

    def described(self) -> str:
        """One line for a person to choose by, without patient data.

        The kernel is part of it because it tells the bone series from the soft-tissue one.
        """
        first = self.images[0]
        rows, columns = first.shape
        parts = [f"{self.modality or 'unknown kind'}", f"{len(self.images)} images"]
        parts.append(f"{columns} x {rows} pixels")
        if first.spacing_mm:
            parts.append(f"of {first.spacing_mm[1]:.2f} mm")
        if first.thickness_mm:
            parts.append(f"slices {first.thickness_mm:g} mm thick")
        if first.kernel:
            parts.append(f"kernel {first.kernel}")
        if "LOCALIZER" in first.image_type:
            parts.append("localizer")
        return f"{self.number}: " + ", ".join(parts)


def list_series(folder: Path, *, recursive: bool = True) -> tuple[SeriesInfo, ...]:
    """All series of images below a folder, in the order of their files.

    Raises:
        InputError: there is none, or a file beside one is damaged (it may be a slice of it).
        OSError: the folder cannot be read.
    """
    scan = scan_folder(folder, recursive=recursive)
    if scan.damaged:
        beside = {image.path.parent for image in scan.images}
        count = sum(path.parent in beside or not beside for path in scan.damaged)
        if count:
            raise InputError(
                f"{count} DICOM files of the folder are damaged or truncated.",
                "Copy or export the series again; if they do not belong to it, remove them.",
            )
    if not scan.images:
        raise InputError(
            "The folder holds no DICOM image.", "Give the folder of a CT series, or an image file."
        )
    groups: dict[tuple[str, bool], list[ImageHeader]] = {}
    for image in scan.images:
        key = (image.series_uid, "LOCALIZER" in image.image_type)
        groups.setdefault(key, []).append(image)
    return tuple(
        SeriesInfo(number=number, uid=uid, images=tuple(images))
        for number, ((uid, _), images) in enumerate(groups.items(), start=1)
    )


def choose_series(series: Sequence[SeriesInfo], wanted: str | None = None) -> SeriesInfo:
    """The series that is meant: the wanted one, else the CT volume with most slices.

    Args:
        series: what `list_series` found, at least one.
        wanted: its number in the list or its Series Instance UID.

    Raises:
        InputError: there is none of that name, or the choice is open (equally many slices, or
            CTs of different patients); the message lists all series.
    """
    if wanted is not None:
        return _wanted_series(series, wanted.strip())
    volumes = [one for one in series if one.is_ct_volume]
    if not volumes:
        return max(series, key=lambda one: len(one.images))
    most = max(len(one.images) for one in volumes)
    largest = [one for one in volumes if len(one.images) == most]
    patients = {one.images[0].patient_id for one in volumes}
    if len(patients) > 1:
        raise _open_choice("The folder holds CTs of different patients", series)
    if len(largest) > 1 and most >= MINIMUM_SLICES:
        raise _open_choice("Several CT series have equally many slices", series)
    return largest[0]


def read_series(
    series: SeriesInfo, progress: Progress | None = None
) -> tuple[Volume, tuple[str, ...]]:
    """The voxels of a regular CT series.

    Args:
        series: one of `list_series`.
        progress: told the part of the slices that is read, and asked whether to stop.

    Returns:
        The volume in HU as stored (padding outside the image is air), k along the slices' normal;
        and warnings, one sentence each.

    Raises:
        InputError: the series is not a regular CT; the message names every problem, geometry first.
        RunCancelledError: the caller asked to stop.
    """
    kinds = _kind_problems(series.images)
    if any(image.frames > 1 for image in series.images):
        # Where the frames of one file lie is not in the fields that the geometry is read from.
        raise InputError(_sentence(kinds), _GIVE_A_CT)
    stack = stack_slices(series.images)
    problems = stack.problems + kinds
    if len(stack.slices) < MINIMUM_SLICES:
        count = len(stack.slices)
        counted = f"{count} slice{'s' if count != 1 else ''}"
        problems += (f"has {counted} where at least {MINIMUM_SLICES} are needed",)
    if problems or stack.geometry is None:
        raise InputError(_sentence(problems), _REGULARISE if stack.is_resamplable else _GIVE_A_CT)
    planes = []
    for number, image in enumerate(stack.slices, start=1):
        planes.append(read_plane(image, f"Slice {number} of {len(stack.slices)}"))
        if progress is not None:
            progress.report(number / len(stack.slices))
    notes: tuple[str, ...] = ()
    if any(image.is_lossy for image in stack.slices):
        notes = ("The series was compressed with loss; fine fracture lines may be blurred.",)
    return Volume(voxels=np.stack(planes), geometry=stack.geometry), notes


def _wanted_series(series: Sequence[SeriesInfo], wanted: str) -> SeriesInfo:
    for one in sorted(series, key=lambda one: not one.is_ct_volume):
        if wanted in {one.uid, str(one.number)}:
            return one
    raise _open_choice("No series of the folder has that number or UID", series)


def _open_choice(reason: str, series: Sequence[SeriesInfo]) -> InputError:
    listed = "; ".join(one.described() for one in series)
    return InputError(
        f"{reason}. Series found: {listed}.", "Name one of them with --series and its number."
    )


def _kind_problems(images: Sequence[ImageHeader]) -> tuple[str, ...]:
    """Why the images are no slices of a CT, each as the rest of "The series ..."."""
    first = images[0]
    modality = Counter(image.modality for image in images).most_common(1)[0][0]
    checks = (
        (
            any(image.frames > 1 or image.sop_class == _ENHANCED_CT for image in images),
            "is stored as frames of one file (enhanced or multi-frame), which is not supported",
        ),
        (
            any(image.modality != "CT" for image in images),
            f"is not a CT (its modality is {_clean_word(modality)})",
        ),
        ("LOCALIZER" in first.image_type, "is a localizer, not a volume"),
        (
            any(image.sop_class.startswith(_SECONDARY_CAPTURE) for image in images),
            "is a secondary capture (a picture of a screen), not a CT",
        ),
        (
            any(
                image.samples != 1 or not image.photometric.startswith("MONOCHROME")
                for image in images
            ),
            "holds colour pictures",
        ),
        (
            any(image.rescale_type not in _HU_TYPES for image in images),
            "holds other quantities than Hounsfield units",
        ),
    )
    return tuple(problem for is_present, problem in checks if is_present)


def _clean_word(text: str) -> str:
    return "".join(c for c in text[:8] if c.isalnum()) or "not given"


def _sentence(problems: Sequence[str]) -> str:
    return f"The series {'; it '.join(problems)}."
