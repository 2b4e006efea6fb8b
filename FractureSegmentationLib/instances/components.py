"""Connected components of a mask, with their sizes, boxes and centres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cc3d
import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import Box, MaskArray

Connectivity = Literal[6, 18, 26]
"""Neighbours of a voxel: across faces; and edges; and corners."""


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The components of a mask; row 0 of each table is the background.

    Attributes:
        labels: (K, J, I) component 1..count of every voxel, 0 outside the mask.
        sizes: voxels per component.
        boxes: bounding box per component.
        centroids: (count + 1, 3) centres along (k, j, i), in voxels.
    """

    labels: npt.NDArray[np.uint32]
    sizes: npt.NDArray[np.int64]
    boxes: tuple[Box, ...]
    centroids: npt.NDArray[np.float64]

    @property
    def count(self) -> int:
        """How many components there are."""
        return len(self.sizes) - 1


def connected_components(mask: MaskArray, connectivity: Connectivity) -> Components:
    """Label the components of `mask` in the order in which a scan along (k, j, i) meets them."""
    labels = label_components(mask, connectivity)
    statistics = cc3d.statistics(labels)
    return Components(
        labels=labels,
        sizes=np.asarray(statistics["voxel_counts"], np.int64),
        boxes=tuple(statistics["bounding_boxes"]),
        centroids=np.asarray(statistics["centroids"], np.float64),
    )


def label_components(mask: MaskArray, connectivity: Connectivity) -> npt.NDArray[np.uint32]:
    """Only the labels of `connected_components`, in half the time."""
    labels: npt.NDArray[Any] = cc3d.connected_components(
        mask, connectivity=connectivity, out_dtype=np.uint32
    )
    return labels
