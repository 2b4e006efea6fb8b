"""The pixels of DICOM images, in HU."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.dicom_header import ImageHeader
from FractureSegmentationLib.io.hounsfield import AIR_HU
from FractureSegmentationLib.io.sitk import quiet_itk

_HIGHEST_TISSUE_HU = 3071


def read_plane(image: ImageHeader, place: str) -> npt.NDArray[Any]:
    """The pixels of one slice in HU; padding outside the image is air.

    Args:
        image: its header.
        place: how a message names it, e.g. "Slice 3 of 200".

    Returns:
        (J, I) int16 where that holds the values exactly, else float32.

    Raises:
        InputError: the file is damaged, truncated or compressed in an unknown way.
    """
    try:
        hu = _decoded(image) if image.is_encapsulated else _stored(image)
    except MemoryError:
        raise
    except Exception as error:  # pydicom and its decoders raise most kinds of error on bad data
        raise InputError(
            f"{place} is damaged, truncated or compressed in an unknown way.",
            "Copy or export the series again, uncompressed if possible.",
        ) from error
    if hu.shape != image.shape:
        raise InputError(f"{place} is damaged.", "Copy or export the series again.")
    hu = _without_padding(hu, image)
    whole = np.rint(hu)
    bounds = np.iinfo(np.int16)
    is_short = np.array_equal(whole, hu) and bounds.min <= hu.min() and hu.max() <= bounds.max
    return hu.astype(np.int16) if is_short else hu.astype(np.float32)


def _stored(image: ImageHeader) -> npt.NDArray[Any]:
    slope, intercept = image.rescale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they may quote patient data
        data = pydicom.dcmread(image.path, force=True)
        if "TransferSyntaxUID" not in data.file_meta:  # a file without preamble
            is_implicit = data.original_encoding[0]
            data.file_meta.TransferSyntaxUID = (
                ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
            )
        stored = data.pixel_array
    return stored * slope + intercept


def _decoded(image: ImageHeader) -> npt.NDArray[Any]:
    # SimpleITK brings decoders for every CT transfer syntax, pydicom none beyond RLE. It applies
    # slope and intercept by itself.
    with quiet_itk():
        plane = sitk.GetArrayFromImage(sitk.ReadImage(str(image.path)))
    return plane.reshape(plane.shape[-2:]).astype(float)


def _without_padding(hu: npt.NDArray[Any], image: ImageHeader) -> npt.NDArray[Any]:
    """Make pixels outside the image air, unless their value could be tissue."""
    if image.padding is None:
        return hu
    slope, intercept = image.rescale
    padding_hu = image.padding * slope + intercept
    if AIR_HU <= padding_hu <= _HIGHEST_TISSUE_HU:
        return hu
    return np.where(np.abs(hu - padding_hu) < abs(slope) / 2, float(AIR_HU), hu)
