"""Voxels with their geometry: the values that travel along the pipeline's arrows.

Arrays inside are read-only views; a new value is made with `with_voxels`, never edited in place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import Box, FloatArray

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volume:
    """A scalar volume; Hounsfield units unless its owner says otherwise.

    Attributes:
        voxels: (K, J, I) read-only array, int16 or float32 for a CT.
        geometry: where the voxels lie.

    Raises:
        ValueError: the array and the geometry differ in shape.
    """

    voxels: npt.NDArray[np.generic]
    geometry: Geometry

    def __post_init__(self) -> None:
        if self.voxels.shape[-3:] != self.geometry.shape:
            raise ValueError(
                f"voxels {self.voxels.shape} do not fill the grid {self.geometry.shape}"
            )
        view = self.voxels.view()
        view.flags.writeable = False
        object.__setattr__(self, "voxels", view)

    def with_voxels(self, voxels: npt.NDArray[np.generic]) -> Self:
        """The same grid with other voxels."""
        return replace(self, voxels=voxels)

    def cropped(self, box: Box) -> Self:
        """The part inside `box`; its geometry follows."""
        return replace(self, voxels=self.voxels[(..., *box)], geometry=self.geometry.cropped(box))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelVolume(Volume):
    """A label map: (K, J, I) integers, 0 = background. Bones or fragments, as its owner says."""

    voxels: npt.NDArray[np.integer]

    def __post_init__(self) -> None:
        if not np.issubdtype(self.voxels.dtype, np.integer) or self.voxels.ndim != 3:
            raise ValueError(
                f"a label map holds (K, J, I) integers, got {self.voxels.dtype} {self.voxels.shape}"
            )
        Volume.__post_init__(self)

    def values(self) -> tuple[int, ...]:
        """The labels that occur, ascending, without the background."""
        return tuple(int(v) for v in np.unique(self.voxels) if v)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FragmentMap(Volume):
    """What a fragment network says of every voxel of a bone crop.

    Attributes:
        voxels: (C, K, J, I) float16 or float32 probabilities.
        geometry: the crop's grid at the working spacing.
        channels: one name per channel.
    """

    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.voxels.ndim != 4 or len(self.voxels) != len(self.channels):
            raise ValueError(f"{len(self.channels)} channels named, array is {self.voxels.shape}")
        Volume.__post_init__(self)

    def channel(self, name: str) -> FloatArray:
        """(K, J, I) probabilities of the channel called `name`."""
        values: FloatArray = self.voxels[self.channels.index(name)]
        return values
