"""What the header of a DICOM image says, read with pydicom; finding the images of a folder.

Headers hold patient data. What is read here stays in memory: nothing of it may enter a message,
except what is named in `dicom.SeriesInfo.described`.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

_DIRECTORY = "1.2.840.10008.1.3.10"  # a DICOMDIR, whatever its file is called
_PREAMBLE_BYTES = 128
_USUAL_ENDINGS = frozenset({".dcm", ".dicom", ".ima"})
_TAGS = (
    "ConvolutionKernel",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "LossyImageCompression",
    "Modality",
    "NumberOfFrames",
    "PatientID",
    "PhotometricInterpretation",
    "PixelPaddingValue",
    "PixelRepresentation",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "Rows",
    "Columns",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "SeriesInstanceUID",
    "SliceThickness",
    "StudyInstanceUID",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """One image file of a series.

    Attributes:
        path: the file.
        patient_id: tells two patients apart; never shown.
        study_uid: tells two studies apart; never shown.
        series_uid: tells two series apart; never shown.
        image_uid: the same in exact copies of an image; never shown.
        modality: e.g. CT, MR.
        sop_class: UID of the kind of object.
        image_type: e.g. ORIGINAL, PRIMARY, AXIAL.
        frames: images in the file.
        samples: values per pixel; 3 for a colour picture.
        photometric: e.g. MONOCHROME2.
        shape: (rows, columns).
        position_lps_mm: centre of the first pixel as x, y, z; None if absent or not three numbers.
        axes: LPS directions of growing column (first three) and growing row; None likewise.
        spacing_mm: distance of (rows, columns); None if absent or not positive.
        thickness_mm: nominal slice thickness; 0 if absent.
        rescale: (slope, intercept) from stored values to HU.
        rescale_type: what the rescaled values are; HU or US (unspecified) in a CT.
        padding: stored value of pixels outside the image; None if absent.
        kernel: name of the reconstruction kernel, letters and digits only.
        is_lossy: the pixels were compressed with loss.
        is_encapsulated: the pixels are compressed.
    """

    path: Path
    patient_id: str
    study_uid: str
    series_uid: str
    image_uid: str
    modality: str
    sop_class: str
    image_type: tuple[str, ...]
    frames: int
    samples: int
    photometric: str
    shape: tuple[int, int]
    position_lps_mm: tuple[float, ...] | None
    axes: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    thickness_mm: float
    rescale: tuple[float, float]
    rescale_type: str
    padding: float | None
    kernel: str
    is_lossy: bool
    is_encapsulated: bool


@dataclass(frozen=True, slots=True)
class FolderScan:
    """The DICOM files of a folder: images, and those that ought to be images but are damaged."""

    images: tuple[ImageHeader, ...]
    damaged: tuple[Path, ...]


def is_dicom_file(path: Path) -> bool:
    """Whether a file says of itself that it is DICOM, by its first bytes or its ending."""
    if path.suffix.lower() in _USUAL_ENDINGS:
        return True
    return _has_magic(path)


def scan_folder(folder: Path, *, recursive: bool) -> FolderScan:
    """Read the headers of all DICOM images below `folder`; other files are passed over.

    Exact copies of a file count once.

    Raises:
        OSError: the folder cannot be read.
    """
    images: list[ImageHeader] = []
    damaged: list[Path] = []
    for path in _files(folder, recursive=recursive):
        if not is_dicom_file(path):
            continue
        try:
            header = read_header(path)
        except (InvalidDicomError, ValueError, TypeError, KeyError, EOFError, AttributeError):
            damaged.append(path)
            continue
        if header is not None:
            images.append(header)
    return FolderScan(tuple(_without_copies(images)), tuple(damaged))


def read_header(path: Path) -> ImageHeader | None:
    """The header of one file; None if the file is DICOM but holds no image.

    Raises:
        InvalidDicomError, ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    with warnings.catch_warnings():
        # pydicom quotes ill-formed values in its warnings, and they may be a patient's.
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(
            path, stop_before_pixels=True, force=not _has_magic(path), specific_tags=list(_TAGS)
        )
        if data.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
            return None
        if "SOPClassUID" not in data:
            raise ValueError("no DICOM object")
        return _header(path, data) if "Rows" in data and "Columns" in data else None


def _header(path: Path, data: pydicom.Dataset) -> ImageHeader:
    syntax = getattr(data.file_meta, "TransferSyntaxUID", None)
    spacing = _numbers(data, "PixelSpacing", 2)
    return ImageHeader(
        path=path,
        patient_id=_text(data, "PatientID"),
        study_uid=_text(data, "StudyInstanceUID"),
        series_uid=_text(data, "SeriesInstanceUID"),
        image_uid=_text(data, "SOPInstanceUID"),
        modality=_text(data, "Modality").upper(),
        sop_class=_text(data, "SOPClassUID"),
        image_type=tuple(str(part).upper() for part in _values(data, "ImageType")),
        frames=int(_number(data, "NumberOfFrames", 1)),
        samples=int(_number(data, "SamplesPerPixel", 1)),
        photometric=_text(data, "PhotometricInterpretation").upper(),
        shape=(int(data.Rows), int(data.Columns)),
        position_lps_mm=_numbers(data, "ImagePositionPatient", 3),
        axes=_numbers(data, "ImageOrientationPatient", 6),
        spacing_mm=spacing if spacing and min(spacing) > 0.0 else None,
        thickness_mm=_number(data, "SliceThickness", 0.0),
        rescale=(_number(data, "RescaleSlope", 1.0), _number(data, "RescaleIntercept", 0.0)),
        rescale_type=_text(data, "RescaleType").upper(),
        padding=_optional_number(data, "PixelPaddingValue"),
        kernel="".join(c for c in _text(data, "ConvolutionKernel")[:16] if c.isalnum()),
        is_lossy=_text(data, "LossyImageCompression") == "01",
        is_encapsulated=syntax is not None and syntax.is_encapsulated,
    )


def _values(data: pydicom.Dataset, name: str) -> list[Any]:
    """The values of an element; none if it is absent, empty or unreadable."""
    value = data.get(name)
    if value is None or value == "":
        return []
    is_single = isinstance(value, str) or not hasattr(value, "__iter__")
    return [value] if is_single else list(value)


def _text(data: pydicom.Dataset, name: str) -> str:
    values = _values(data, name)
    return str(values[0]).strip() if values else ""


def _number(data: pydicom.Dataset, name: str, default: float) -> float:
    number = _optional_number(data, name)
    return default if number is None else number


def _optional_number(data: pydicom.Dataset, name: str) -> float | None:
    values = _values(data, name)
    return float(values[0]) if values else None


def _numbers(data: pydicom.Dataset, name: str, count: int) -> tuple[float, ...] | None:
    values = _values(data, name)
    return tuple(float(v) for v in values) if len(values) == count else None


def _files(folder: Path, *, recursive: bool) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders.sort()
        if not recursive:
            folders.clear()
        paths = (Path(parent) / name for name in sorted(names))
        yield from (path for path in paths if path.is_file())  # no broken link, no pipe


def _raise(error: OSError) -> None:
    raise error


def _has_magic(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_PREAMBLE_BYTES + 4)[_PREAMBLE_BYTES:] == b"DICM"


def _without_copies(images: list[ImageHeader]) -> Iterator[ImageHeader]:
    """Pass over files that are bytewise the same as one before."""
    alike = Counter((image.image_uid, image.position_lps_mm) for image in images)
    seen: set[bytes] = set()
    for image in images:
        if alike[image.image_uid, image.position_lps_mm] > 1:
            digest = hashlib.sha256(image.path.read_bytes()).digest()
            if digest in seen:
                continue
            seen.add(digest)
        yield image
