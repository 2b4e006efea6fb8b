"""From a click in the patient to a voxel of a fragment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import Box, MaskArray, PointLps

REACH_MM = 4.0
"""How far beside a fragment a click may fall and still means it."""

Voxel = tuple[int, int, int]


def fragment_voxels(
    fragments: Fragments, label: int, points_lps_mm: Sequence[PointLps], reach_mm: float = REACH_MM
) -> list[Voxel]:
    """The voxel of a fragment that each point means: the nearest one.

    Args:
        fragments: all fragments.
        label: the one that the points mean.
        points_lps_mm: where was clicked.
        reach_mm: how far beside the fragment a point may lie.

    Returns:
        One voxel (k, j, i) of the CT's grid per point.

    Raises:
        InputError: a point lies further away; the message says which, and how far.
        ValueError: a coordinate is not finite.
    """
    record = fragments.record(label)
    mask = fragments.labels.voxels[record.box] == label
    geometry = fragments.labels.geometry
    voxels = []
    for number, point in enumerate(points_lps_mm, start=1):
        nearest = nearest_voxel(mask, geometry, point, reach_mm, record.box)
        if nearest is None:
            raise InputError(
                f"Point {number} lies more than {reach_mm:g} mm from {record.name}.",
                "Click on the fragment itself.",
            )
        voxels.append(nearest)
    return voxels


def nearest_voxel(
    mask: MaskArray, geometry: Geometry, point_lps_mm: PointLps, reach_mm: float, box: Box
) -> Voxel | None:
    """The voxel of a mask that is nearest to a point, in mm.

    Args:
        mask: (K, J, I) the voxels to choose from, within `box`.
        geometry: the whole grid.
        point_lps_mm: the point.
        reach_mm: nothing further away is taken, unless the point lies in that voxel.
        box: where the mask lies in the grid.

    Returns:
        The voxel (k, j, i) of the whole grid; None if there is none within reach.

    Raises:
        ValueError: a coordinate is not finite.
    """
    if not np.all(np.isfinite(point_lps_mm)):
        raise ValueError(f"a point needs three finite coordinates, got {point_lps_mm}")
    start = np.array([side.start for side in box])
    place = geometry.to_index(np.asarray(point_lps_mm, float)) - start
    inside = np.rint(place).astype(int)
    if np.all((inside >= 0) & (inside < mask.shape)) and mask[tuple(inside)]:
        return _voxel(inside + start)
    spacing = np.asarray(geometry.spacing_mm)
    margin = np.ceil(reach_mm / spacing).astype(int) + 1
    low = np.clip(inside - margin, 0, mask.shape)
    high = np.clip(inside + margin + 1, 0, mask.shape)
    near = np.argwhere(mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]) + low
    if not len(near):
        return None
    gaps_mm = np.linalg.norm((near - place) * spacing, axis=1)
    best = int(gaps_mm.argmin())
    return _voxel(near[best] + start) if gaps_mm[best] <= reach_mm else None


def _voxel(indices: npt.NDArray[np.int64]) -> Voxel:
    k, j, i = (int(n) for n in indices)
    return (k, j, i)
