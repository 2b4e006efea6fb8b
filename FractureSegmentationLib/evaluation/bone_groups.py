"""Which labels are scored together: those of one bone, or of bones that share a range of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from FractureSegmentationLib.anatomy.catalogue import BONES
from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.evaluation.overlap import OverlapTable


def bone_groups(*numberings: Numbering) -> dict[str, str]:
    """For every bone slug, the slugs of the bones that one of the numberings cannot tell from it.

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
    found = {name: BoneLabels() for name in groups.values()}
    for label in table.truth_labels.tolist():
        found[groups[truth_numbering.fragment_of(label)[0].slug]].truths.append(label)
    for label in table.prediction_labels.tolist():
        found[groups[prediction_numbering.fragment_of(label)[0].slug]].predictions.append(label)
    return {name: labels for name, labels in found.items() if labels.truths or labels.predictions}
