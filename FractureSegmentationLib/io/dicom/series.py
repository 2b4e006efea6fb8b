"""DICOM series: which there are in a folder, and which one is meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.dicom.files import FolderScan, scan_folder
from FractureSegmentationLib.io.dicom.headers import (
    ImageHeader,
    is_localizer,
    is_picture,
    kind_problems,
)

MINIMUM_SLICES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesInfo:
    """One series of a folder; its localizers, pictures and multi-frame objects count on their own.

    Attributes:
        number: 1 for the first that is listed.
        uid: its Series Instance UID. An original identifier: it may enter no output.
        images: its slices: files, or frames of files.
        set_apart: what lies among its files and does not belong to it, one sentence each.
    """

    number: int
    uid: str
    images: tuple[ImageHeader, ...]
    set_apart: tuple[str, ...] = ()

    @property
    def is_ct_volume(self) -> bool:
        """Whether its images are slices of a CT, judged by what it says of itself."""
        return not kind_problems(self.images)

    def described(self) -> str:
        """One line for a person to choose by, without patient data.

        The kernel is part of it because it tells the bone series from the soft-tissue one.
        """
        return f"{self.number}: {self.contents()}"

    def contents(self) -> str:
        """What it holds, without its number and without patient data."""
        first = self.images[0]
        rows, columns = first.shape
        kind = "".join(c for c in first.modality[:8] if c.isalnum()) or "unknown kind"
        count = len(self.images)
        parts = [kind, f"{count} image{'s' if count > 1 else ''}", f"{columns} x {rows} pixels"]
        if first.spacing_mm:
            parts.append(f"of {first.spacing_mm[1]:.2f} mm")
        if first.thickness_mm:
            parts.append(f"slices {first.thickness_mm:g} mm thick")
        if first.kernel:
            parts.append(f"kernel {first.kernel}")
        if is_localizer(first):
            parts.append("localizer")
        elif is_picture(first):
            parts.append("pictures")
        if first.frame is not None:
            parts.append("in one file")
        return ", ".join(parts)


def list_series(folder: Path, *, recursive: bool = True) -> tuple[SeriesInfo, ...]:
    """All series of images below a folder, in the order of their files.

    Raises:
        InputError: there is none, or a file beside one is damaged (it may be a slice of it).
        OSError: the folder cannot be read.
    """
    scan = scan_folder(folder, recursive=recursive)
    check_scan(scan)
    return grouped(scan)


def check_scan(scan: FolderScan) -> None:
    """Refuse a folder that holds no series, or one that damaged files may belong to.

    Raises:
        InputError: it does.
    """
    if scan.damaged:
        beside = {image.path.parent for image in scan.images}
        count = sum(path.parent in beside or not beside for path in scan.damaged)
        if count:
            files = "files of the folder are" if count > 1 else "file of the folder is"
            raise InputError(
                f"{count} DICOM {files} damaged or truncated.",
                "Copy or export the series again; if they do not belong to it, remove them.",
            )
    if not scan.images:
        raise InputError(
            "The folder holds no DICOM image.", "Give the folder of a CT series, or an image file."
        )


SeriesKey = tuple[str, str, str]


def grouped(scan: FolderScan) -> tuple[SeriesInfo, ...]:
    """The images of a folder as series, numbered in the order of their files."""
    groups: dict[SeriesKey, list[ImageHeader]] = {}
    for image in scan.images:
        groups.setdefault(series_key(image), []).append(image)
    pictures = Counter(image.series_uid for image in scan.images if _role(image) == "picture")
    return tuple(
        SeriesInfo(
            number=number,
            uid=key[0],
            images=tuple(members),
            set_apart=_set_apart(members, pictures[key[0]], scan) if key[1] == "slice" else (),
        )
        for number, (key, members) in enumerate(groups.items(), start=1)
    )


def series_key(image: ImageHeader) -> SeriesKey:
    """What the images of one `SeriesInfo` have in common."""
    return (image.series_uid, _role(image), image.part_of)


def _role(image: ImageHeader) -> str:
    if is_localizer(image):
        return "localizer"
    return "picture" if is_picture(image) else "slice"


def _set_apart(slices: Sequence[ImageHeader], pictures: int, scan: FolderScan) -> tuple[str, ...]:
    """What lies among the files of a series and is no slice of it."""
    folders = {image.path.parent for image in slices}
    system_files = sum(path.parent in folders for path in scan.system_files)
    notes = []
    if pictures:
        what = (
            "pictures (screen saves or colour)"
            if pictures > 1
            else "picture (a screen save or colour)"
        )
        notes.append(f"{pictures} {what} in the series: set apart, not read as slices.")
    if system_files:
        what = "files" if system_files > 1 else "file"
        notes.append(f"{system_files} {what} of macOS (._*) beside the slices: passed over.")
    return tuple(notes)


def choose_series(series: Sequence[SeriesInfo], wanted: str | None = None) -> SeriesInfo:
    """The series that is meant: the wanted one, else the CT volume with most slices.

    Args:
        series: what `list_series` found, at least one.
        wanted: its number in the list or its Series Instance UID.

    Raises:
        InputError: there is none of that name, or the choice is open (equally many slices, or
            CTs of different patients); the message lists all series.
    """
    found = list(series)
    if wanted is not None:
        found = [one for one in series if wanted.strip() in {one.uid, str(one.number)}]
        if not found:
            raise _open_choice("No series of the folder has that number or UID", series)
    volumes = [one for one in found if one.is_ct_volume]
    if not volumes:
        return max(found, key=lambda one: len(one.images))
    most = max(len(one.images) for one in volumes)
    largest = [one for one in volumes if len(one.images) == most]
    patients = {one.images[0].patient_id for one in volumes}
    if len(patients) > 1:
        raise _open_choice("The folder holds CTs of different patients", series)
    if len(largest) > 1 and most >= MINIMUM_SLICES:
        raise _open_choice("Several CT series have equally many slices", series)
    return largest[0]


def _open_choice(reason: str, series: Sequence[SeriesInfo]) -> InputError:
    listed = "; ".join(one.described() for one in series)
    return InputError(
        f"{reason}. Series found: {listed}.", "Name one of them with --series and its number."
    )
