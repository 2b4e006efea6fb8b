"""Synthesised DICOM series for the tests: slice by slice, or as one enhanced multi-frame file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)


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
    slice_positions_mm: Sequence[float] | None = None
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
        for k, data in enumerate(self.slices()):
            data.save_as(self.folder / self.file_name(k), enforce_file_format=True)
        return self.folder

    def slices(self) -> Iterator[Dataset]:
        normal = np.cross(self.i_axis, self.j_axis)
        heights = self.slice_positions_mm or [k * self.spacing_mm[0] for k in range(self.shape[0])]
        for k, height in enumerate(heights):
            position = (
                np.array(self.origin_lps_mm)
                + height * normal
                + k * np.array(self.shift_mm_per_slice)
            )
            data = self._slice(k, position)
            self.change(k, data)
            yield data

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


@dataclass
class EnhancedMaker:
    """Puts the slices of a `SeriesMaker` into one enhanced (multi-frame) file.

    `order` says which slice each stored frame shows. What is `shared` is written once for all
    frames, else for every frame. `change` may alter the file before it is written.
    """

    series: SeriesMaker
    order: Sequence[int] | None = None
    shared: frozenset[str] = frozenset({"orientation", "measures", "rescale"})
    change: Callable[[Dataset], None] = lambda _data: None
    name: str = "frames.dcm"

    def write(self) -> Path:
        slices = list(self.series.slices())
        chosen = [slices[k] for k in (range(len(slices)) if self.order is None else self.order)]
        data = self._file(chosen)
        self.change(data)
        self.series.folder.mkdir(parents=True, exist_ok=True)
        path = self.series.folder / self.name
        data.save_as(path, enforce_file_format=True)
        return path

    def _file(self, slices: Sequence[Dataset]) -> Dataset:
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.SOPClassUID = EnhancedCTImageStorage
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
        for name in (
            "SeriesInstanceUID", "StudyInstanceUID", "PatientName", "PatientID", "Modality",
            "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
            "BitsStored", "HighBit", "PixelRepresentation",
        ):  # fmt: skip
            setattr(data, name, slices[0][name].value)
        data.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
        data.VolumetricProperties = "VOLUME"
        data.NumberOfFrames = len(slices)
        data.SharedFunctionalGroupsSequence = Items([Dataset()])
        data.PerFrameFunctionalGroupsSequence = Items([self._groups(one) for one in slices])
        for name, macro in self._macros(slices[0]).items():
            if name in self.shared:
                setattr(data.SharedFunctionalGroupsSequence[0], *macro)
        data.PixelData = b"".join(one.PixelData for one in slices)
        return data

    def _groups(self, one: Dataset) -> Dataset:
        groups = Dataset()
        place = Dataset()
        place.ImagePositionPatient = one.ImagePositionPatient
        groups.PlanePositionSequence = Items([place])
        for name, macro in self._macros(one).items():
            if name not in self.shared:
                setattr(groups, *macro)
        return groups

    def _macros(self, one: Dataset) -> dict[str, tuple[str, Items]]:
        plane, measures, rescale = Dataset(), Dataset(), Dataset()
        plane.ImageOrientationPatient = one.ImageOrientationPatient
        measures.PixelSpacing, measures.SliceThickness = one.PixelSpacing, one.SliceThickness
        rescale.RescaleSlope, rescale.RescaleIntercept = one.RescaleSlope, one.RescaleIntercept
        rescale.RescaleType = "HU"
        return {
            "orientation": ("PlaneOrientationSequence", Items([plane])),
            "measures": ("PixelMeasuresSequence", Items([measures])),
            "rescale": ("PixelValueTransformationSequence", Items([rescale])),
        }


def code_in_jpeg_2000(data: Dataset, folder: Path) -> None:
    """Codes the frames of a data set as SimpleITK does, in JPEG 2000 without loss."""
    frames = np.frombuffer(data.PixelData, np.int16).reshape(-1, data.Rows, data.Columns)
    coded = []
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(folder / "coded.dcm"))
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    for frame in frames:
        writer.Execute(sitk.GetImageFromArray(frame[None]))
        one = pydicom.dcmread(folder / "coded.dcm")
        if one.file_meta.TransferSyntaxUID != JPEG2000Lossless:
            raise RuntimeError("SimpleITK codes in another way than it used to")
        coded.append(next(generate_frames(one.PixelData, number_of_frames=1)))
    data.PixelData = encapsulate(coded)
    data["PixelData"].VR = "OB"
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
