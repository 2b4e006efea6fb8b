"""NIfTI-1 and NIfTI-2 files in one piece (`.nii`, `.nii.gz`): their headers and their voxels.

Voxels are read without the NIfTI library behind SimpleITK: that one turns NaN into 0 HU, and takes
the voxels of `ct.nii` for those of `ct.nii.gz` where both lie in one folder. An affine that is
degenerate is refused in `_checked_affines`, one that is sheared in `image_file.py`.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import SimpleITK as sitk

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.image_header import (
    Affine,
    FileHeader,
    HeaderError,
    checked_affine,
    finite,
    positive,
)
from FractureSegmentationLib.types import FloatArray

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
_SMALLEST_SLOPE = 1e-12
_SINGLE_PRECISION = 1e-6


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a NIfTI version keeps its fields: byte offset and struct code of each."""

    header_bytes: int
    magic: tuple[int, bytes]
    dim: tuple[int, str]
    kind: tuple[int, str]
    bits: tuple[int, str]
    pixdim: tuple[int, str]
    data_offset: tuple[int, str]
    scale: tuple[int, str]
    units: tuple[int, str]
    codes: tuple[int, str]
    quaternion: tuple[int, str]
    rows: tuple[int, str]


_LAYOUTS = (
    _Layout(
        348,
        (344, b"n+1\0"),
        (40, "8h"),
        (70, "h"),
        (72, "h"),
        (76, "8f"),
        (108, "f"),
        (112, "2f"),
        (123, "B"),
        (252, "2h"),
        (256, "6f"),
        (280, "12f"),
    ),
    _Layout(
        540,
        (4, b"n+2\0\r\n\x1a\n"),
        (16, "8q"),
        (12, "h"),
        (14, "h"),
        (104, "8d"),
        (168, "q"),
        (176, "2d"),
        (500, "i"),
        (344, "2i"),
        (352, "6d"),
        (400, "12d"),
    ),
)


class NiftiFields:
    """The fields of one header.

    Attributes:
        layout: where each is.
        order: the byte order, < or >.

    Args:
        header: the first 544 bytes of the file, or all there are.

    Raises:
        HeaderError: it is no NIfTI header.
    """

    def __init__(self, header: bytes) -> None:
        self._header = header
        self.layout, self.order = self._recognised()

    def get(self, field: tuple[int, str]) -> tuple[float, ...]:
        """The values of a field."""
        return struct.unpack_from(self.order + field[1], self._header, field[0])

    def _recognised(self) -> tuple[_Layout, str]:
        for layout in _LAYOUTS:
            offset, magic = layout.magic
            for order in "<>":
                if (
                    len(self._header) >= layout.header_bytes
                    and struct.unpack_from(f"{order}i", self._header)[0] == layout.header_bytes
                    and self._header[offset : offset + len(magic)] == magic
                ):
                    return layout, order
        raise HeaderError("no NIfTI header")


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
        The promise; `affines` are the sform's and the qform's, as far as the file has them.

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
    spacing_mm, affines = _checked_affines(fields)
    return NiftiHeader(
        sizes=sizes,
        components=1 if number is not None else 2,
        voxel_file=path,
        start=0,
        needed_bytes=data_offset + math.prod(sizes) * voxel_bytes,
        is_packed=is_packed,
        affines=affines,
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


def _checked_affines(
    fields: NiftiFields,
) -> tuple[tuple[float, float, float], tuple[Affine, ...]]:
    """Voxel sizes in mm, and where sform and qform put the voxels."""
    layout = fields.layout
    qfac, *lengths = fields.get(layout.pixdim)
    spacing = positive(_without_sign(lengths[:3], has_sform=fields.get(layout.codes)[1] > 0))
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


def _without_sign(lengths: Sequence[float], *, has_sform: bool) -> Sequence[float]:
    """Voxel sizes that an old program made negative to say that an axis is flipped.

    The sform says how the axes lie; without one the sign cannot be understood.

    Raises:
        InputError: there is none.
    """
    if all(not length < 0.0 for length in lengths):
        return lengths
    if not has_sform:
        raise InputError(
            "The header gives a negative voxel size (pixdim), so it is open how the axes lie.",
            "Convert the DICOM series again, e.g. with dcm2niix, or give the series itself.",
        )
    return [abs(length) for length in lengths]


def _qform(fields: NiftiFields, spacing: Affine, qfac: float) -> Affine:
    """(3, 4) in RAS and the unit of the file."""
    if qfac not in {-1.0, 0.0, 1.0}:
        raise HeaderError("unknown handedness")
    *imaginary, x, y, z = finite(fields.get(fields.layout.quaternion)).tolist()
    turned = _rotation(imaginary) * spacing
    turned[:, 2] *= -1.0 if qfac < 0 else 1.0
    return np.column_stack([turned, [x, y, z]])


def _in_lps(matrix: Affine) -> Affine:
    turned = _RAS_TO_LPS @ matrix
    return checked_affine(turned[:, :3], turned[:, 3])


def _rotation(imaginary: list[float]) -> Affine:
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


def read_nifti_image(header: NiftiHeader) -> sitk.Image:
    """The three-dimensional image of a NIfTI file; further axes have one voxel.

    The sform places it, or else the qform. A file without either is taken for one in LPS.

    Raises:
        HeaderError: a voxel has several values, or the voxels are not there as promised.
        OSError: the file cannot be read.
    """
    voxels = _voxels(header).reshape(header.sizes[2::-1])
    image = sitk.GetImageFromArray(_scaled(voxels, header))
    image.SetSpacing(header.spacing_mm)
    if header.affines:
        columns, origin = header.affines[0][:, :3], header.affines[0][:, 3]
        sizes_mm = np.linalg.norm(columns, axis=0)
        if not np.allclose(sizes_mm, header.spacing_mm, rtol=_SINGLE_PRECISION):
            image.SetSpacing(sizes_mm.tolist())
        image.SetOrigin(origin.tolist())
        image.SetDirection(_straightened(columns).ravel().tolist())
    return image


def _voxels(header: NiftiHeader) -> FloatArray:
    if header.number is None:
        raise HeaderError("a voxel has several values")
    try:
        with opened_nifti(header.voxel_file, is_packed=header.is_packed) as file:
            file.seek(header.data_offset)
            content = file.read(header.needed_bytes - header.data_offset)
            # Only the end of a compressed file tells whether its checksum fits.
            has_more = bool(file.read(1))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HeaderError("the compression is damaged") from error
    if has_more or len(content) != header.needed_bytes - header.data_offset:
        raise HeaderError("the file does not hold as many voxels as promised")
    voxels: FloatArray = np.frombuffer(content, header.number)
    return voxels


def _scaled(voxels: FloatArray, header: NiftiHeader) -> FloatArray:
    if (header.slope, header.intercept) == (1.0, 0.0):
        return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    exact = voxels.astype(np.float64) * header.slope + header.intercept
    return exact.astype(np.float32)


def _straightened(columns: FloatArray) -> FloatArray:
    """The nearest orthonormal axes: headers hold single precision."""
    u, _, vt = np.linalg.svd(columns / np.linalg.norm(columns, axis=0))
    axes: FloatArray = u @ vt
    return axes
