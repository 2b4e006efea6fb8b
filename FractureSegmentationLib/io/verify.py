"""Whether an image file holds exactly the voxels that its header promises.

SimpleITK returns a truncated NIfTI file, and a damaged compressed MetaImage or NRRD file, as an
image of wrong voxels, without an error, or with what happened to lie in memory. Compressed voxels
are therefore unpacked once before and their checksum compared. Damage inside uncompressed ones
cannot be seen by anyone: those formats hold no checksum.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.image_header import FileHeader, HeaderError
from FractureSegmentationLib.io.metaimage import read_meta_header
from FractureSegmentationLib.io.nifti import opened_nifti, read_nifti_header
from FractureSegmentationLib.io.nrrd import read_nrrd_header

_CHUNK_BYTES = 1 << 20
_MOST_DENSE = 1032
"""No deflate stream unpacks to more bytes per byte of its own."""
_READERS = {
    (".nii", ".nii.gz"): read_nifti_header,
    (".mha", ".mhd"): read_meta_header,
    (".nrrd", ".nhdr"): read_nrrd_header,
}


def read_image_header(path: Path) -> FileHeader:
    """Understand the header of an image file, by the ending of its name.

    Raises:
        HeaderError: it is damaged, contradicts itself, or is of another kind.
        InputError: it is sound, but of a form that is not read.
        OSError: the file cannot be read.
    """
    for endings, reader in _READERS.items():
        if path.name.lower().endswith(endings):
            return reader(path)
    raise HeaderError("no known kind of image file")


def has_whole_voxel_data(path: Path) -> bool:
    """Whether a file has a sound header and all the voxels that it promises.

    Args:
        path: an image file that exists.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        return holds_all_voxels(read_image_header(path))
    except (HeaderError, InputError):
        return False


def holds_all_voxels(header: FileHeader) -> bool:
    """Whether the voxels are there, no more and no fewer than the header says.

    More of them mean a wrong size in the header: the slices would be cut at wrong places.

    Raises:
        OSError: the file cannot be read.
    """
    path = header.voxel_file
    if not path.is_file():
        return False
    available = path.stat().st_size - header.start
    if not header.is_packed:
        return available == header.needed_bytes
    if header.needed_bytes > _MOST_DENSE * (available + 1):
        return False
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return _is_whole_nifti(path, header.needed_bytes)
    return _unpacked_bytes(path, header.start, header.needed_bytes) == header.needed_bytes


def _is_whole_nifti(path: Path, needed: int) -> bool:
    # Such a file may have several parts, as parallel compressors write them.
    count = 0
    try:
        with opened_nifti(path, is_packed=True) as file:
            while count <= needed and (chunk := file.read(_CHUNK_BYTES)):
                count += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False
    return count == needed


def _unpacked_bytes(path: Path, offset: int, most: int) -> int:
    """Size of the zlib or gzip stream at `offset`, unpacked; -1 if damaged or above `most`."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: zlib or gzip, as found
    count = 0
    with path.open("rb") as file:
        file.seek(offset)
        try:
            while not unpacker.eof and count <= most:
                chunk = unpacker.unconsumed_tail or file.read(_CHUNK_BYTES)
                unpacked = unpacker.decompress(chunk, 16 * _CHUNK_BYTES)
                if not chunk and not unpacked:
                    return -1
                count += len(unpacked)
        except zlib.error:
            return -1
    return count if unpacker.eof else -1
