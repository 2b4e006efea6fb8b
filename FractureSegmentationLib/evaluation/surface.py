"""How far two surfaces lie apart, in millimetres.

The surface of a mask is the mask without its erosion by the 6-neighbourhood: the voxels of the mask
that touch the outside through a face. Distances run between voxel centres and are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from FractureSegmentationLib.types import MaskArray, Spacing

PointsMm = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceDistances:
    """Distances between two surfaces.

    Attributes:
        hd95_mm: the larger of the two directed 95th percentiles.
        assd_mm: mean over the points of both surfaces of the distance to the other one.
    """

    hd95_mm: float
    assd_mm: float


def surface_distances(
    prediction: MaskArray, truth: MaskArray, spacing_mm: Spacing
) -> SurfaceDistances:
    """Compare the surfaces of two masks.

    Args:
        prediction: (K, J, I) mask; an empty one scores what `missing_distances` says.
        truth: (K, J, I) mask with at least one voxel.
        spacing_mm: voxel size along (k, j, i), in mm.

    Raises:
        ValueError: the grids differ, or the truth is empty.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} share no grid")
    if not prediction.any():
        return missing_distances(truth, spacing_mm)
    return distances_between(
        surface_points_mm(prediction, spacing_mm), surface_points_mm(truth, spacing_mm)
    )


def missing_distances(truth: MaskArray, spacing_mm: Spacing) -> SurfaceDistances:
    """What a fragment costs that was not found: diameter and radius of the sphere around it.

    The sphere is centred on the mean of the voxel centres and reaches the farthest of them.

    Raises:
        ValueError: the truth is empty.
    """
    points = surface_points_mm(truth, spacing_mm)
    centre = np.argwhere(truth).mean(axis=0) * np.asarray(spacing_mm)
    radius_mm = float(np.linalg.norm(points - centre, axis=1).max())
    return SurfaceDistances(hd95_mm=2.0 * radius_mm, assd_mm=radius_mm)


def surface_points_mm(mask: MaskArray, spacing_mm: Spacing) -> PointsMm:
    """Centres of the surface voxels of `mask`, the border of the array being outside.

    Returns:
        (N, 3) index times spacing along (k, j, i), in mm.

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        raise ValueError("an empty mask has no surface")
    core, _ = eroded_and_dilated(mask)
    return np.argwhere(mask & ~core).astype(np.float64) * np.asarray(spacing_mm, np.float64)


def eroded_and_dilated(mask: MaskArray) -> tuple[MaskArray, MaskArray]:
    """A (K, J, I) mask less and plus its 6-neighbours, the border of the array being outside."""
    padded = np.pad(mask, 1)
    core, grown = mask.copy(), mask.copy()
    for axis in range(3):
        for shift in (0, 2):
            window = [slice(1, -1)] * 3
            window[axis] = slice(shift, shift + mask.shape[axis])
            core &= padded[tuple(window)]
            grown |= padded[tuple(window)]
    return core, grown


def distances_between(prediction_mm: PointsMm, truth_mm: PointsMm) -> SurfaceDistances:
    """Compare two clouds of surface points, each (N, 3) in mm."""
    to_truth, _ = cKDTree(truth_mm).query(prediction_mm)
    to_prediction, _ = cKDTree(prediction_mm).query(truth_mm)
    return SurfaceDistances(
        hd95_mm=float(max(np.percentile(to_truth, 95), np.percentile(to_prediction, 95))),
        assd_mm=float(np.concatenate([to_truth, to_prediction]).mean()),
    )
