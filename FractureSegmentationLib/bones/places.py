"""Where bones can lie relative to the hip bones: a spine is no femur, whatever it looks like."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import BONES
from FractureSegmentationLib.types import LabelArray, Spacing
from FractureSegmentationLib.voxels.components import connected_components, label_components

_LEAST_HEIGHT_MM = 100.0
_SLACK_MM = 5.0

_SACRUM = next(bone.mask_value for bone in BONES if bone.slug == "sacrum")
_HIPS = tuple(bone.mask_value for bone in BONES if bone.slug.endswith("_hip"))
_FEMORA = tuple(bone.mask_value for bone in BONES if bone.slug.endswith("_femur"))


def without_misplaced(labels: LabelArray, spacing_mm: Spacing) -> npt.NDArray[np.uint8]:
    """Remove what lies where its bone cannot: spine taken for sacrum or femur.

    The sacrum ends below the iliac crests (at 0.85 to 0.91 of the hip bones' height in six bodies),
    and the middle of a femur lies below the middle of the hip bones. Without a hip bone of at least
    100 mm in height nothing is known and nothing is removed.

    Args:
        labels: (K, J, I) mask values, k to Superior.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) uint8 mask values.
    """
    kept = np.array(labels, np.uint8)
    heights = _hip_heights(kept)
    if heights is None or (heights[1] - heights[0]) * spacing_mm[0] < _LEAST_HEIGHT_MM:
        return kept
    lowest, highest = heights
    above = kept[highest + 1 + round(_SLACK_MM / spacing_mm[0]) :]
    above[above == _SACRUM] = 0
    for value in _FEMORA:
        pieces = connected_components(kept == value, 26)
        is_high = pieces.centroids()[:, 0] > (lowest + highest) / 2.0
        is_high[0] = False
        kept[is_high[pieces.labels]] = 0
    return kept


def _hip_heights(labels: LabelArray) -> tuple[int, int] | None:
    """Lowest and highest slice of the main pieces of the hip bones."""
    found = []
    for value in _HIPS:
        pieces = label_components(labels == value, 26)
        sizes = np.bincount(pieces.ravel())
        if sizes.size > 1:
            main = pieces == 1 + int(sizes[1:].argmax())
            slices = np.flatnonzero(main.any(axis=(1, 2)))
            found.append((int(slices[0]), int(slices[-1])))
    if not found:
        return None
    return min(low for low, _ in found), max(high for _, high in found)
