"""Where labels lie in an array: bounding boxes, masks and cropping to what is labelled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.types import Box, LabelArray, MaskArray
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.boxes import bounding_box, grown_box, union_box


def label_boxes(labels: LabelArray) -> dict[int, Box]:
    """Bounding box of every label of a (K, J, I) array."""
    narrow = labels if labels.dtype.itemsize <= 4 else labels.astype(np.int32)
    return {label: box for label, box in enumerate(find_objects(narrow), start=1) if box}


def mask_of(labels: LabelArray, wanted: Sequence[int]) -> MaskArray:
    """Where one of the labels `wanted` is."""
    return labels == wanted[0] if len(wanted) == 1 else np.isin(labels, wanted)


def cropped_to_labels(
    prediction: LabelVolume, truth: LabelVolume
) -> tuple[LabelVolume, LabelVolume]:
    """Both on the box around everything that is labelled in either, and one voxel more.

    The voxel more is what a surface needs to be told from the border of the volume; so no figure
    of any protocol changes, and a whole CT costs as little as its bones.

    Args:
        prediction: fragment labels.
        truth: fragment labels on the same grid.

    Raises:
        ValueError: the two shapes differ.
    """
    if prediction.voxels.shape != truth.voxels.shape:
        raise ValueError("prediction and truth lie on different grids")
    around = [bounding_box(prediction.voxels), bounding_box(truth.voxels)]
    boxes = [box for box in around if box is not None]
    if not boxes:
        return prediction, truth
    box = grown_box(union_box(boxes), 1, truth.geometry.shape)
    return _compact(prediction.cropped(box)), _compact(truth.cropped(box))


def _compact(labels: LabelVolume) -> LabelVolume:
    """The same labels, without holding on to the volume that they were cut from."""
    return labels.with_voxels(np.ascontiguousarray(labels.voxels))
