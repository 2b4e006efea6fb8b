"""The values that a DICOM file stores for its images, before any rescale.

pydicom decodes what is not compressed, deflated or run-length coded; the JPEG family goes to the
decoders of SimpleITK as a small file of its own, without patient data and without a rescale: of
whole files SimpleITK rescales only some kinds, and every frame like the first.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.io.dicom.headers import quiet_pydicom
from FractureSegmentationLib.io.sitk import quiet_itk
from FractureSegmentationLib.io.temporary import scratch_folder

_PIXEL_FIELDS = (
    "SamplesPerPixel",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
_NEUTRAL_UID = UID("2.25.1")
_PADDING_BYTES = 8
_AS_STORED: Any = {"correct_unused_bits": False}
_RLE_LENGTHS = re.compile(r"decoded RLE segment .* (\d+) vs\. (\d+) bytes")
_OVERLAY_GROUPS, _OVERLAY_BITS = 0x6000, 0x0102


class StoredPixels:
    """A file whose images are taken one by one.

    Args:
        path: the file.

    Raises:
        Exception: of pydicom, in many kinds: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        with quiet_pydicom():
            self._data = pydicom.dcmread(path, force=True)
            syntax: UID | None = self._data.file_meta.get("TransferSyntaxUID")
            if syntax is None:  # a file without preamble
                is_implicit = self._data.original_encoding[0]
                syntax = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
                self._data.file_meta.TransferSyntaxUID = syntax
        self._syntax = syntax
        if not syntax.is_encapsulated:
            self._check_length()

    def _check_length(self) -> None:
        """Many more bytes than the header asks for mean that its size is wrong, and rows slip."""
        data = self._data
        bits = data.Rows * data.Columns * data.SamplesPerPixel * data.BitsAllocated
        expected = int(data.get("NumberOfFrames") or 1) * bits // 8
        if len(data.PixelData) > expected + _PADDING_BYTES:
            raise ValueError("the pixels do not fit the size that the header gives")

    def image(self, number: int) -> npt.NDArray[Any]:
        """(J, I) stored values of one image.

        Args:
            number: of the frame in the file, from 0.

        Raises:
            EnvironmentProblemError: there is no room for a temporary file.
            Exception: of pydicom or SimpleITK: the image is damaged or cannot be decoded.
        """
        with quiet_pydicom():
            if self._syntax.is_encapsulated and self._syntax != RLELossless:
                return self._decoded(number)
            return self._plain(number)

    def _plain(self, number: int) -> npt.NDArray[Any]:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            image, _ = get_decoder(self._syntax).as_array(self._data, index=number, **_AS_STORED)
        for lengths in (_RLE_LENGTHS.search(str(warning.message)) for warning in told):
            if lengths and int(lengths[1]) > int(lengths[2]) + _PADDING_BYTES:
                raise ValueError("the pixels do not fit the size that the header gives")
        return self._without_unused_bits(image)

    def _without_unused_bits(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values from their stored bits alone.

        The others are 0 or repeat the sign, or old scanners keep overlays in them. Anything else
        means that the number of stored bits is wrong, and values would be cut off.
        """
        unused = self._data.BitsAllocated - self._data.BitsStored
        if unused <= 0:
            return image
        used: npt.NDArray[Any] = np.right_shift(np.left_shift(image, unused), unused)
        rest = np.right_shift(image, self._data.BitsStored)
        is_sign = (rest == -1) & (used < 0)
        if not (np.all((rest == 0) | is_sign) or self._has_overlay_in_pixels()):
            raise ValueError("values need more bits than the header says are stored")
        return used

    def _has_overlay_in_pixels(self) -> bool:
        return any(
            tag >> 16 & 0xFF00 == _OVERLAY_GROUPS and tag & 0xFFFF == _OVERLAY_BITS
            for tag in self._data.keys()  # noqa: SIM118 -- a data set iterates over its elements
        )

    def _decoded(self, number: int) -> npt.NDArray[Any]:
        count = int(self._data.get("NumberOfFrames") or 1)
        code = get_frame(self._data.PixelData, number, number_of_frames=count)
        single = pydicom.Dataset()
        single.file_meta = FileMetaDataset()
        single.file_meta.TransferSyntaxUID = self._syntax
        single.file_meta.MediaStorageSOPClassUID = CTImageStorage
        single.file_meta.MediaStorageSOPInstanceUID = _NEUTRAL_UID
        single.SOPClassUID = CTImageStorage
        single.SOPInstanceUID = _NEUTRAL_UID
        for name in _PIXEL_FIELDS:
            setattr(single, name, self._data[name].value)
        # SimpleITK would turn the values of MONOCHROME1 round; it only tells how they are shown.
        single.PhotometricInterpretation = "MONOCHROME2"
        single.PixelData = encapsulate([code])
        single["PixelData"].VR = "OB"
        try:
            with scratch_folder() as folder:
                single.save_as(folder / "image.dcm", enforce_file_format=True)
                return decoded(folder / "image.dcm")
        except OSError as error:
            raise EnvironmentProblemError(
                "A temporary file could not be written.", "Check that the disk is not full."
            ) from error


_STDERR = 2
_one_at_a_time = threading.Lock()


def decoded(path: Path) -> npt.NDArray[Any]:
    """(J, I) values of a DICOM file that holds one image and no rescale.

    Raises:
        RuntimeError: of SimpleITK: it is damaged or of an unknown coding.
        ValueError: it holds more than one image.
    """
    with quiet_itk(), _silent_stderr():
        voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return np.asarray(voxels.reshape(voxels.shape[-2:]))


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Swallow what libjpeg prints of every image, right or wrong, straight into the terminal."""
    with _one_at_a_time:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # a program without a terminal has none
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), _STDERR)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
