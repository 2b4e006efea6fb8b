"""Turning a volume's axes to those of an axial CT, and back, without touching a voxel value.

The networks saw canonical volumes only (k to Superior, j to Posterior, i to Left). A flipped or
permuted grid is turned there by swapping and reversing axes, which loses nothing; what is left of
an oblique direction is less than 45 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.geometry import CANONICAL_DIRECTION, Geometry
from FractureSegmentationLib.types import Direction, PointLps
from FractureSegmentationLib.volume import Volume

AnyArray = npt.NDArray[Any]
AnyVolume = TypeVar("AnyVolume", bound=Volume)


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisOrder:
    """How the axes of a grid are swapped and reversed.

    Attributes:
        axes: which old axis becomes the new k, j and i axis.
        reversed_axes: whether the new k, j and i axis runs against the old one.
    """

    axes: tuple[int, int, int]
    reversed_axes: tuple[bool, bool, bool]

    def apply(self, voxels: AnyArray) -> AnyArray:
        """The turned array; a view. Leading axes (channels) stay where they are."""
        lead = voxels.ndim - 3
        turned = voxels.transpose(*range(lead), *(lead + axis for axis in self.axes))
        return turned[(..., *self._steps())]

    def undo(self, voxels: AnyArray) -> AnyArray:
        """The array as it was before `apply`; a view."""
        lead = voxels.ndim - 3
        back = np.argsort(self.axes)
        straight = voxels[(..., *self._steps())]
        return straight.transpose(*range(lead), *(lead + int(axis) for axis in back))

    def geometry(self, geometry: Geometry) -> Geometry:
        """The geometry of the turned grid; every voxel keeps its place in the patient."""
        shape = [geometry.shape[axis] for axis in self.axes]
        spacing = [geometry.spacing_mm[axis] for axis in self.axes]
        signs = [-1.0 if r else 1.0 for r in self.reversed_axes]
        first = [0.0, 0.0, 0.0]
        for axis, is_reversed in zip(self.axes, self.reversed_axes, strict=True):
            first[axis] = geometry.shape[axis] - 1.0 if is_reversed else 0.0
        x, y, z = (float(v) for v in geometry.to_lps(np.array(first)))
        k, j, i = (
            _times(geometry.direction[axis], sign)
            for axis, sign in zip(self.axes, signs, strict=True)
        )
        return Geometry(
            shape=(shape[0], shape[1], shape[2]),
            spacing_mm=(spacing[0], spacing[1], spacing[2]),
            origin_lps_mm=(x, y, z),
            direction=(k, j, i),
        )

    def volume(self, volume: AnyVolume) -> AnyVolume:
        """The turned volume; its voxels are a view of the old ones."""
        return replace(
            volume, voxels=self.apply(volume.voxels), geometry=self.geometry(volume.geometry)
        )

    def _steps(self) -> tuple[slice, slice, slice]:
        k, j, i = (slice(None, None, -1 if r else None) for r in self.reversed_axes)
        return (k, j, i)


def canonical_order(geometry: Geometry) -> AxisOrder:
    """The order that brings a grid nearest to the axes of an axial CT in LPS."""
    return order_towards(geometry, CANONICAL_DIRECTION)


def order_towards(geometry: Geometry, direction: Direction) -> AxisOrder:
    """The order that brings the axes of a grid nearest to those of another.

    Args:
        geometry: the grid.
        direction: unit vectors of the other grid's k, j and i axes in LPS.
    """
    cosines = np.asarray(geometry.direction) @ np.asarray(direction).T
    axes = max(
        permutations(range(3)),
        key=lambda order: sum(abs(cosines[old, new]) for new, old in enumerate(order)),
    )
    k, j, i = (bool(cosines[old, new] < 0.0) for new, old in enumerate(axes))
    return AxisOrder(axes=(axes[0], axes[1], axes[2]), reversed_axes=(k, j, i))


def _times(row: PointLps, sign: float) -> PointLps:
    x, y, z = (sign * value + 0.0 for value in row)
    return (x, y, z)
