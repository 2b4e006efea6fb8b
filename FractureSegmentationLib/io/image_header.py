"""What the header of an image file promises, read by ourselves and strictly.

The reader behind SimpleITK takes a header that contradicts itself for something, fills up what is
missing, and may end the whole process. So every header is understood here first; what is then read
has to agree with it.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.errors import InputError

Affine = npt.NDArray[np.float64]
"""(3, 4) matrix from (i, j, k, 1) to x, y, z in LPS, mm."""

MOST_DIMENSIONS = 8
MOST_VOXELS = 2**31
"""Beyond every CT: 1024 x 1024 pixels in 2048 slices."""

_LONGEST_LINE_BYTES = 1 << 16
_LONGEST_HEADER_BYTES = 1 << 24
_PATTERN = re.compile(r".*%\d*[di].*(\s+-?\d+){2,3}")  # name%03d.raw first last step
_COUNT = re.compile(r"\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")


class HeaderError(ValueError):
    """The header is damaged, contradicts itself, or belongs to another kind of file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileHeader:
    """What a file promises.

    Attributes:
        sizes: number of voxels along (i, j, k, ...), without the axis of the values of a voxel.
        components: values per voxel.
        voxel_file: the file that holds the voxels.
        start: byte of that file at which the voxels, or the packed stream, begin.
        needed_bytes: what follows from there, unpacked.
        is_packed: whether a gzip or zlib stream begins there.
        spacing_mm: voxel size along (i, j, k) as far as the file says it apart from `affines`.
        affines: where the voxels lie, most trusted first; empty where the file does not say.
    """

    sizes: tuple[int, ...]
    components: int
    voxel_file: Path
    start: int
    needed_bytes: int
    is_packed: bool
    spacing_mm: tuple[float, ...] = ()
    affines: tuple[Affine, ...] = ()


def header_lines(file: IO[bytes], *, last: str) -> list[str]:
    """The lines of a text header; `file` stands behind them afterwards.

    Args:
        file: at its beginning.
        last: name of the field whose line ends the header; "" if an empty line does, or the end of
            the file.

    Raises:
        HeaderError: the header does not end, or is far too long.
    """
    lines: list[str] = []
    while line := file.readline(_LONGEST_LINE_BYTES):
        is_cut = len(line) == _LONGEST_LINE_BYTES or file.tell() > _LONGEST_HEADER_BYTES
        if is_cut or b"\0" in line:
            raise HeaderError("the header does not end")
        # A name that is not UTF-8 keeps its bytes, as names from the file system do.
        text = line.decode("utf-8", "surrogateescape").strip()
        if not text and not last:
            return lines
        lines.append(text)
        if last and text.partition("=")[0].strip() == last:
            return lines
    if last:
        raise HeaderError("the header does not end")
    return lines


def reject_duplicate_fields(names: Sequence[str]) -> None:
    """Refuse a field that is there twice: readers differ in which of the two they take.

    Raises:
        HeaderError: there is one.
    """
    if len(set(names)) < len(names):
        raise HeaderError("a field is there twice")


def parse_sizes(text: str) -> tuple[int, ...]:
    """Positive whole numbers, one per axis.

    Raises:
        HeaderError: it is something else.
    """
    words = text.split()
    if not 1 <= len(words) <= MOST_DIMENSIONS or not all(_COUNT.fullmatch(w) for w in words):
        raise HeaderError("the sizes are not whole numbers")
    sizes = tuple(int(word) for word in words)
    if min(sizes) < 1:
        raise HeaderError("an axis has no voxel")
    return sizes


def parse_numbers(words: Sequence[str], count: int) -> npt.NDArray[np.float64]:
    """So many finite numbers, no more and no less.

    Raises:
        HeaderError: it is something else.
    """
    if len(words) != count or not all(_NUMBER.fullmatch(word) for word in words):
        raise HeaderError(f"expected {count} numbers")
    return finite([float(word) for word in words])


def finite(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """The values as an array.

    Raises:
        HeaderError: one of them is NaN or infinite.
    """
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        raise HeaderError("a number is not finite")
    return array


def positive(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """Voxel sizes as an array.

    Raises:
        HeaderError: one of them is not a positive length.
    """
    array = finite(values)
    if not (array > 0.0).all():
        raise HeaderError("a voxel size is not positive")
    return array


def checked_affine(columns: npt.ArrayLike, origin: npt.ArrayLike) -> Affine:
    """An affine from its columns and origin, refused if it is degenerate.

    Args:
        columns: (3, 3) steps in mm, one column per axis i, j, k.
        origin: x, y, z in LPS of the first voxel, mm.

    Raises:
        HeaderError: a step has no length, or the axes span no space.
    """
    matrix = np.column_stack([np.asarray(columns, float), np.asarray(origin, float)])
    lengths = np.linalg.norm(finite(matrix.ravel().tolist()).reshape(3, 4)[:, :3], axis=0)
    if lengths.min() <= 0.0 or abs(np.linalg.det(matrix[:, :3] / lengths)) < 1e-6:
        raise HeaderError("the axes of the image span no space")
    return matrix


def sibling(header: Path, name: str) -> Path:
    """The voxel file that a header names; it lies in the header's own folder.

    Raises:
        HeaderError: the name leads elsewhere.
        InputError: the voxels are spread over several files.
    """
    name = name.removeprefix("./")
    words = name.split()
    if not words or words[0].upper() == "LIST" or _PATTERN.fullmatch(name):
        raise InputError(
            "The voxels of the image lie in several files.", "Convert it into a single file."
        )
    is_plain = name == Path(name).name and not set(name) & set('/\\:<>|"?*')
    if not is_plain or name in {".", ".."}:
        raise HeaderError("the voxel file lies elsewhere")
    file = header.with_name(name)
    if not file.exists():  # a header of Windows beside files whose names were converted since
        with contextlib.suppress(UnicodeError, ValueError):
            file = header.with_name(os.fsencode(name).decode("cp1252"))
    return file


def start_of_voxels(voxel_file: Path, skipped: int, needed_bytes: int) -> int:
    """The byte at which the voxels of a file of their own begin; -1 stands for those at its end."""
    if skipped >= 0 or not voxel_file.is_file():
        return max(skipped, 0)
    return max(0, voxel_file.stat().st_size - needed_bytes)


def refuse_oversized(header: FileHeader) -> None:
    """Refuse what would exhaust the memory before any of it is asked for.

    Raises:
        InputError: the voxels alone fill the memory of the computer, or are too many for anything.
    """
    voxels = math.prod(header.sizes)
    if voxels > MOST_VOXELS or 2 * header.needed_bytes > _memory_bytes():
        raise InputError(
            f"The volume of {voxels:.2g} voxels is too large for this computer.",
            "Crop it to the bones of interest, or resample it to larger voxels.",
        )


def _memory_bytes() -> float:
    """Memory of the computer; endless where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf
