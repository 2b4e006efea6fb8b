"""Connected components of a mask, with their sizes, boxes and centres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects

from FractureSegmentationLib.types import Box, MaskArray
from FractureSegmentationLib.voxels.boxes import bounding_box, moved_box

Connectivity = Literal[6, 18, 26]
"""Neighbours of a voxel: across faces; and edges; and corners."""


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The components of a mask; row 0 of each table is the background.

    Attributes:
        labels: (K, J, I) component 1..count of every voxel, 0 outside the mask.
        sizes: voxels per component.
        boxes: bounding box per component; that of the background is the whole array.
    """

    labels: npt.NDArray[np.uint32]
    sizes: npt.NDArray[np.int64]
    boxes: tuple[Box, ...]

    @property
    def count(self) -> int:
        """How many components there are."""
        return len(self.sizes) - 1

    def centroids(self) -> npt.NDArray[np.float64]:
        """(count + 1, 3) centres along (k, j, i), in voxels; that of the background is not set."""
        voxels = np.flatnonzero(self.labels != 0)
        owners = self.labels.reshape(-1)[voxels]
        sums = [
            np.bincount(owners, weights=place, minlength=self.count + 1)
            for place in np.unravel_index(voxels, self.labels.shape)
        ]
        sizes = np.where(np.arange(self.count + 1) > 0, self.sizes, 1)
        return np.stack(sums, axis=1) / sizes[:, None]


def connected_components(mask: MaskArray, connectivity: Connectivity) -> Components:
    """Label the components of `mask` in the order in which a scan along (k, j, i) meets them."""
    k, j, i = (slice(0, n) for n in mask.shape)
    labels = np.zeros(mask.shape, np.uint32)
    inner = bounding_box(mask)
    if inner is None:
        return Components(labels=labels, sizes=np.array([mask.size]), boxes=((k, j, i),))
    part = label_components(mask[inner], connectivity)
    labels[inner] = part
    sizes = np.bincount(part[mask[inner]])
    sizes[0] = mask.size - sizes.sum()
    # Half the time of cc3d's statistics, which count the background voxel by voxel.
    boxes = (moved_box(box, inner) for box in find_objects(part))
    return Components(labels=labels, sizes=sizes, boxes=((k, j, i), *boxes))


def label_components(mask: MaskArray, connectivity: Connectivity) -> npt.NDArray[np.uint32]:
    """Only the labels of `connected_components`, in half the time."""
    labels: npt.NDArray[Any] = cc3d.connected_components(
        mask, connectivity=connectivity, out_dtype=np.uint32
    )
    return labels
