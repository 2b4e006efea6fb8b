"""The header of a NIfTI-1 or NIfTI-2 file in one piece (`.nii`, `.nii.gz`)."""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from FractureSegmentationLib.io.image_header import (
    FileHeader,
    HeaderError,
    Placement,
    finite,
    placement,
    positive,
)
from FractureSegmentationLib.io.nifti_fields import NiftiFields

_GZIP_MAGIC = b"\x1f\x8b"
_READ_BYTES = 544
_NUMBERS = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_SEVERAL_VALUES = {32: 64, 128: 24, 1792: 128, 2304: 32}  # bits of complex numbers and colours
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_MOST_SIZES = 7
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
_MOST_CODE = 5
_MOST_UNITS = 63  # three bits for space, three for time
_ROUNDING = 1e-4
_SMALLEST_SLOPE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NiftiHeader(FileHeader):
    """What a NIfTI file promises.

    Attributes:
        data_offset: byte of the unpacked file at which the voxels begin.
        number: the type of a voxel with its byte order; None where a voxel has several values.
        slope: what a stored number is multiplied with.
        intercept: what is added then.
    """

    data_offset: int
    number: np.dtype[np.generic] | None
    slope: float
    intercept: float


def read_nifti_header(path: Path) -> NiftiHeader:
    """Understand the header of a NIfTI file.

    Returns:
        The promise; `placements` are the sform's and the qform's, as far as the file has them.

    Raises:
        HeaderError: it is damaged or contradicts itself.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP_MAGIC
    try:
        with opened_nifti(path, is_packed=is_packed) as file:
            fields = NiftiFields(file.read(_READ_BYTES))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HeaderError("the compression is damaged") from error
    sizes = _sizes(fields)
    number, voxel_bytes = _number(fields)
    data_offset = _data_offset(fields)
    slope, intercept = _scale(fields)
    spacing_mm, placements = _place(fields)
    return NiftiHeader(
        sizes=sizes,
        components=1 if number is not None else 2,
        voxel_file=path,
        start=0,
        needed_bytes=data_offset + math.prod(sizes) * voxel_bytes,
        is_packed=is_packed,
        placements=placements,
        spacing_mm=spacing_mm,
        data_offset=data_offset,
        number=number,
        slope=slope,
        intercept=intercept,
    )


def opened_nifti(path: Path, *, is_packed: bool) -> IO[bytes]:
    """The file, unpacked while it is read."""
    return cast("IO[bytes]", gzip.open(path)) if is_packed else path.open("rb")


def _sizes(fields: NiftiFields) -> tuple[int, ...]:
    count, *sizes = (int(n) for n in fields.get(fields.layout.dim))
    if not 1 <= count <= _MOST_SIZES or min(sizes[:count]) < 1:
        raise HeaderError("impossible dimensions")
    return tuple(sizes[:count])


def _number(fields: NiftiFields) -> tuple[np.dtype[np.generic] | None, int]:
    """The type of a voxel, and its bytes."""
    layout = fields.layout
    kind, bits = (int(fields.get(field)[0]) for field in (layout.kind, layout.bits))
    number = np.dtype(fields.order + _NUMBERS[kind]) if kind in _NUMBERS else None
    if bits != (number.itemsize * 8 if number is not None else _SEVERAL_VALUES.get(kind)):
        raise HeaderError("the kind of number does not have the size given")
    return number, bits // 8


def _data_offset(fields: NiftiFields) -> int:
    offset = fields.get(fields.layout.data_offset)[0]
    if not fields.layout.header_bytes + 4 <= offset < 2**40 or offset != int(offset):
        raise HeaderError("impossible place of the voxels")
    return int(offset)


def _scale(fields: NiftiFields) -> tuple[float, float]:
    slope, intercept = fields.get(fields.layout.scale)
    if not slope or math.isnan(slope):
        # Both stand for "no scale"; readers differ in whether an intercept counts all the same.
        if intercept and not math.isnan(intercept):
            raise HeaderError("impossible scale of the values")
        return 1.0, 0.0
    finite([slope, intercept])
    if abs(slope) < _SMALLEST_SLOPE:  # readers differ in whether that is "no scale"
        raise HeaderError("impossible scale of the values")
    return slope, intercept


def _place(fields: NiftiFields) -> tuple[tuple[float, float, float], tuple[Placement, ...]]:
    """Voxel sizes in mm, and where sform and qform put the voxels."""
    layout = fields.layout
    qfac, *lengths = fields.get(layout.pixdim)
    spacing = positive(lengths[:3])
    units = int(fields.get(layout.units)[0])
    factor = _MM_PER_UNIT.get(units & 7)
    if factor is None or not 0 <= units <= _MOST_UNITS:
        raise HeaderError("unknown unit of length")
    qform_code, sform_code = fields.get(layout.codes)
    if not (0 <= qform_code <= _MOST_CODE and 0 <= sform_code <= _MOST_CODE):
        raise HeaderError("unknown kind of coordinates")
    found = []
    if sform_code > 0:
        rows = finite(fields.get(layout.rows)).reshape(3, 4)
        found.append(_in_lps(rows * factor))
    if qform_code > 0:
        found.append(_in_lps(_qform(fields, spacing, qfac) * factor))
    i_mm, j_mm, k_mm = (float(length) for length in spacing * factor)
    return (i_mm, j_mm, k_mm), tuple(found)


def _qform(fields: NiftiFields, spacing: Placement, qfac: float) -> Placement:
    """(3, 4) in RAS and the unit of the file."""
    if qfac not in {-1.0, 0.0, 1.0}:
        raise HeaderError("unknown handedness")
    *imaginary, x, y, z = finite(fields.get(fields.layout.quaternion)).tolist()
    turned = _rotation(imaginary) * spacing
    turned[:, 2] *= -1.0 if qfac < 0 else 1.0
    return np.column_stack([turned, [x, y, z]])


def _in_lps(matrix: Placement) -> Placement:
    turned = _RAS_TO_LPS @ matrix
    return placement(turned[:, :3], turned[:, 3])


def _rotation(imaginary: list[float]) -> Placement:
    b, c, d = imaginary
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < -_ROUNDING:
        raise HeaderError("the quaternion is no rotation")
    a = math.sqrt(max(rest, 0.0))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
