"""Whether an image file is complete, where SimpleITK itself does not notice.

SimpleITK returns a truncated NIfTI file, and a damaged compressed MetaImage or NRRD file, as an
image of wrong voxels, without an error. It does compare the checksum of `.nii.gz` files. Damage
inside uncompressed voxels cannot be seen by anyone: those formats hold no checksum.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

_CHUNK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_HEADER_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class _NiftiLayout:
    """Where a NIfTI version keeps what its size depends on: byte offsets and struct codes."""

    header_bytes: int
    dimensions: tuple[int, str]
    bits: tuple[int, str]
    data_offset: tuple[int, str]


_NIFTI_LAYOUTS = (
    _NiftiLayout(348, (40, "8h"), (72, "h"), (108, "f")),
    _NiftiLayout(540, (16, "8q"), (14, "h"), (168, "q")),
)


def is_whole(path: Path) -> bool:
    """Whether a file holds all the voxels that its header promises.

    Args:
        path: an image file that exists. Kinds that SimpleITK checks itself are taken as whole.

    Raises:
        OSError: the file cannot be read.
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _is_whole_nifti(path)
    if name.endswith((".mha", ".mhd")):
        return _is_whole_metaimage(path)
    if name.endswith((".nrrd", ".nhdr")):
        return _is_whole_nrrd(path)
    return True


def _is_whole_nifti(path: Path) -> bool:
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP_MAGIC
    try:
        with _opened(path, is_packed=is_packed) as file:
            header = file.read(_LONGEST_HEADER_BYTES)
            needed = _nifti_bytes(header)
            if needed is None:
                return False
            if not is_packed:
                return path.stat().st_size >= needed
            # The last four bytes of a gzip file are the size of what it holds. Files of several
            # parts give only that of the last one: then counting decides.
            if _gzip_size(path) == needed % 2**32:
                return True
            return len(header) + _count_bytes(file) >= needed
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False


def _opened(path: Path, *, is_packed: bool) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if is_packed else path.open("rb")


def _nifti_bytes(header: bytes) -> int | None:
    """Size of the unpacked file by its header; None if the header is none."""
    for layout in _NIFTI_LAYOUTS:
        for order in "<>":
            if len(header) < layout.header_bytes:
                continue
            if struct.unpack_from(f"{order}i", header)[0] != layout.header_bytes:
                continue
            count, *sizes = _field(header, order, layout.dimensions)
            bits, offset = (
                _field(header, order, field)[0] for field in (layout.bits, layout.data_offset)
            )
            voxels = math.prod(max(int(n), 1) for n in sizes[: int(count)])
            return int(offset) + voxels * int(bits) // 8
    return None


def _field(header: bytes, order: str, field: tuple[int, str]) -> tuple[float, ...]:
    offset, code = field
    return struct.unpack_from(order + code, header, offset)


def _gzip_size(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(-4, 2)
        return int.from_bytes(file.read(4), "little")


def _count_bytes(file: IO[bytes]) -> int:
    count = 0
    while chunk := file.read(_CHUNK_BYTES):
        count += len(chunk)
    return count


def _is_whole_metaimage(path: Path) -> bool:
    """Unpack the voxels, if they are compressed; the checksum at their end must fit."""
    fields, data_offset = _header_fields(path, separator="=", last="elementdatafile")
    if fields.get("compresseddata", "").lower() != "true":
        return True
    data_name = fields.get("elementdatafile", "LOCAL")
    if data_name.upper() == "LOCAL":
        return _unpacks(path, data_offset)
    return _unpacks(path.with_name(Path(data_name).name), 0)


def _is_whole_nrrd(path: Path) -> bool:
    """The same for NRRD, whose voxels may lie in a file of their own."""
    fields, data_offset = _header_fields(path, separator=":", last="")
    if fields.get("encoding", "").lower() not in {"gzip", "gz"}:
        return True
    data_name = fields.get("data file", fields.get("datafile"))
    if data_name is None:
        return _unpacks(path, data_offset)
    if data_name.upper().startswith("LIST") or "%" in data_name:
        return True  # many files, which this program does not write
    return _unpacks(path.with_name(Path(data_name).name), 0)


def _header_fields(path: Path, *, separator: str, last: str) -> tuple[dict[str, str], int]:
    """The lines `name<separator>value` of a text header, and the offset of what follows it.

    Args:
        path: the file.
        separator: between name and value.
        last: name of the line that ends the header; "" if an empty line does.

    Returns:
        Values by name in lower case, and the offset in bytes.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_HEADER_BYTES):
            text = line.decode("latin-1").strip()
            name, _, value = text.partition(separator)
            fields[name.strip().lower()] = value.strip()
            if name.strip().lower() == last:
                break
        return fields, file.tell()


def _unpacks(path: Path, offset: int) -> bool:
    """Whether a zlib or gzip stream begins at `offset`, is complete and fits its checksum."""
    if not path.is_file():
        return False
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: zlib or gzip, as found
    with path.open("rb") as file:
        file.seek(offset)
        try:
            while (chunk := file.read(_CHUNK_BYTES)) and not unpacker.eof:
                unpacker.decompress(chunk)
        except zlib.error:
            return False
    return unpacker.eof
