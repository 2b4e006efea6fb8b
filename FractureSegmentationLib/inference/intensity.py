"""Hounsfield units → what a network sees. Training and inference share exactly these functions."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import HuArray, MaskArray

if TYPE_CHECKING:
    from collections.abc import Mapping

Float32Array: TypeAlias = npt.NDArray[np.float32]
"""float32 array; the docstring of its user names the axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CtNormalisation:
    """How Hounsfield units become network input: clip, subtract the mean, divide by the deviation.

    Attributes:
        low_hu: what is darker is clipped to this.
        high_hu: what is brighter is clipped to this.
        mean_hu: becomes 0.
        std_hu: becomes 1 above the mean.
        outside_hu: value given to every voxel outside the bone mask, before clipping.

    Raises:
        ValueError: a value is not finite, the range is empty, or the deviation is not positive.
    """

    low_hu: float = -200.0
    high_hu: float = 1300.0
    mean_hu: float = 350.0
    std_hu: float = 300.0
    outside_hu: float = -1000.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in asdict(self).values()):
            raise ValueError(f"a normalisation holds finite numbers, got {self}")
        if self.low_hu >= self.high_hu:
            raise ValueError(f"low_hu {self.low_hu} must lie below high_hu {self.high_hu}")
        if self.std_hu <= 0.0:
            raise ValueError(f"std_hu must be positive, got {self.std_hu}")

    @property
    def outside_value(self) -> float:
        """The normalised value of a voxel outside the bone mask."""
        clipped = min(max(self.outside_hu, self.low_hu), self.high_hu)
        return (clipped - self.mean_hu) / self.std_hu

    def to_dict(self) -> dict[str, float]:
        """The numbers by name, for a model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> CtNormalisation:
        """The normalisation that `to_dict` wrote.

        Raises:
            ValueError: a name is unknown, or a number is impossible.
        """
        known = set(cls.__dataclass_fields__)
        if unknown := set(values) - known:
            raise ValueError(f"unknown normalisation values: {', '.join(sorted(unknown))}")
        return cls(**{name: float(value) for name, value in values.items()})


FRAGMENT_NORMALISATION = CtNormalisation()
"""What the fragment networks are trained with."""


def normalise(hu: HuArray, normalisation: CtNormalisation) -> Float32Array:
    """Clip, shift and scale Hounsfield units.

    Args:
        hu: any shape, int16 or float32.
        normalisation: the numbers to do it with.

    Returns:
        float32 array of the same shape; a new one.
    """
    values = hu.astype(np.float32)
    np.clip(values, normalisation.low_hu, normalisation.high_hu, out=values)
    values -= np.float32(normalisation.mean_hu)
    values *= np.float32(1.0 / normalisation.std_hu)
    return values


def fragment_input(
    hu: HuArray, mask: MaskArray, normalisation: CtNormalisation = FRAGMENT_NORMALISATION
) -> Float32Array:
    """The two channels of the fragment network: the masked CT and the mask.

    Args:
        hu: (K, J, I) Hounsfield units of a bone crop at the working spacing.
        mask: (K, J, I) True (or any non-zero number) inside the bone.
        normalisation: how intensities are scaled; outside the mask its `outside_value` stands.

    Returns:
        (2, K, J, I) float32: normalised CT inside the mask, and the mask as 0 and 1.

    Raises:
        ValueError: the two arrays differ in shape.
    """
    if hu.shape != mask.shape:
        raise ValueError(f"hu {hu.shape} and mask {mask.shape} must share one grid")
    inside = mask.astype(bool, copy=False)
    channels = np.empty((2, *hu.shape), np.float32)
    channels[0] = normalise(hu, normalisation)
    channels[0][~inside] = normalisation.outside_value
    channels[1] = inside
    return channels
