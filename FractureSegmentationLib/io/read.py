"""Whatever the user gives, as a volume in HU or as a label map, or one sentence why not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.dicom.files import is_dicom_file, read_headers
from FractureSegmentationLib.io.dicom.series import (
    MINIMUM_SLICES,
    SeriesInfo,
    choose_series,
    list_series,
    series_key,
)
from FractureSegmentationLib.io.dicom.volume import read_series
from FractureSegmentationLib.io.grid import differing_grids, is_same_grid
from FractureSegmentationLib.io.hounsfield import clean_hu, is_already_masked
from FractureSegmentationLib.io.image_file import kind_of, read_image_file
from FractureSegmentationLib.io.salt import hashed_identifier, install_salt
from FractureSegmentationLib.io.sitk import label_volume_from_sitk, merged_layers, volume_from_sitk
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.volume import LabelVolume, Volume

THICK_SLICE_MM = 3.0
COARSE_PIXEL_MM = 1.5

_KINDS_SENTENCE = "Give a DICOM folder, or a .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd file."
# Headers round spacings to a few digits, which would show up as 3.00001 mm.
_ROUNDING_MM = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CtInput:
    """A CT as it was read.

    Attributes:
        volume: (K, J, I) HU, int16 where all values are whole, else float32; at least -1024.
        kind: "DICOM series", "NIfTI", "NRRD" or "MetaImage".
        series_uid_sha: salted hash of the DICOM series' UID; "" for other kinds.
        warnings: what the user should know, one sentence each.
        is_already_masked: everything but bone was set to 0 HU beforehand.
        files_read: the files the voxels came from, to keep outputs away from.
    """

    volume: Volume
    kind: str
    series_uid_sha: str = ""
    warnings: tuple[str, ...] = ()
    is_already_masked: bool = False
    files_read: tuple[Path, ...] = ()


def read_ct(path: Path, *, series: str | None = None, progress: Progress | None = None) -> CtInput:
    """Read a CT.

    Args:
        path: a folder with DICOM files, one file of a DICOM series, or an image file.
        series: for a folder of several series, the number or the UID of the one that is meant.
        progress: told how much of a DICOM series is read; Cancel takes effect between slices.

    Raises:
        InputError: it is not there, not a usable CT, or the choice of a series is open.
        RunCancelledError: the caller asked to stop.
    """
    with readable():
        if not path.exists():
            raise InputError("The CT was not found.", "Check the name of the file or folder.")
        refuse_pipe(path)
        if path.is_dir():
            return read_listed(list_series(path), series, progress)
        if kind_of(path):
            return _read_file(path)
        if is_dicom_file(path):
            return read_listed(series_of(path), series, progress)
    raise InputError("The file is of no known kind.", _KINDS_SENTENCE)


def refuse_pipe(path: Path) -> None:
    """Refuse what is there and neither a file nor a folder: a named pipe would be waited for.

    Raises:
        InputError: it is a pipe, a socket or a device.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(
            "The input is a pipe or a device, which cannot be read twice.",
            "Write it into a file and give that.",
        )


def read_labels(path: Path) -> LabelVolume:
    """Read a mask or a segmentation; a `.seg.nrrd` with the label values of its segments.

    Returns:
        uint8 labels or, where they exceed 255, uint16.

    Raises:
        InputError: it is not there, damaged, not three-dimensional, or not a label map.
    """
    with readable():
        refuse_pipe(path)
        if not path.is_file():
            raise InputError("The label file was not found.", "Check the name of the file.")
        if not kind_of(path):
            raise InputError(
                "The label file is of no known kind.",
                "Give a .nii, .nii.gz, .nrrd, .seg.nrrd, .nhdr, .mha or .mhd file.",
            )
        file = read_image_file(path, may_have_layers=True)
        return label_volume_from_sitk(merged_layers(file.image), step=file.step)


def check_same_grid(volume: Volume, labels: LabelVolume) -> None:
    """Refuse labels that were not drawn on this very volume.

    Raises:
        InputError: the two grids differ; the message says in what.
    """
    ours, theirs = volume.geometry, labels.geometry
    if not is_same_grid(ours, theirs):
        raise differing_grids(ours, theirs)


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """A file that the operating system does not give out is the user's affair, not a bug.

    Raises:
        InputError: in place of an OSError of the block.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            "The input could not be read.", "Check that you may read it and that the disk is there."
        ) from error


def series_of(path: Path) -> tuple[SeriesInfo, ...]:
    """The series that one DICOM file belongs to, from the files beside it.

    Raises:
        InputError: the file, or one beside it, is damaged or holds no image.
        OSError: it cannot be read.
    """
    try:
        headers = read_headers(path)
    except ValueError as error:
        raise InputError("The DICOM file is damaged.", "Copy or export it again.") from error
    if not headers:
        raise InputError("The DICOM file holds no image.", "Give a file of a CT series.")
    meant = series_key(headers[0])
    return tuple(
        one
        for one in list_series(path.parent, recursive=False)
        if series_key(one.images[0]) == meant
    )


def read_chosen(chosen: SeriesInfo, progress: Progress | None = None) -> CtInput:
    """One series as a CT.

    Raises:
        InputError: it is no usable CT.
        RunCancelledError: the caller asked to stop.
        OSError: a file cannot be read.
    """
    volume, warnings = read_series(chosen, progress)
    return _finished(
        CtInput(
            volume=volume,
            kind="DICOM series",
            series_uid_sha=hashed_identifier(chosen.uid, install_salt()),
            warnings=chosen.set_apart + warnings,
            files_read=tuple(dict.fromkeys(image.path for image in chosen.images)),
        ),
        thickness_mm=max(image.thickness_mm for image in chosen.images),
    )


def read_listed(
    found: Sequence[SeriesInfo], wanted: str | None = None, progress: Progress | None = None
) -> CtInput:
    """The series that is meant among those found, as a CT.

    Args:
        found: all series of a folder.
        wanted: number or UID of one; None takes the CT with most slices, and says so.
        progress: as for `read_ct`.

    Raises:
        InputError: it is no usable CT, or the choice is open.
        RunCancelledError: the caller asked to stop.
        OSError: a file cannot be read.
    """
    chosen = choose_series(found, wanted)
    others = [one for one in found if one.is_ct_volume and one is not chosen]
    if wanted is not None or not others:
        return read_chosen(chosen, progress)
    try:
        ct = read_chosen(chosen, progress)
    except InputError as error:
        listed = "; ".join(one.described() for one in others)
        raise InputError(
            f"{error.message} It was taken because it has most slices ({chosen.described()}).",
            f"{error.remedy} Or name another with --series and its number: {listed}.",
        ) from error
    taken = (
        "The folder holds several CT series; the one with most slices was taken "
        f"({chosen.described()})."
    )
    return replace(ct, warnings=(taken, *ct.warnings))


def _read_file(path: Path) -> CtInput:
    file = read_image_file(path)
    volume = volume_from_sitk(file.image)
    fewest = min(volume.geometry.shape)
    if fewest < MINIMUM_SLICES:
        raise InputError(
            f"The volume has {fewest} slices where at least {MINIMUM_SLICES} are needed.",
            "Give a three-dimensional CT volume.",
        )
    return _finished(
        CtInput(volume=volume, kind=file.kind, warnings=file.warnings, files_read=(path,))
    )


def _finished(ct: CtInput, *, thickness_mm: float = 0.0) -> CtInput:
    """The same CT with clean values and with what there is to say of them."""
    hu, warnings = clean_hu(ct.volume.voxels)
    return replace(
        ct,
        volume=ct.volume.with_voxels(hu),
        warnings=ct.warnings + warnings + _resolution_warnings(ct.volume.geometry, thickness_mm),
        is_already_masked=is_already_masked(hu),
    )


def _resolution_warnings(geometry: Geometry, thickness_mm: float) -> tuple[str, ...]:
    # Slices lie along the axis of the largest spacing, whichever way the volume is stored.
    _, pixel_mm, slice_mm = sorted(geometry.spacing_mm)
    widest_mm, narrowest_mm = THICK_SLICE_MM + _ROUNDING_MM, COARSE_PIXEL_MM + _ROUNDING_MM
    seen = []
    if slice_mm > widest_mm:
        seen.append(f"The slices are {slice_mm:.1f} mm apart; above {THICK_SLICE_MM:g} mm")
    elif thickness_mm > widest_mm:
        seen.append(f"The slices are {thickness_mm:.1f} mm thick; above {THICK_SLICE_MM:g} mm")
    if pixel_mm > narrowest_mm:
        seen.append(f"The pixels measure {pixel_mm:.1f} mm; above {COARSE_PIXEL_MM:g} mm")
    return tuple(f"{what} fine fragments and hairline fractures are missed." for what in seen)
