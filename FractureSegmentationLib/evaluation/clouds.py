"""Surface points of labels, each computed once however often it is compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.evaluation.pair_boxes import label_boxes, mask_of
from FractureSegmentationLib.evaluation.surface import PointsMm
from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import grown_box, union_box

IndicesKji = npt.NDArray[np.int64]
"""(N, 3) voxel indices along (k, j, i), in the order of a scan."""


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
