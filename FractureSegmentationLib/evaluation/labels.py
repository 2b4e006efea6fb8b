"""Label maps to be scored: boxes and masks, cropping, small labels left out, labels by bone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.anatomy.catalogue import BONES
from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.evaluation.matching import OverlapTable
from FractureSegmentationLib.types import Box, LabelArray, MaskArray
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.boxes import bounding_box, grown_box, union_box
from FractureSegmentationLib.voxels.components import label_components


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

    With the extra voxel no surface coincides with the border of the volume, so no figure of any
    protocol changes, and a whole CT costs as little as its bones.

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


def bone_groups(*numberings: Numbering) -> dict[str, str]:
    """For every bone slug, the bones that one of the numberings cannot distinguish from it.

    PENGWIN 2026 gives both femora one range: against it, they are scored as one bone.

    Returns:
        The name of its group per slug, in catalogue order; of several bones, joined by "+".
    """
    partners: dict[str, set[str]] = {bone.slug: {bone.slug} for bone in BONES}
    for numbering in numberings:
        for slug, first in numbering.first_labels:
            partners[slug].update(other for other, at in numbering.first_labels if at == first)
    return {slug: "+".join(sorted(together)) for slug, together in partners.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneLabels:
    """The labels of one bone, or of the bones that are scored as one.

    Attributes:
        truths: in the truth.
        predictions: in the prediction.
    """

    truths: list[int] = field(default_factory=list)
    predictions: list[int] = field(default_factory=list)


def labels_by_bone(
    table: OverlapTable,
    prediction_numbering: Numbering,
    truth_numbering: Numbering,
    groups: Mapping[str, str],
) -> dict[str, BoneLabels]:
    """Sort the labels of a case by bone.

    Args:
        table: has them.
        prediction_numbering: how the prediction's labels name bones.
        truth_numbering: how the truth's labels name bones.
        groups: from `bone_groups`.

    Returns:
        The labels per name of a group, in catalogue order; groups without any are left out.

    Raises:
        ValueError: a label belongs to no bone.
    """
    by_bone = {name: BoneLabels() for name in groups.values()}
    for label in table.truth_labels.tolist():
        by_bone[groups[truth_numbering.fragment_of(label)[0].slug]].truths.append(label)
    for label in table.prediction_labels.tolist():
        by_bone[groups[prediction_numbering.fragment_of(label)[0].slug]].predictions.append(label)
    return {name: labels for name, labels in by_bone.items() if labels.truths or labels.predictions}


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
    return _kept(labels, label_components(labels, 26), min_voxels)


def _kept(labels: LabelArray, pieces: LabelArray, min_voxels: float) -> tuple[LabelArray, int]:
    # Counting copies what it counts as 64-bit numbers; of a whole CT that would be a lot.
    voxels = np.bincount(pieces[pieces != 0], minlength=1)
    is_small = (voxels > 0) & (voxels < min_voxels)
    if not is_small.any():
        return labels, 0
    return np.where(is_small[pieces], 0, labels).astype(labels.dtype), int(is_small.sum())
