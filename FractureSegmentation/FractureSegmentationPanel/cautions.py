"""What about a CT stops a run, as far as a glance shows, or makes its result less sure.

Metal and thick slices are looked for by the run itself, which sees the voxels.
"""

from __future__ import annotations

import functools
import re
from datetime import date
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

_UIDS = "DICOM.instanceUIDs"
_AGE, _BIRTH_DATE = "0010,1010", "0010,0030"
_EXAMINATION_DATES = ("0008,0020", "0008,0022", "0008,0021")  # of study, acquisition, series
_GROWN_UP_YEARS = 18
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.44, "Y": 365.25}


def problem_of(volume: Any) -> str:
    """Why a vtkMRMLScalarVolumeNode cannot be segmented; "" if nothing speaks against it."""
    from FractureSegmentationLib.errors import InputError
    from FractureSegmentationLib.mrml.volume import refuse_nonlinear

    try:
        refuse_nonlinear(volume)
    except InputError as error:
        return str(error)
    image = volume.GetImageData()
    if image is None:
        return _("The volume holds no voxels. Load the CT again, or choose another one.")
    if min(image.GetDimensions()) < 2:
        return _("This is a single slice. A CT of at least 10 slices is needed.")
    return ""


def cautions_of(volume: Any) -> tuple[str, ...]:
    """What a person should know before trusting the fragments of a CT, one sentence each.

    The age is looked up where the CT came from Slicer's DICOM database; neither it nor a date is
    kept or told.

    Args:
        volume: vtkMRMLScalarVolumeNode.
    """
    found = []
    if _is_growing(volume):
        found.append(
            _("The patient is under 18: growth plates look like fractures. Check every border.")
        )
    if _has_unknown_orientation(volume):
        found.append(
            _("The file does not say how the patient lies. Check that left and right are right.")
        )
    return tuple(found)


def _is_growing(volume: Any) -> bool:
    uids = (volume.GetAttribute(_UIDS) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or database is None or not database.isOpen:
        return False

    def value(tag: str) -> str:
        return str(database.instanceValue(uids[0], tag) or "").strip()

    years = _years_of_age(value(_AGE))
    if years is None:
        # A date is written as in DICOM: YYYYMMDD.
        examined = next((day for tag in _EXAMINATION_DATES if (day := _day(value(tag)))), None)
        born = _day(value(_BIRTH_DATE))
        if born is None or examined is None or examined < born:
            return False
        years = (examined - born).days / _DAYS["Y"]
    return years < _GROWN_UP_YEARS


def _years_of_age(text: str) -> float | None:
    """An age as DICOM writes it, such as 017Y or 008M; None if there is none."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", text.upper())
    return int(match[1]) * _DAYS[match[2]] / _DAYS["Y"] if match else None


def _day(text: str) -> date | None:
    match = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", text)
    try:
        return date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        return None


def _has_unknown_orientation(volume: Any) -> bool:
    storage = volume.GetStorageNode()
    file_name = storage.GetFileName() if storage is not None else None
    if not file_name or volume.GetAttribute(_UIDS):
        return False
    path = Path(file_name)
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return False
    return _says_nothing_of_orientation(path, changed)


@functools.lru_cache(maxsize=16)
def _says_nothing_of_orientation(path: Path, _changed: int) -> bool:
    """Whether an image file could say where the patient's left is, and does not."""
    from FractureSegmentationLib.errors import InputError
    from FractureSegmentationLib.io.image_header import HeaderError
    from FractureSegmentationLib.io.wholeness import read_image_header

    try:
        return not read_image_header(path).placements
    except (HeaderError, InputError, OSError, ValueError):
        # Of another kind, such as DICOM; what Slicer could read is not judged again.
        return False
