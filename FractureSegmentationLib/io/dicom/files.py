"""Finding the DICOM images of a folder, and reading the headers of a file with pydicom.

The frames of an enhanced (multi-frame) file become one header each, so that everything after this
module treats a slice and a frame alike.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom

from FractureSegmentationLib.io.dicom.headers import (
    ImageHeader,
    count,
    items,
    numbers,
    optional_number,
    quiet_pydicom,
    text,
    values,
)

CT_CLASSES = "1.2.840.10008.5.1.4.1.1.2"
"""UID of plain CT images; those of enhanced and of converted enhanced ones begin with it."""

_DIRECTORY = "1.2.840.10008.1.3.10"  # a DICOMDIR, whatever its file is called
_PREAMBLE_BYTES = 128
# JPEG baseline and extended, and near-lossless JPEG-LS: with loss, whatever the header claims.
_LOSSY_SYNTAXES = frozenset(
    f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 52, 53, 54, 55, 56, 81)
)
_LONGEST_SIDE = 8192
_FURTHEST_MM = 1e5
_FINEST_PIXEL_MM, _COARSEST_PIXEL_MM = 0.02, 20.0
_SLOPES, _LARGEST_INTERCEPT = (1e-4, 1e3), 1e5
_HU_UNITS = frozenset({"", "hnsf'u", "[hnsf'u]", "hu", "1"})
_TAGS = [
    "Columns",
    "ConcatenationUID",
    "ConvolutionKernel",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "LossyImageCompression",
    "Modality",
    "ModalityLUTSequence",
    "NumberOfFrames",
    "PatientID",
    "PerFrameFunctionalGroupsSequence",
    "PhotometricInterpretation",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "PixelRepresentation",
    "PixelSpacing",
    "RealWorldValueMappingSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "SeriesInstanceUID",
    "SharedFunctionalGroupsSequence",
    "SliceThickness",
    "SpecificCharacterSet",
    "VolumetricProperties",
]


def has_dicom_magic(path: Path) -> bool:
    """Whether the first bytes of a file say that it is DICOM.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file():  # a pipe would be waited for
        return False
    with path.open("rb") as file:
        return file.read(_PREAMBLE_BYTES + 4)[_PREAMBLE_BYTES:] == b"DICM"


def read_headers(path: Path) -> tuple[ImageHeader, ...]:
    """The images of one file: one, or one per frame; none if the file is DICOM without an image.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    try:
        with quiet_pydicom():
            data = pydicom.dcmread(
                path, stop_before_pixels=True, force=not has_dicom_magic(path), specific_tags=_TAGS
            )
            return _headers(path, data)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # pydicom raises most kinds of error on ill-formed files
        raise ValueError("the file is damaged") from error


def _headers(path: Path, data: pydicom.Dataset) -> tuple[ImageHeader, ...]:
    if data.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
        return ()
    if "SOPClassUID" not in data:
        raise ValueError("no DICOM object")
    if "Rows" not in data and not text(data, "SOPClassUID").startswith(CT_CLASSES):
        return ()
    whole = _whole(path, data)
    frames = items(data, "PerFrameFunctionalGroupsSequence")
    if not frames:
        return (whole,)
    if len(frames) != whole.frames:
        raise ValueError("the number of frames contradicts their descriptions")
    whole = replace(whole, part_of=text(data, "ConcatenationUID") or whole.image_uid)
    shared = items(data, "SharedFunctionalGroupsSequence")[:1]
    return tuple(_frame(whole, index, [frame, *shared]) for index, frame in enumerate(frames))


def _whole(path: Path, data: pydicom.Dataset) -> ImageHeader:
    """The header of a file as if it held one plain image."""
    syntax = getattr(data.file_meta, "TransferSyntaxUID", None)
    shape = (count(data, "Rows"), count(data, "Columns"))
    if max(shape) > _LONGEST_SIDE:
        raise ValueError("no CT has as many pixels")
    return ImageHeader(
        path=path,
        frame=None,
        part_of="",
        patient_id=text(data, "PatientID"),
        series_uid=text(data, "SeriesInstanceUID"),
        image_uid=text(data, "SOPInstanceUID"),
        modality=text(data, "Modality").upper(),
        sop_class=text(data, "SOPClassUID"),
        image_type=tuple(str(part).strip().upper() for part in values(data, "ImageType")),
        volumetric=text(data, "VolumetricProperties").upper(),
        frames=count(data, "NumberOfFrames", 1),
        samples=count(data, "SamplesPerPixel", 1),
        photometric=text(data, "PhotometricInterpretation").upper(),
        shape=shape,
        position_lps_mm=numbers(data, "ImagePositionPatient", 3, _FURTHEST_MM) or None,
        axes=numbers(data, "ImageOrientationPatient", 6, 2.0) or None,
        spacing_mm=_spacing(data),
        thickness_mm=_thickness(data),
        rescale=_rescale(data),
        rescale_type=_quantity(data, text(data, "RescaleType").upper()),
        padding=_padding(data),
        kernel=_kernel(data),
        is_lossy=text(data, "LossyImageCompression") == "01" or syntax in _LOSSY_SYNTAXES,
    )


def _padding(data: pydicom.Dataset) -> tuple[float, float] | None:
    """Padding is one value, or all from it to a limit on either side."""
    value = optional_number(data, "PixelPaddingValue")
    limit = optional_number(data, "PixelPaddingRangeLimit")
    if value is None:
        return None
    return (value, value) if limit is None else (min(value, limit), max(value, limit))


def _frame(whole: ImageHeader, index: int, groups: Sequence[pydicom.Dataset]) -> ImageHeader:
    """The header of one frame from its functional groups; its own come before the shared ones."""
    kind = _macro(groups, "CTImageFrameTypeSequence")
    measures = _macro(groups, "PixelMeasuresSequence")
    transformation = _macro(groups, "PixelValueTransformationSequence")
    place = _macro(groups, "PlanePositionSequence")
    plane = _macro(groups, "PlaneOrientationSequence")
    frame_type = tuple(str(part).strip().upper() for part in values(kind, "FrameType"))
    rescale_type = text(transformation, "RescaleType").upper() or whole.rescale_type
    return replace(
        whole,
        frame=index,
        frames=1,
        image_type=frame_type or whole.image_type,
        volumetric=text(kind, "VolumetricProperties").upper() or whole.volumetric,
        position_lps_mm=numbers(place, "ImagePositionPatient", 3, _FURTHEST_MM) or None,
        axes=numbers(plane, "ImageOrientationPatient", 6, 2.0) or None,
        spacing_mm=_spacing(measures),
        thickness_mm=_thickness(measures),
        rescale=_rescale(transformation) or whole.rescale,
        rescale_type=_quantity(_holder(groups, "RealWorldValueMappingSequence"), rescale_type),
    )


def _macro(groups: Sequence[pydicom.Dataset], name: str) -> pydicom.Dataset:
    """The item of one functional group; empty if none of `groups` has it."""
    found = [item for group in groups for item in items(group, name)[:1]]
    return found[0] if found else pydicom.Dataset()


def _holder(groups: Sequence[pydicom.Dataset], name: str) -> pydicom.Dataset:
    """The first of `groups` that has the element; else an empty one."""
    return next((group for group in groups if name in group), pydicom.Dataset())


def _spacing(data: pydicom.Dataset) -> tuple[float, ...] | None:
    spacing = numbers(data, "PixelSpacing", 2, _COARSEST_PIXEL_MM)
    return spacing if spacing and min(spacing) >= _FINEST_PIXEL_MM else None


def _thickness(data: pydicom.Dataset) -> float:
    thickness = numbers(data, "SliceThickness", 1, _FURTHEST_MM)
    return thickness[0] if thickness and thickness[0] > 0.0 else 0.0


def _rescale(data: pydicom.Dataset) -> tuple[float, float] | None:
    slope = optional_number(data, "RescaleSlope")
    intercept = optional_number(data, "RescaleIntercept")
    if slope is None and intercept is None:
        return None
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    least, most = _SLOPES
    if not least <= abs(slope) <= most or abs(intercept) > _LARGEST_INTERCEPT:
        raise ValueError("no CT is rescaled so")
    return (slope, intercept)


def _quantity(data: pydicom.Dataset, rescale_type: str) -> str:
    """The rescale type, unless a table or a mapping to real-world values takes its place."""
    if items(data, "ModalityLUTSequence"):
        return "TABLE"
    units = [
        text(unit, "CodeValue")
        for mapping in items(data, "RealWorldValueMappingSequence")
        for unit in items(mapping, "MeasurementUnitsCodeSequence")
    ]
    if not units or any(unit.lower() in _HU_UNITS for unit in units):
        return rescale_type
    return units[0].upper()


def _kernel(data: pydicom.Dataset) -> str:
    return "".join(c for c in text(data, "ConvolutionKernel")[:16] if c.isalnum())


_APPLE_DOUBLE = b"\x00\x05\x16\x07"
_USUAL_ENDINGS = frozenset({".dcm", ".dicom", ".ima"})


@dataclass(frozen=True, slots=True)
class FolderScan:
    """The DICOM files of a folder.

    Attributes:
        images: headers of the images.
        damaged: files that ought to be images but are damaged.
        system_files: files named like DICOM that a system keeps beside the real ones.
    """

    images: tuple[ImageHeader, ...]
    damaged: tuple[Path, ...]
    system_files: tuple[Path, ...] = ()


def is_dicom_file(path: Path) -> bool:
    """Whether a file says of itself that it is DICOM, by its first bytes or its ending.

    Raises:
        OSError: it cannot be read.
    """
    is_named_so = path.suffix.lower() in _USUAL_ENDINGS and not is_system_file(path)
    return is_named_so or has_dicom_magic(path)


def is_system_file(path: Path) -> bool:
    """Whether macOS wrote the file to keep what another file system cannot: `._` and a name.

    Raises:
        OSError: it cannot be read.
    """
    if not path.name.startswith("._"):
        return False
    with path.open("rb") as file:
        return file.read(len(_APPLE_DOUBLE)) == _APPLE_DOUBLE


def scan_folder(folder: Path, *, recursive: bool) -> FolderScan:
    """Read the headers of all DICOM images below `folder`; other files are passed over.

    Exact copies of a file count once.

    Raises:
        OSError: the folder cannot be read.
    """
    images: list[ImageHeader] = []
    damaged: list[Path] = []
    system_files: list[Path] = []
    for path in _files(folder, recursive=recursive):
        if is_system_file(path):
            system_files.append(path)
            continue
        if not is_dicom_file(path):
            continue
        try:
            images.extend(read_headers(path))
        except ValueError:
            damaged.append(path)
    return FolderScan(_without_copies(images), tuple(damaged), tuple(system_files))


def _files(folder: Path, *, recursive: bool) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders.sort()
        if not recursive:
            folders.clear()
        paths = (Path(parent) / name for name in sorted(names))
        yield from (path for path in paths if path.is_file())  # no broken link, no pipe


def _raise(error: OSError) -> None:
    raise error


def _without_copies(images: Sequence[ImageHeader]) -> tuple[ImageHeader, ...]:
    """Pass over files that are bytewise the same as one before."""
    paths: dict[str, list[Path]] = {}
    for image in images:
        same = paths.setdefault(image.image_uid, [])
        if image.path not in same[-1:]:  # the frames of a file follow each other
            same.append(image.path)
    copies: set[Path] = set()
    for alike in paths.values():
        seen: set[bytes] = set()
        for path in alike if len(alike) > 1 else ():
            digest = hashlib.sha256(path.read_bytes()).digest()
            copies.update({path} if digest in seen else ())
            seen.add(digest)
    return tuple(image for image in images if image.path not in copies)
