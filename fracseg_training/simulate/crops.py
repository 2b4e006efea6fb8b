"""Crops that may reach past the grid, and their way back into it."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import HuArray, MaskArray
from FractureSegmentationLib.voxels.boxes import bounding_box

Corner = npt.NDArray[np.int64]
Kind = TypeVar("Kind", bound=np.generic)


def mask_box(hu: HuArray, mask: MaskArray, margin: int) -> tuple[Corner, Corner]:
    """Corners of the mask's bounding box, grown by `margin` voxels, past the grid if need be.

    Args:
        hu: (K, J, I) the CT, to check the grid against.
        mask: (K, J, I) the bone.
        margin: voxels added on each side.

    Returns:
        First corner and the corner one past the last.

    Raises:
        ValueError: the grids differ, or the mask is empty.
    """
    if hu.shape != mask.shape or hu.ndim != 3:
        raise ValueError(f"hu {hu.shape} and bone mask {mask.shape} must share one 3D grid")
    box = bounding_box(mask)
    if box is None:
        raise ValueError("the bone mask is empty")
    low = np.array([side.start for side in box], np.int64)
    high = np.array([side.stop for side in box], np.int64)
    return low - margin, high + margin


def crop_padded(
    array: npt.NDArray[Kind], low: Corner, high: Corner, fill: float | None = None
) -> npt.NDArray[Kind]:
    """A copy of `array` between two corners; outside the grid `fill`, or the border's values.

    Args:
        array: (K, J, I) any array.
        low: first corner, may be negative.
        high: one past the last corner, may exceed the shape.
        fill: value outside the grid; None repeats the border.

    Returns:
        The crop.
    """
    size = np.asarray(array.shape)
    first, last = np.clip(low, 0, size - 1), np.clip(high, 1, size)
    inner = array[tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))]
    width = [(int(f - a), int(b - e)) for f, a, b, e in zip(first, low, high, last, strict=True)]
    if fill is None:
        return np.pad(inner, width, mode="edge")
    return np.pad(inner, width, mode="constant", constant_values=fill)


def grown_to_hold(
    hu: HuArray, low: Corner, fragments: npt.NDArray[np.integer], fill: float | None
) -> tuple[npt.NDArray[np.int16], Corner]:
    """The CT, padded just enough that every labelled voxel of a crop lies in it.

    Args:
        hu: (K, J, I) the input CT.
        low: where the crop's first voxel lies in it.
        fragments: the crop's labels.
        fill: HU of the padding; None repeats the border.

    Returns:
        The int16 CT and the index of the input's voxel (0, 0, 0) in it.
    """
    hit = np.argwhere(fragments > 0)
    first = np.minimum(hit.min(axis=0) + low - 1, 0) if len(hit) else np.zeros(3, np.int64)
    last = hit.max(axis=0) + low + 2 if len(hit) else np.zeros(3, np.int64)
    last = np.maximum(last, hu.shape)
    return as_int16(crop_padded(hu, first, last, fill)), -first


def as_int16(hu: HuArray) -> npt.NDArray[np.int16]:
    """HU rounded to int16 within the 12 bits scanners store; int16 input stays as it is."""
    if hu.dtype == np.int16:
        return hu.astype(np.int16)
    return np.clip(np.round(hu.astype(np.float32)), -1024, 3071).astype(np.int16)


def paste(canvas: npt.NDArray[Kind], crop: npt.NDArray[Kind], at: Corner) -> None:
    """Write the part of `crop` that lies on `canvas` at corner `at`; changes `canvas`."""
    first = np.maximum(at, 0)
    last = np.minimum(at + crop.shape, canvas.shape)
    there = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    here = tuple(slice(int(a), int(b)) for a, b in zip(first - at, last - at, strict=True))
    canvas[there] = crop[here]
