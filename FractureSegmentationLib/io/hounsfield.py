"""Whether numbers can be Hounsfield units, and making them clean: no padding, no NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import HuArray

AIR_HU = -1024
"""What padding and absent values become, and the lowest value kept."""

_HIGHEST_HU = 31_743  # 16 bits of the extended CT scale
_LOWEST_NOISE_HU = -8192  # below it only padding is possible, and padding is one value or a few
_PADDING_VALUES = 4
_CLASSIC_HIGHEST_HU = 3071
_METAL_SHARE = 0.2
_PICTURE_LOWEST = -10.0
_PICTURE_HIGHEST = 255.0
_UNSHIFTED_SOFT_TISSUE = (924, 1174)  # fat to muscle, if 1024 was never subtracted
_UNSHIFTED_SHARE = 0.25
_UNSHIFTED_BONE = 1600
_MASKED_SHARE = 0.5
_MASKED_AIR_HU = -200
_MASKED_AIR_SHARE = 0.02

_NO_HU_REMEDY = (
    "Give the CT in Hounsfield units: the original series, or an export that applies the rescale "
    "slope and intercept."
)


def clean_hu(voxels: npt.NDArray[Any]) -> tuple[HuArray, tuple[str, ...]]:
    """Make Hounsfield units that the rest of the library may rely on.

    Values below -1024 (padding such as -2000 or -3024, and noise) become -1024; so do absent ones
    (NaN, infinite).

    Args:
        voxels: (K, J, I) numbers of any kind; left as they are.

    Returns:
        (K, J, I) int16 where all values are whole, else float32; and warnings, one sentence each.

    Raises:
        InputError: there is no number at all, or the range seen is impossible for a CT.
    """
    voxels, warnings = _without_absent(voxels)
    _refuse_impossible(voxels)
    if voxels.min() < AIR_HU:
        voxels = np.maximum(voxels, AIR_HU)
    is_whole = np.issubdtype(voxels.dtype, np.integer) or np.array_equal(voxels, np.rint(voxels))
    return voxels.astype(np.int16 if is_whole else np.float32, copy=False), warnings


def is_already_masked(hu: npt.NDArray[Any]) -> bool:
    """Whether everything but bone was set to 0 HU beforehand.

    Then most voxels are exactly 0, and among the others there is no air. A CT that was only padded
    with zeros still shows the air around the patient.
    """
    filled = np.count_nonzero(hu)
    if filled == 0 or filled > (1.0 - _MASKED_SHARE) * hu.size:
        return False
    return bool(np.count_nonzero(hu < _MASKED_AIR_HU) < _MASKED_AIR_SHARE * filled)


def _without_absent(voxels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    if not np.issubdtype(voxels.dtype, np.floating):
        return voxels, ()
    absent = ~np.isfinite(voxels)
    count = int(np.count_nonzero(absent))
    if count == voxels.size:
        raise InputError(
            "The CT holds no number: every voxel is NaN or infinite.", "Export the CT again."
        )
    if not count:
        return voxels, ()
    return (
        np.where(absent, np.asarray(AIR_HU, voxels.dtype), voxels),
        (f"{count} voxels without a number (NaN or infinite) were taken as air.",),
    )


def _refuse_impossible(voxels: npt.NDArray[Any]) -> None:
    low, high = float(voxels.min()), float(voxels.max())
    reason = _impossibility(voxels, low, high)
    if reason:
        raise InputError(
            f"The values from {low:g} to {high:g} cannot be Hounsfield units: {reason}.",
            _NO_HU_REMEDY,
        )


def _impossibility(voxels: npt.NDArray[Any], low: float, high: float) -> str:
    """Why the numbers cannot be Hounsfield units; empty if they can."""
    if high > _HIGHEST_HU:
        return "negative ones seem to have been stored as large positive ones"
    if low < _LOWEST_NOISE_HU:
        below = np.unique(voxels[voxels < _LOWEST_NOISE_HU])
        if below.size > _PADDING_VALUES:
            return "large positive ones seem to have been stored as negative ones"
    if _PICTURE_LOWEST <= low < high <= _PICTURE_HIGHEST:
        return "they look like a normalised picture, or like labels"
    if high > _CLASSIC_HIGHEST_HU and np.mean(voxels > _CLASSIC_HIGHEST_HU) > _METAL_SHARE:
        return "a large part of the volume would be denser than metal"
    if low >= 0 and high >= _UNSHIFTED_BONE:
        filled = voxels[voxels > 0]
        first, last = _UNSHIFTED_SOFT_TISSUE
        if np.mean((filled >= first) & (filled <= last)) > _UNSHIFTED_SHARE:
            return "soft tissue lies near 1024, so the rescale intercept was not applied"
    return ""
