"""Surfaces of labels and how far two of them lie apart, in millimetres.

The surface of a mask is the mask without its erosion by the 6-neighbourhood: the voxels of the mask
that touch the outside through a face. Distances run between voxel centres and are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from FractureSegmentationLib.evaluation.labels import label_boxes, mask_of
from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import grown_box, union_box

PointsMm = npt.NDArray[np.float64]


IndicesKji = npt.NDArray[np.int64]
"""(N, 3) voxel indices along (k, j, i), in the order of a scan."""


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
    """What a fragment costs that was not detected: diameter and radius of the sphere around it.

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


class SurfaceClouds:
    """Surface points of labels, and of labels taken together, in one frame.

    Args:
        labels: (K, J, I) labels, 0 = background.
        spacing_mm: voxel size along (k, j, i), in mm.
        surface: indices of the surface of a mask, which it gets with one voxel around it wherever
            the array has one.
    """

    def __init__(
        self,
        labels: LabelArray,
        spacing_mm: Spacing,
        surface: Callable[[MaskArray], IndicesKji],
    ) -> None:
        self._labels = labels
        self._spacing_mm = np.asarray(spacing_mm, np.float64)
        self._surface = surface
        self._boxes = label_boxes(labels)
        self._known: dict[tuple[int, ...], PointsMm] = {}

    def points_mm(self, wanted: Sequence[int]) -> PointsMm:
        """(N, 3) index times spacing along (k, j, i) of the surface of these labels together."""
        key = tuple(wanted)
        if key not in self._known:
            self._known[key] = self._points(key)
        return self._known[key]

    def mask(self, label: int) -> MaskArray:
        """One label in the box around it."""
        return mask_of(self._labels[self._boxes[label]], [label])

    def _points(self, wanted: tuple[int, ...]) -> PointsMm:
        if not wanted:
            return np.zeros((0, 3))
        box = union_box([self._boxes[label] for label in wanted])
        box = grown_box(box, 1, self._labels.shape)
        start = np.array([side.start for side in box])
        points: PointsMm = (self._surface(mask_of(self._labels[box], wanted)) + start) * (
            self._spacing_mm
        )
        return points
