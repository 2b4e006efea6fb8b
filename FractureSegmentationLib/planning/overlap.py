"""Fragments that a plan pushes into each other, and by how much."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.planning.pose import Pose, inverse_of, moved_points
from FractureSegmentationLib.types import MaskArray
from FractureSegmentationLib.volume import LabelVolume

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two fragments that share space after their poses.

    Attributes:
        labels: of the two, ascending.
        volume_mm3: what they share, in mm³.
    """

    labels: tuple[int, int]
    volume_mm3: float


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One fragment in its own box, whose first voxel has the index `first` along (k, j, i)."""

    mask: MaskArray
    first: npt.NDArray[np.int64]
    voxels: int

    @property
    def corners(self) -> _Array:
        """(8, 3) indices on the borders of the outermost voxels."""
        sides = zip(self.first - 0.5, self.first + self.mask.shape - 0.5, strict=True)
        return np.array(list(itertools.product(*sides)))


class OverlapCheck:
    """Overlaps of the fragments of one segmentation, for one plan after another.

    What two fragments share depends on how they lie to each other only, so after one of them was
    moved, the other pairs are known already.

    Args:
        labels: the fragments where the CT shows them; they share no voxel there.
    """

    def __init__(self, labels: LabelVolume) -> None:
        self._geometry = labels.geometry
        self._parts: dict[int, _Part] = {}
        self._known: dict[tuple[int, int], tuple[bytes, float]] = {}
        boxes = find_objects(labels.voxels)
        for label, box in enumerate(boxes, start=1):
            if box is not None:
                mask = labels.voxels[box] == label
                first = np.array([side.start for side in box])
                self._parts[label] = _Part(mask, first, int(np.count_nonzero(mask)))

    @property
    def labels(self) -> frozenset[int]:
        """The fragments there are."""
        return frozenset(self._parts)

    def overlaps(self, poses: Mapping[int, Pose]) -> tuple[Overlap, ...]:
        """Which fragments overlap, the largest overlap first.

        Args:
            poses: (4, 4) in LPS, mm by label; a fragment without one stays where it is.

        Raises:
            ValueError: a pose is for a label that is not there.
        """
        strange = sorted(set(poses) - set(self._parts))
        if strange:
            raise ValueError(f"no fragment has the labels {strange}")
        overlaps = []
        for pair in itertools.combinations(self._parts, 2):
            volume_mm3 = self._shared_mm3(pair, poses)
            if volume_mm3 > 0.0:
                overlaps.append(Overlap(labels=pair, volume_mm3=volume_mm3))
        return tuple(sorted(overlaps, key=lambda one: -one.volume_mm3))

    def _shared_mm3(self, pair: tuple[int, int], poses: Mapping[int, Pose]) -> float:
        moved = [poses[label] for label in pair if label in poses]
        if not moved or (len(moved) == 2 and np.array_equal(moved[0], moved[1])):
            return 0.0  # they lie to each other as in the CT
        small, large = sorted(pair, key=lambda label: (self._parts[label].voxels, label))
        still = np.eye(4)
        between = inverse_of(poses.get(large, still)) @ poses.get(small, still)
        key = between.tobytes()
        if self._known.get(pair, (b"",))[0] != key:
            count = _shared_voxels(
                self._parts[small], self._parts[large], _index_map(self._geometry, between)
            )
            self._known[pair] = (key, count * self._geometry.voxel_volume_mm3)
        return self._known[pair][1]


def _shared_voxels(moving: _Part, still: _Part, to_still: Pose) -> int:
    """How many voxels of one fragment come to lie on voxels of another.

    Args:
        moving: the fragment that is moved.
        still: the other one.
        to_still: (4, 4) takes indices of `moving` to those of `still`, both along (k, j, i).
    """
    back = moved_points(inverse_of(to_still), still.corners) - moving.first
    low = np.maximum(np.floor(back.min(axis=0)).astype(np.int64), 0)
    high = np.minimum(np.ceil(back.max(axis=0)).astype(np.int64) + 1, moving.mask.shape)
    if (low >= high).any():
        return 0
    near = moving.mask[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
    places = moved_points(to_still, np.argwhere(near) + (low + moving.first)) - still.first
    indices = np.rint(places).astype(np.int64)
    inside = ((indices >= 0) & (indices < still.mask.shape)).all(axis=1)
    return int(np.count_nonzero(still.mask[tuple(indices[inside].T)]))


def _index_map(geometry: Geometry, pose: Pose) -> Pose:
    """A motion in LPS, mm as a (4, 4) matrix on (k, j, i) indices."""
    steps = np.vstack([np.zeros((1, 3)), np.eye(3)])
    images = geometry.to_index(moved_points(pose, geometry.to_lps(steps)))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = (images[1:] - images[0]).T, images[0]
    return matrix
