"""Taking small things out of label maps before they are scored."""

from __future__ import annotations

import cc3d
import numpy as np

from FractureSegmentationLib.types import LabelArray


def without_small_labels(labels: LabelArray, min_voxels: float) -> tuple[LabelArray, int]:
    """The labels that have at least `min_voxels` voxels in all.

    Args:
        labels: (K, J, I) labels, 0 = background.
        min_voxels: the smallest number that is kept; need not be whole.

    Returns:
        The labels that are left, and how many labels were dropped.
    """
    return _kept(labels, labels, min_voxels)


def without_small_components(labels: LabelArray, min_voxels: float) -> tuple[LabelArray, int]:
    """The labels without their connected components of fewer than `min_voxels` voxels.

    Components are pieces of one label whose voxels touch by face, edge or corner.

    Args:
        labels: (K, J, I) labels, 0 = background.
        min_voxels: the smallest component that is kept; need not be whole.

    Returns:
        The labels that are left, and how many components were dropped.
    """
    # cc3d takes no read-only array, which the voxels of a volume are.
    components = cc3d.connected_components(
        np.require(labels, requirements=["C", "W"]), connectivity=26, out_dtype=np.uint32
    )
    return _kept(labels, components, min_voxels)


def _kept(labels: LabelArray, pieces: LabelArray, min_voxels: float) -> tuple[LabelArray, int]:
    # Counting copies what it counts as 64-bit numbers; of a whole CT that would be a lot.
    voxels = np.bincount(pieces[pieces != 0], minlength=1)
    is_small = (voxels > 0) & (voxels < min_voxels)
    if not is_small.any():
        return labels, 0
    return np.where(is_small[pieces], 0, labels).astype(labels.dtype), int(is_small.sum())
