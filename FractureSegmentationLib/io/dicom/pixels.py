"""The pixels of DICOM images, in HU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.errors import EnvironmentProblemError, InputError
from FractureSegmentationLib.io.dicom.headers import ImageHeader
from FractureSegmentationLib.io.hounsfield import AIR_HU
from FractureSegmentationLib.io.temporary import clear_scratch
from FractureSegmentationLib.progress import Progress

if TYPE_CHECKING:
    from FractureSegmentationLib.io.dicom.stored import StoredPixels

_HIGHEST_TISSUE_HU = 3071


def read_planes(
    images: Sequence[ImageHeader], progress: Progress | None = None
) -> list[npt.NDArray[Any]]:
    """The pixels of the slices of one series, in HU.

    Args:
        images: their headers.
        progress: told the part that is read, and asked whether to stop.

    Returns:
        (J, I) for each, as `read_plane` gives it.

    Raises:
        InputError: a file is damaged, truncated or compressed in an unknown way; by its place.
        RunCancelledError: the caller asked to stop.
    """
    clear_scratch()
    files: dict[Path, StoredPixels] = {}
    planes = []
    for number, image in enumerate(images, start=1):
        planes.append(read_plane(image, f"Slice {number} of {len(images)}", files))
        if progress is not None:
            progress.report(number / len(images))
    return planes


def read_plane(
    image: ImageHeader, place: str, files: dict[Path, StoredPixels] | None = None
) -> npt.NDArray[Any]:
    """The pixels of one slice in HU; padding outside the image is air.

    Args:
        image: its header.
        place: how a message names it, e.g. "Slice 3 of 200".
        files: multi-frame files that are open already; a new one is added.

    Returns:
        (J, I) int16 where that holds the values exactly, else float32.

    Raises:
        InputError: the file is damaged, truncated or compressed in an unknown way.
    """
    try:
        hu = _hounsfield(image, {} if files is None else files)
    except (MemoryError, EnvironmentProblemError):
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


def _hounsfield(image: ImageHeader, files: dict[Path, StoredPixels]) -> npt.NDArray[Any]:
    # Written for pydicom 3; Slicer 5.10 brings pydicom 2 and reads DICOM itself.
    from FractureSegmentationLib.io.dicom.stored import StoredPixels

    slope, intercept = image.rescale or (1.0, 0.0)
    if image.frame is None:
        return StoredPixels(image.path).image(0) * slope + intercept
    if image.path not in files:
        files[image.path] = StoredPixels(image.path)
    return files[image.path].image(image.frame) * slope + intercept


def _without_padding(hu: npt.NDArray[Any], image: ImageHeader) -> npt.NDArray[Any]:
    """Make pixels outside the image air, unless their value could be tissue."""
    if image.padding is None:
        return hu
    slope, intercept = image.rescale or (1.0, 0.0)
    low, high = sorted(stored * slope + intercept for stored in image.padding)
    if low >= AIR_HU and high <= _HIGHEST_TISSUE_HU:
        return hu
    is_padding = (hu > low - abs(slope) / 2) & (hu < high + abs(slope) / 2)
    is_padding &= (hu < AIR_HU) | (hu > _HIGHEST_TISSUE_HU)
    return np.where(is_padding, float(AIR_HU), hu)
