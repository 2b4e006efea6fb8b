"""The header of an NRRD file (`.nrrd`, `.seg.nrrd`, or `.nhdr` with its voxels beside it)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

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

_MAGIC = re.compile(r"NRRD000[1-6]")
_KEY_VALUE = re.compile(r"[^:]*:=")
_VECTOR = re.compile(r"\(([^()]*)\)|none")
_VECTORS = re.compile(r"(\([^()]*\)|none)(\s+(\([^()]*\)|none))*")
_QUOTED = re.compile(r'"([^"]*)"|(\S+)')
_TYPES = {
    1: "signed char, int8, int8_t, uchar, unsigned char, uint8, uint8_t",
    2: "short, short int, signed short, signed short int, int16, int16_t, ushort, unsigned short, "
    "unsigned short int, uint16, uint16_t",
    4: "int, signed int, int32, int32_t, uint, unsigned int, uint32, uint32_t, float",
    8: "longlong, long long, long long int, signed long long, signed long long int, int64, "
    "int64_t, ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t, double",
}
_BYTES_OF = {name: size for size, names in _TYPES.items() for name in names.split(", ")}
_TO_LPS: dict[str, tuple[int, int, int]] = {
    "left-posterior-superior": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
}
_SHORT_SPACES = {"lps": 0, "ras": 1, "las": 2}
_UNPLACED_SPACES = frozenset({"scanner-xyz", "3d-right-handed", "3d-left-handed"})
_SYNONYMS = {
    "datafile": "data file",
    "lineskip": "line skip",
    "byteskip": "byte skip",
    "centers": "centerings",
    "axismins": "axis mins",
    "axismaxs": "axis maxs",
    "oldmin": "old min",
    "oldmax": "old max",
    "sampleunits": "sample units",
    "blocksize": "block size",
}
_FIELDS = frozenset(
    {
        "dimension", "type", "encoding", "endian", "sizes", "spacings", "thicknesses", "axis mins",
        "axis maxs", "centerings", "labels", "units", "kinds", "min", "max", "old min", "old max",
        "content", "sample units", "data file", "line skip", "byte skip", "number", "space",
        "space dimension", "space units", "space origin", "space directions", "measurement frame",
    }
)  # fmt: skip
_SPATIAL_KINDS = frozenset({"domain", "space"})
_MM = frozenset({"mm", "millimeter", "millimeters", "millimetre", "millimetres", ""})


def read_nrrd_header(path: Path) -> FileHeader:
    """Understand the header of an NRRD file.

    Returns:
        The promise; one affine if the file names an anatomical space, else none.

    Raises:
        HeaderError: it is damaged or contradicts itself.
        InputError: it is sound, but of a form that is not read.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        fields = _fields(header_lines(file, last=""))
        after_header = file.tell()
    sizes = parse_sizes(_required(fields, "sizes"))
    if _required(fields, "dimension") != str(len(sizes)):
        raise HeaderError("the sizes do not have the dimension given")
    value_bytes = _BYTES_OF.get(_required(fields, "type"))
    if value_bytes is None:
        raise HeaderError("unknown type")
    if value_bytes > 1 and _required(fields, "endian") not in {"little", "big"}:
        raise HeaderError("unknown byte order")
    is_packed = _is_packed(fields)
    skipped = _skipped_bytes(fields, is_packed=is_packed)
    name = fields.get("data file")
    spatial = _spatial_axes(fields, len(sizes))
    _refuse_other_units(fields)
    voxel_file = path if name is None else sibling(path, name)
    needed_bytes = math.prod(sizes) * value_bytes
    start = after_header if name is None else start_of_voxels(voxel_file, skipped, needed_bytes)
    return FileHeader(
        sizes=tuple(sizes[axis] for axis in spatial),
        components=math.prod(sizes) // math.prod(sizes[axis] for axis in spatial),
        voxel_file=voxel_file,
        start=start,
        needed_bytes=needed_bytes,
        is_packed=is_packed,
        spacing_mm=_spacing_mm(fields, spatial, len(sizes)),
        affines=_affines(fields, spatial, len(sizes)),
    )


def _fields(lines: list[str]) -> dict[str, str]:
    if not lines or not _MAGIC.fullmatch(lines[0]):
        raise HeaderError("no NRRD header")
    pairs = []
    for line in lines[1:]:
        if line.startswith("#"):
            continue
        if _KEY_VALUE.match(line):
            # Readers differ in whether such a line is the field of that name.
            if line.partition(":=")[0].strip() in _FIELDS:
                raise HeaderError("a line of the header is no field")
            continue
        name, colon, value = line.partition(": ")
        known = _SYNONYMS.get(name, name)
        if not colon or known not in _FIELDS:
            raise HeaderError("a line of the header is no field")
        pairs.append((known, value.strip()))
    reject_duplicate_fields([name for name, _ in pairs])
    return dict(pairs)


def _required(fields: Mapping[str, str], name: str) -> str:
    if name not in fields:
        raise HeaderError(f"the field {name} is missing")
    return fields[name]


def _is_packed(fields: Mapping[str, str]) -> bool:
    encoding = _required(fields, "encoding")
    if encoding in {"gzip", "gz"}:
        return True
    if encoding == "raw":
        return False
    if encoding in {"txt", "text", "ascii", "hex", "bzip2", "bz2"}:
        raise InputError(
            f"The voxels of the NRRD file are encoded as {encoding}, which is not read.",
            "Save it with the encoding raw or gzip.",
        )
    raise HeaderError("unknown encoding")


def _skipped_bytes(fields: Mapping[str, str], *, is_packed: bool) -> int:
    text = fields.get("byte skip", "0")
    if not (text.isdecimal() or text == "-1") or fields.get("line skip", "0") != "0":
        raise HeaderError("the voxels do not begin at a known place")
    if int(text) and (is_packed or "data file" not in fields):
        raise HeaderError("the voxels do not begin at a known place")
    return int(text)


def _spatial_axes(fields: Mapping[str, str], count: int) -> list[int]:
    """The axes along which voxels lie; another one, if any, counts the values of a voxel."""
    kinds = fields.get("kinds", " ".join(["domain"] * count)).lower().split()
    if len(kinds) != count:
        raise HeaderError("the kinds do not have the dimension given")
    axes = [axis for axis, kind in enumerate(kinds) if kind in _SPATIAL_KINDS]
    if not axes or count - len(axes) > 1:
        raise HeaderError("unknown meaning of the axes")
    return axes


def _affines(fields: Mapping[str, str], spatial: list[int], count: int) -> tuple[Affine, ...]:
    if "space directions" not in fields or fields.get("space dimension", "3") != "3":
        return ()
    columns = _columns(fields["space directions"], spatial, count)
    origin = np.zeros(3)
    if "space origin" in fields:
        origin = _vectors(fields["space origin"], 1)[0]
    space = fields.get("space", "").lower()
    long_names = list(_TO_LPS)
    space = long_names[_SHORT_SPACES[space]] if space in _SHORT_SPACES else space
    if space in _TO_LPS:
        signs = np.diag(_TO_LPS[space])
        return (checked_affine(signs @ columns, signs @ origin),)
    if space in _UNPLACED_SPACES or (not space and "space dimension" in fields):
        checked_affine(columns, origin)
        return ()
    raise HeaderError("unknown space")


def _spacing_mm(fields: Mapping[str, str], spatial: list[int], count: int) -> tuple[float, ...]:
    lengths = fields.get("spacings", "").split()
    if "space directions" in fields:
        if lengths:
            raise HeaderError("the file gives voxel sizes twice")
        return ()
    if len(lengths) != count:
        raise HeaderError("the file does not say how large its voxels are")
    given = parse_numbers([lengths[axis] for axis in spatial], len(spatial))
    return tuple(positive(given.tolist()).tolist())


def _columns(text: str, spatial: list[int], count: int) -> npt.NDArray[np.float64]:
    words = [match[0] for match in _VECTOR.finditer(text)]
    if len(words) != count or not _VECTORS.fullmatch(text):
        raise HeaderError("the directions do not have the dimension given")
    given = [axis for axis, word in enumerate(words) if word != "none"]
    if given != spatial or len(given) != 3:
        raise InputError("The image is not three-dimensional.", "Give a three-dimensional CT.")
    return np.array([_vectors(words[axis], 1)[0] for axis in given]).T


def _vectors(text: str, count: int) -> list[npt.NDArray[np.float64]]:
    found = [match[1] for match in _VECTOR.finditer(text)]
    if len(found) != count or None in found or not _VECTORS.fullmatch(text):
        raise HeaderError("expected a vector")
    return [parse_numbers([w.strip() for w in one.split(",")], 3) for one in found]


def _refuse_other_units(fields: Mapping[str, str]) -> None:
    for name in ("space units", "units"):
        for quoted, bare in _QUOTED.findall(fields.get(name, "")):
            if (quoted or bare).strip().lower() not in _MM | {"???", "none"}:
                raise InputError(
                    "The file does not measure in millimetres.", "Export it again in millimetres."
                )
