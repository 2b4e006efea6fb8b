"""The result of recovery in one bone: fragments, joined pieces, interfaces, missed fractures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.merge_tree import MergeTree

PointKji = tuple[float, float, float]
"""A position as fractional voxel indices along (k, j, i)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedPiece:
    """A piece too small to stand alone.

    Attributes:
        volume_mm3: its volume, in mm³.
        centroid_kji: its centre, in voxels of the grid given to recovery.
        into: label of the fragment it joined.
    """

    volume_mm3: float
    centroid_kji: PointKji
    into: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Where two fragments touch.

    Attributes:
        a: the smaller label.
        b: the larger label.
        area_mm2: area of the voxel faces between them.
        contact_area_mm2: the part of it with contact of probability 0.5 or more close by.
        support: mean contact probability over the area.
        mean_contact: mean contact probability of the voxels close by, 0 to 1.
        neck: unsupported area divided by the smaller fragment's volume^(2/3).
        probability: how likely these are two fragments and not one, as a trained model judges it;
            None where none did.
    """

    a: int
    b: int
    area_mm2: float
    contact_area_mm2: float
    support: float
    mean_contact: float
    neck: float
    probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseparatedFracture:
    """A ridge of contact probability that lies inside one fragment.

    Attributes:
        label: the fragment.
        area_mm2: estimated area of the ridge.
        centroid_kji: a voxel of the ridge, the one nearest to its centre.
    """

    label: int
    area_mm2: float
    centroid_kji: PointKji


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recovery:
    """The fragments of one bone.

    Attributes:
        labels: (K, J, I) uint16, 1..n by falling volume; every voxel of the bone has one.
        regions: (K, J, I) uint16, 1..m: the parts that the fragments were put together from.
        tree: which of them belong together, from the surest to the least sure.
        joined: pieces that were too small and joined a fragment.
        interfaces: one entry per pair of touching fragments.
        unseparated: possible fractures along which nothing was separated.
        is_judged: whether the tree holds probabilities that a trained model gave.
    """

    labels: npt.NDArray[np.uint16]
    regions: npt.NDArray[np.uint16]
    tree: MergeTree
    joined: tuple[JoinedPiece, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    unseparated: tuple[UnseparatedFracture, ...] = ()
    is_judged: bool = False

    @property
    def count(self) -> int:
        """How many fragments there are."""
        return int(self.labels.max()) if self.labels.size else 0

    def label_of_region(self) -> npt.NDArray[np.uint16]:
        """(m + 1,) the fragment that each region is part of; 0 for region 0."""
        lookup = np.zeros(self.tree.count + 1, np.uint16)
        lookup[self.regions.reshape(-1)] = self.labels.reshape(-1)
        lookup[0] = 0
        return lookup
