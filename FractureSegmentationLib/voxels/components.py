"""Connected components of a mask, with their sizes, boxes and centres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, generate_binary_structure, label

from FractureSegmentationLib.types import Box, LabelArray, MaskArray
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


def label_components(
    labels: MaskArray | LabelArray, connectivity: Connectivity
) -> npt.NDArray[np.uint32]:
    """Number the connected components of a mask, or of each label, without measuring them.

    Args:
        labels: (K, J, I) mask or labels, 0 = background; voxels of different labels never connect.
        connectivity: which neighbours connect.

    Returns:
        (K, J, I) component 1..n of every voxel, in the order in which a scan along (k, j, i) meets
        them; 0 in the background.
    """
    try:
        import cc3d
    except ImportError:  # 3D Slicer's Python may lack it
        return _components_by_scipy(labels, connectivity)
    if labels.size == max(labels.shape, default=0):  # a line of voxels, on which cc3d 4.1 may fail
        return _components_by_scipy(labels, connectivity)
    # cc3d takes no read-only array, and numbers in the order of memory.
    writable = np.require(labels, requirements=["C", "W"])
    numbered: npt.NDArray[Any] = cc3d.connected_components(
        writable, connectivity=connectivity, out_dtype=np.uint32
    )
    return numbered


def without_small_components(
    mask: MaskArray, min_voxels: int, connectivity: Connectivity
) -> MaskArray:
    """The mask without its components of fewer than `min_voxels` voxels."""
    numbered = label_components(mask, connectivity)
    is_kept = np.bincount(numbered.ravel()) >= min_voxels
    is_kept[0] = False
    kept: MaskArray = is_kept[numbered]
    return kept


def _components_by_scipy(
    labels: MaskArray | LabelArray, connectivity: Connectivity
) -> npt.NDArray[np.uint32]:
    """Components of one label after the other, then numbered in the order of a scan."""
    structure = generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    numbered = np.zeros(labels.shape, np.uint32)
    count = 0
    for value in np.unique(labels):
        if value:
            parts, added = label(labels == value, structure)
            numbered[parts > 0] = parts[parts > 0] + count
            count += added
    _, first = np.unique(numbered, return_index=True)
    first = first[-count:] if count else first[:0]
    order = np.zeros(count + 1, np.uint32)
    order[1 + np.argsort(first)] = np.arange(1, count + 1)
    return order[numbered]
