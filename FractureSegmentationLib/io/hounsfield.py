"""Whether numbers can be Hounsfield units, and making them clean: no padding, no NaN.

The scale is judged by where the tissues of a body lie: air at -1000, fat at -100, muscle at 50 and
bone above 150 HU. A lost or doubled rescale intercept moves all of them by 1000 to 1024.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
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
_MASKED_SHARE = 0.5
_MASKED_AIR_HU = -200
_MASKED_AIR_SHARE = 0.02

_COUNTED_HU = 4096  # tissue is counted value by value within this distance from 0
_MOST_COUNTED = 16_000_000
_ISOLATION = 10.0  # a padding value is that many times as frequent as those beside it
_UNSHIFTED_SHARE = 0.05
_UNSHIFTED_RATIO = 4.0
_BARE_RATIO = 2.5
_NEGATIVE_SHARE = 0.01
_LEAST_BONE_RATIO = 0.01
_ALL_HIGH_SHARE = 0.98
_DOUBLED_SHARE = 0.005
_MUSCLE_RATIO = 0.05
_BELOW_AIR_SHARE = 0.05
_CLIPPED_SPIKE = 10.0
_CLIPPED_SHARE = 0.02
_CLIPPED_NEGATIVE_SHARE = 0.0005
_CLIPPED_MUSCLE_SHARE = 0.4
_DOUBTFUL_MUSCLE_SHARE = 0.25
_MUSCLE_NOT_EDGE = 0.35

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
    warnings += _refuse_impossible(voxels)
    if voxels.min() < AIR_HU:
        voxels = np.maximum(voxels, AIR_HU)
    is_whole = np.issubdtype(voxels.dtype, np.integer) or np.array_equal(voxels, np.rint(voxels))
    return voxels.astype(np.int16 if is_whole else np.float32, copy=False), warnings


def is_already_masked(hu: npt.NDArray[Any]) -> bool:
    """Whether everything but bone was set to 0 HU beforehand.

    Then most voxels are exactly 0, and among the others there is no air and little muscle. A CT
    that was only padded with zeros still shows the air around the patient; one whose negative
    values were lost shows muscle.
    """
    filled = np.count_nonzero(hu)
    if filled == 0 or filled > (1.0 - _MASKED_SHARE) * hu.size:
        return False
    if np.count_nonzero(hu < _MASKED_AIR_HU) >= _MASKED_AIR_SHARE * filled:
        return False
    return _Counts.of(hu).clipped_muscle_share() < _DOUBTFUL_MUSCLE_SHARE


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """How often every HU occurs, padding left out.

    Attributes:
        counts: of -4096 to 4095 HU; what lies beyond is in the first and last one.
    """

    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, voxels: npt.NDArray[Any]) -> _Counts:
        """Count finite numbers; of a very large volume evenly spaced ones."""
        step = max(1, math.ceil(math.sqrt(voxels.size / _MOST_COUNTED)))
        counts = np.zeros(2 * _COUNTED_HU, np.int64)
        for plane in voxels[:, ::step, ::step]:
            whole = np.clip(np.rint(plane), -_COUNTED_HU, _COUNTED_HU - 1).astype(np.int64)
            counts += np.bincount(whole.ravel() + _COUNTED_HU, minlength=2 * _COUNTED_HU)
        counts[0] = 0
        below = counts[: _COUNTED_HU + AIR_HU]
        beside = np.append(0, below[:-1]) + np.append(below[1:], 0)
        below[below > _ISOLATION * beside] = 0
        return cls(counts)

    def between(self, first: int, last: int) -> int:
        """How many lie from `first` to `last` HU."""
        return int(self.counts[max(0, first + _COUNTED_HU) : last + 1 + _COUNTED_HU].sum())

    @property
    def total(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    def unshifted(self) -> str:
        """What shows that the intercept was not applied; empty if nothing does.

        Soft tissue then lies at 850 to 1200, with little between it and the air near 0, and with
        bone above it. In a CT dense bone lies there, and bone of less density is more frequent.
        """
        soft, gap, bone = self.between(850, 1200), self.between(250, 750), self.between(1300, 3000)
        filled = self.total - self.between(0, 0)
        has_air_or_fat = self.between(-1100, -50) > _NEGATIVE_SHARE * filled
        ratio = _UNSHIFTED_RATIO if has_air_or_fat else _BARE_RATIO
        is_soft_tissue = soft > _UNSHIFTED_SHARE * filled and soft > ratio * gap
        is_all_high = self.between(850, 4095) > _ALL_HIGH_SHARE * filled
        has_bone = bone > (0 if is_all_high else _LEAST_BONE_RATIO * soft)
        # Air comes to lie at 0 to 24; what is muscle indeed is denser.
        at_muscle, around = self.between(32, 100), self.between(-200, 200)
        is_air = at_muscle < max(0.5 * around, soft)
        if not (is_soft_tissue and has_bone and is_air):
            return ""
        return (
            f"{_percent(soft, filled)} of them lie between 850 and 1200 and "
            f"{_percent(gap, filled)} between 250 and 750: soft tissue lies near 1024, so the "
            "rescale intercept was not applied"
        )

    def doubled(self) -> str:
        """What shows that the intercept was applied twice; empty if nothing does.

        Bone then lies at -850 and above, ever rarer, and hardly anything where soft tissue belongs;
        fat lies below air.
        """
        soft, bone, dense = (
            self.between(-200, 150),
            self.between(-750, -250),
            self.between(151, 4095),
        )
        body, fat = self.between(-1250, -925), self.between(-1250, -1060)
        has_bone = bone > _DOUBLED_SHARE * self.total and body > 0.5 * bone
        # Muscle is denser than water, so it comes to lie above air.
        has_bone &= self.between(-990, -925) > _MUSCLE_RATIO * self.between(-1023, -925)
        is_far_rarer = has_bone and bone > 3.0 * soft
        all_bone = self.between(-850, -250)
        is_ever_rarer = (
            has_bone and all_bone > 1.25 * soft > 2.5 * dense and body > 0.5 * self.total
        )
        has_fat_below_air = fat > _BELOW_AIR_SHARE * self.total and max(bone, dense) > 1.5 * soft
        if not (is_far_rarer or is_ever_rarer or has_fat_below_air):
            return ""
        return (
            f"{_percent(soft, self.total)} of them lie between -200 and 150, where soft tissue "
            f"belongs, {_percent(bone, self.total)} between -750 and -250 and "
            f"{_percent(fat, self.total)} below air: the rescale intercept seems to have been "
            "applied twice"
        )

    def clipped_muscle_share(self) -> float:
        """Of the values that are not 0, the share from 1 to 100, if negative ones were cut off.

        0 where there are negative values or 0 is no more frequent than its neighbours.
        """
        zeros, filled = self.between(0, 0), self.total - self.between(0, 0)
        negative, muscle = self.between(-_COUNTED_HU, -1), self.between(1, 100)
        is_spike = zeros > _CLIPPED_SPIKE * muscle / 100 and zeros > _CLIPPED_SHARE * self.total
        has_negative = negative > _CLIPPED_NEGATIVE_SHARE * filled
        if not is_spike or not filled or has_negative:
            return 0.0
        return muscle / filled

    def has_muscle(self) -> bool:
        """Whether what lies above 0 is not only the blurred edge of a mask, rarer and rarer."""
        return self.between(31, 100) > _MUSCLE_NOT_EDGE * self.between(1, 100)


def _percent(part: int, whole: int) -> str:
    return f"{100.0 * part / max(whole, 1):.1f} %"


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


def _refuse_impossible(voxels: npt.NDArray[Any]) -> tuple[str, ...]:
    """Raise if the numbers cannot be Hounsfield units; else what is doubtful about them."""
    low, high = float(voxels.min()), float(voxels.max())
    reason = _impossible_range(voxels, low, high)
    muscle_share = 0.0
    if not reason:
        counts = _Counts.of(voxels)
        muscle_share = counts.clipped_muscle_share()
        reason = counts.unshifted() or counts.doubled()
    if not reason and muscle_share >= _CLIPPED_MUSCLE_SHARE and counts.has_muscle():
        reason = (
            f"none is negative, many are exactly 0 and {muscle_share:.0%} of the others lie "
            "between 1 and 100: air, fat and water were all cut off at 0"
        )
    if reason:
        raise InputError(
            f"The values from {low:g} to {high:g} cannot be Hounsfield units: {reason}.",
            _NO_HU_REMEDY,
        )
    if muscle_share < _DOUBTFUL_MUSCLE_SHARE:
        return ()
    return (
        f"No value is negative and {muscle_share:.0%} of those above 0 are no more than 100 HU; if "
        "the CT was cut off at 0 HU and does not hold bone only, its bones are wrong. Check them.",
    )


def _impossible_range(voxels: npt.NDArray[Any], low: float, high: float) -> str:
    """Why the range of the numbers cannot be that of a CT; empty if it can."""
    if high > _HIGHEST_HU:
        return "negative ones seem to have been stored as large positive ones"
    if low < _LOWEST_NOISE_HU:
        below = np.unique(voxels[voxels < _LOWEST_NOISE_HU])
        if below.size > _PADDING_VALUES:
            return "large positive ones seem to have been stored as negative ones"
    lowest = _lowest_above_padding(voxels, low)
    if _PICTURE_LOWEST <= lowest < high <= _PICTURE_HIGHEST:
        return "they look like a normalised picture, or like labels"
    if high > _CLASSIC_HIGHEST_HU and np.mean(voxels > _CLASSIC_HIGHEST_HU) > _METAL_SHARE:
        return "a large part of the volume would be denser than metal"
    return ""


def _lowest_above_padding(voxels: npt.NDArray[Any], low: float) -> float:
    """The lowest value that is not below air."""
    if low >= AIR_HU:
        return low
    return float(np.min(voxels, where=voxels >= AIR_HU, initial=_HIGHEST_HU))
