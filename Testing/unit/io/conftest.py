"""Synthesised files: DICOM series slice by slice, and NIfTI headers byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


@dataclass
class SeriesMaker:
    """Writes a CT series; `fields` may change any header field of every slice.

    The voxels are air (-1000 HU) with one bone voxel of 700 + k HU per slice at (j, i) = (2, 5).
    """

    folder: Path
    shape: tuple[int, int, int] = (12, 8, 10)
    spacing_mm: tuple[float, float, float] = (2.0, 0.5, 0.75)
    origin_lps_mm: tuple[float, float, float] = (10.0, -20.0, 30.0)
    i_axis: tuple[float, float, float] = (1.0, 0.0, 0.0)
    j_axis: tuple[float, float, float] = (0.0, 1.0, 0.0)
    heights_mm: Sequence[float] | None = None
    shift_mm_per_slice: tuple[float, float, float] = (0.0, 0.0, 0.0)
    series_uid: str = field(default_factory=generate_uid)
    fields: dict[str, Any] = field(default_factory=dict)
    change: Callable[[int, Dataset], None] = lambda _k, _data: None
    file_name: Callable[[int], str] = lambda k: f"slice_{k:03d}.dcm"

    def stored(self, k: int) -> np.ndarray:
        """Pixels before the rescale of slope 1 and intercept -1024."""
        pixels = np.full(self.shape[1:], 24, np.int16)
        pixels[2, 5] = 1724 + k
        return pixels

    def write(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        normal = np.cross(self.i_axis, self.j_axis)
        heights = self.heights_mm or [k * self.spacing_mm[0] for k in range(self.shape[0])]
        for k, height in enumerate(heights):
            position = (
                np.array(self.origin_lps_mm)
                + height * normal
                + k * np.array(self.shift_mm_per_slice)
            )
            data = self._slice(k, position)
            self.change(k, data)
            data.save_as(self.folder / self.file_name(k), enforce_file_format=True)
        return self.folder

    def _slice(self, k: int, position: np.ndarray) -> Dataset:
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = CTImageStorage
        data.SOPClassUID = CTImageStorage
        data.SOPInstanceUID = generate_uid()
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.SeriesInstanceUID = self.series_uid
        data.StudyInstanceUID = "1.2.3"
        data.PatientName = "Secret^Name"
        data.PatientID = "SECRET-ID"
        data.Modality = "CT"
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.Rows, data.Columns = self.shape[1:]
        data.PixelSpacing = [self.spacing_mm[1], self.spacing_mm[2]]
        data.SliceThickness = self.spacing_mm[0]
        data.ImageOrientationPatient = [*self.i_axis, *self.j_axis]
        data.ImagePositionPatient = [float(x) for x in position]
        data.SamplesPerPixel = 1
        data.PhotometricInterpretation = "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit = 15
        data.PixelRepresentation = 1
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
        for name, value in self.fields.items():
            setattr(data, name, value)
        data.PixelData = self.stored(k).tobytes()
        return data


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
