"""Bones as points on their surface, and how other points lie against them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import cKDTree

from FractureSegmentationLib.volume import LabelVolume

Points = npt.NDArray[np.float64]
"""(N, 3) x, y, z in LPS, mm."""

_NEIGHBOURS = 12
"""Points of a patch of surface that is taken as flat."""


def surface_points(labels: LabelVolume, wanted: Collection[int]) -> Points:
    """The outermost voxels of some labels taken as one bone.

    Where two of them touch, there is no surface: a fracture line is no part of the bone's shape.

    Args:
        labels: fragment or bone labels.
        wanted: labels of the bone.

    Returns:
        The centres of those voxels; none if no voxel has a wanted label.
    """
    found = find_objects(labels.voxels)
    boxes = [box for n, box in enumerate(found, start=1) if n in wanted and box is not None]
    if not boxes:
        return np.zeros((0, 3))
    box = tuple(
        slice(min(one[axis].start for one in boxes), max(one[axis].stop for one in boxes))
        for axis in range(3)
    )
    mask = np.pad(np.isin(labels.voxels[box], list(wanted)), 1)
    first = np.array([side.start for side in box]) - 1
    outermost = np.argwhere(mask & ~binary_erosion(mask)) + first
    return labels.geometry.to_lps(outermost).astype(np.float64)


def thinned(points: Points, most: int) -> Points:
    """At most `most` of the points, spread over all of them and always the same ones."""
    if len(points) <= most:
        return points
    return points[np.random.default_rng(0).permutation(len(points))[:most]]


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Where points lie against a bone; one row per point.

    Attributes:
        distances_mm: (N,) to the nearest point of its surface.
        normals: (N, 3) unit normals of the surface there; inwards or outwards.
        heights_mm: (N,) how far the points lie above the surface, along those normals.
        reach_mm: the surface is taken as flat so far around its points.
    """

    distances_mm: npt.NDArray[np.float64]
    normals: Points
    heights_mm: npt.NDArray[np.float64]
    reach_mm: float

    @property
    def gaps_mm(self) -> npt.NDArray[np.float64]:
        """(N,) how far the points are from the surface, which is denser than its points."""
        is_near = self.distances_mm <= self.reach_mm
        return np.where(is_near, np.abs(self.heights_mm), self.distances_mm)


class BoneSurface:
    """A bone that others are laid over: flat patches around points of its surface.

    Args:
        points: (N, 3) on the surface.
        most: so many of them are used at most.

    Raises:
        ValueError: there are too few points for a patch.
    """

    def __init__(self, points: Points, most: int) -> None:
        if min(len(points), most) < _NEIGHBOURS:
            raise ValueError(f"a surface has at least {_NEIGHBOURS} points, got {len(points)}")
        self._points = thinned(points, most)
        self._tree = cKDTree(self._points)
        distances, patches = self._tree.query(self._points, k=_NEIGHBOURS)
        self._reach_mm = float(np.median(distances[:, -1]))
        patch = self._points[patches]
        patch = patch - patch.mean(axis=1, keepdims=True)
        # The direction in which a patch extends least is its normal.
        _, vectors = np.linalg.eigh(np.einsum("npi,npj->nij", patch, patch))
        self._normals: Points = vectors[:, :, 0]

    def match(self, points: Points) -> Match:
        """Measure (N, 3) points in LPS, mm against the surface."""
        distances, nearest = self._tree.query(points)
        normals = self._normals[nearest]
        heights = np.einsum("ni,ni->n", points - self._points[nearest], normals)
        return Match(distances, normals, heights, self._reach_mm)
