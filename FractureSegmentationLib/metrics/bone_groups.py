"""Which labels are scored together: those of one bone, or of bones that share a range of labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from FractureSegmentationLib.anatomy.catalogue import BONES
from FractureSegmentationLib.anatomy.numbering import Numbering


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


def labels_by_group(
    labels: Iterable[int], numbering: Numbering, groups: Mapping[str, str]
) -> dict[str, list[int]]:
    """Sort labels into the groups of their bones.

    Raises:
        ValueError: a label belongs to no bone.
    """
    sorted_labels: dict[str, list[int]] = {}
    for label in labels:
        bone, _ = numbering.fragment_of(label)
        sorted_labels.setdefault(groups[bone.slug], []).append(label)
    return sorted_labels
