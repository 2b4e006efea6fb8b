"""Synthesised files: DICOM series (`dicom_series`), and NIfTI headers byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Testing.unit.io.dicom_series import SeriesMaker


@pytest.fixture
def series_maker(tmp_path: Path) -> Callable[..., SeriesMaker]:
    """Makes a `SeriesMaker` that writes into a folder of the test."""

    def make(name: str = "series", **changes: Any) -> SeriesMaker:
        return SeriesMaker(folder=tmp_path / name, **changes)

    return make


def nifti_bytes(
    voxels_ijk: np.ndarray,
    srow: Sequence[Sequence[float]],
    *,
    codes: tuple[int, int] = (0, 1),
    pixdim: Sequence[float] | None = None,
) -> bytes:
    """A NIfTI-1 file put together by the book: 348 bytes of header, 4 empty ones, voxels i-first.

    `codes` are qform_code and sform_code; the qform is the identity times `pixdim`, which are the
    lengths of the sform's columns unless given.
    """
    kinds = {np.dtype(np.int16): (4, 16), np.dtype(np.float32): (16, 32)}
    datatype, bits = kinds[voxels_ijk.dtype]
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    dimensions = [voxels_ijk.ndim, *voxels_ijk.shape] + [1] * (7 - voxels_ijk.ndim)
    struct.pack_into("<8h", header, 40, *dimensions)
    struct.pack_into("<2h", header, 70, datatype, bits)
    sizes = pixdim or np.linalg.norm(np.array(srow)[:, :3], axis=0).tolist()
    struct.pack_into("<8f", header, 76, 1.0, *sizes, *([1.0] * 4))
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)
    struct.pack_into("<2h", header, 252, *codes)
    for row, values in enumerate(srow):
        struct.pack_into("<4f", header, 280 + 16 * row, *values)
    header[344:348] = b"n+1\0"
    return bytes(header) + voxels_ijk.tobytes(order="F")


@pytest.fixture
def nifti() -> Callable[..., bytes]:
    """The bytes of a NIfTI file made without any library; see `nifti_bytes`."""
    return nifti_bytes


@pytest.fixture
def ct_voxels() -> np.ndarray:
    """(12, 11, 10) int16: air, a block of soft tissue, one bone voxel of 900 HU at (3, 2, 7)."""
    voxels = np.full((12, 11, 10), -1000, np.int16)
    voxels[2:9, 2:9, 2:9] = 40
    voxels[3, 2, 7] = 900
    return voxels
