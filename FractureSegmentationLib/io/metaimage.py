"""The header of a MetaImage file (`.mha`, or `.mhd` with its voxels beside it)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.image_header import (
    Affine,
    FileHeader,
    HeaderError,
    checked_affine,
    header_lines,
    parse_numbers,
    parse_sizes,
    positive,
    reject_duplicate_fields,
    sibling,
    start_of_voxels,
)

_LAST = "ElementDataFile"
_BYTES_OF = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}
_SYNONYMS = {
    "Rotation": "TransformMatrix",
    "Orientation": "TransformMatrix",
    "Position": "Offset",
    "Origin": "Offset",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}
_COUNTED = frozenset(
    {"DimSize", "TransformMatrix", "Offset", "CenterOfRotation", "ElementSpacing", "ElementSize"}
)
_NAME = re.compile(r"[A-Za-z0-9_.|()\[\]+ -]+")
_TRUTH = {"true": True, "false": False, "1": True, "0": False}


def read_meta_header(path: Path) -> FileHeader:
    """Understand the header of a MetaImage file.

    Returns:
        The promise; one affine if the file says how its axes lie, else none.

    Raises:
        HeaderError: it is damaged or contradicts itself.
        InputError: it is sound, but of a form that is not read.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        fields = _fields(header_lines(file, last=_LAST))
        after_header = file.tell()
    sizes = parse_sizes(fields.get("DimSize", ""))
    if fields.get("NDims") != str(len(sizes)):
        raise HeaderError("the sizes do not have the dimension given")
    value_bytes = _BYTES_OF.get(fields.get("ElementType", "").removesuffix("_ARRAY"))
    if value_bytes is None:
        raise HeaderError("unknown type")
    components = parse_sizes(fields.get("ElementNumberOfChannels", "1"))[0]
    _refuse_unread(fields)
    name = fields[_LAST]
    is_local = name.upper() == "LOCAL"
    voxel_file = path if is_local else sibling(path, name)
    needed_bytes = math.prod(sizes) * components * value_bytes
    skipped = _skipped_bytes(fields)
    start = after_header if is_local else start_of_voxels(voxel_file, skipped, needed_bytes)
    _refuse_other_stream(fields, voxel_file, start)
    spacing_mm, affines = _place(fields, len(sizes))
    return FileHeader(
        sizes=sizes,
        components=components,
        voxel_file=voxel_file,
        start=start,
        needed_bytes=needed_bytes,
        is_packed=_is_true(fields, "CompressedData", default=False),
        spacing_mm=spacing_mm,
        affines=affines,
    )


def _fields(lines: list[str]) -> dict[str, str]:
    pairs = []
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise HeaderError("a line of the header is no field")
        pairs.append((_SYNONYMS.get(name.strip(), name.strip()), value.strip()))
    names = [name for name, _ in pairs]
    reject_duplicate_fields(names)
    if "NDims" in names and any(name in _COUNTED for name in names[: names.index("NDims")]):
        raise HeaderError("the number of dimensions has to come first")
    return dict(pairs)


def _is_true(fields: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = fields.get(name)
    if text is None:
        return default
    if text.lower() not in _TRUTH:
        raise HeaderError(f"{name} is neither true nor false")
    return _TRUTH[text.lower()]


def _refuse_unread(fields: Mapping[str, str]) -> None:
    """Refuse what is allowed in a MetaImage file but would change the meaning of its voxels."""
    if fields.get("ObjectType", "Image") != "Image":
        raise HeaderError("no image")
    if not _is_true(fields, "BinaryData", default=False):
        raise InputError("The voxels are stored as text, which is not read.", "Save them binary.")
    _is_true(fields, "BinaryDataByteOrderMSB", default=False)
    if fields.get("DistanceUnits", "mm") not in {"mm", "?"}:
        raise InputError(
            "The file does not measure in millimetres.", "Export it again in millimetres."
        )
    slope = fields.get("ElementToIntensityFunctionSlope", "1").split()
    offset = fields.get("ElementToIntensityFunctionOffset", "0").split()
    if parse_numbers(slope, 1)[0] != 1.0 or parse_numbers(offset, 1)[0] != 0.0:
        raise InputError(
            "The file holds values that still have to be scaled.", "Export the scaled values."
        )
    if fields.get("HeaderSize", "0") != "0" and fields[_LAST].upper() == "LOCAL":
        raise HeaderError("the voxels do not begin at a known place")


def _skipped_bytes(fields: Mapping[str, str]) -> int:
    text = fields.get("HeaderSize", "0")
    is_at_end = text == "-1" and not _is_true(fields, "CompressedData", default=False)
    if not text.isdecimal() and not is_at_end:
        raise HeaderError("the voxels do not begin at a known place")
    return int(text)


def _refuse_other_stream(fields: Mapping[str, str], voxel_file: Path, start: int) -> None:
    """Without the right number of packed bytes MetaIO gives chance voxels and no error."""
    if _is_true(fields, "CompressedData", default=False):
        there = voxel_file.stat().st_size - start if voxel_file.is_file() else None
        if fields.get("CompressedDataSize") != str(there):
            raise HeaderError("the compressed voxels do not have the size given")


def _place(fields: Mapping[str, str], count: int) -> tuple[tuple[float, ...], tuple[Affine, ...]]:
    """Voxel sizes, and where the voxels lie if the file says so."""
    unit = np.eye(count).ravel().astype(str).tolist()
    matrix = parse_numbers(fields.get("TransformMatrix", " ".join(unit)).split(), count**2)
    offset = parse_numbers(fields.get("Offset", "0 " * count).split(), count)
    # Of no meaning, but too few numbers make MetaIO read on in the next line.
    parse_numbers(fields.get("CenterOfRotation", "0 " * count).split(), count)
    lengths = fields.get("ElementSpacing", fields.get("ElementSize", "1 " * count)).split()
    spacing = positive(parse_numbers(lengths, count).tolist())[:3]
    spacing_mm = tuple(spacing.tolist())
    if count < 3 or "TransformMatrix" not in fields:
        return spacing_mm, ()
    # The rows of the matrix are the axes i, j and k.
    columns = matrix.reshape(count, count)[:3, :3].T * spacing
    return spacing_mm, (checked_affine(columns, offset[:3]),)
