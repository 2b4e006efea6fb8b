"""The mirrored other side as a template for the reduction."""

from __future__ import annotations

from collections import Counter
from typing import Any

from slicer.i18n import tr as _

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.errors import InputError


def show_mirror(segmentation: Any, bone_slug: str | None) -> tuple[str, ...]:
    """Show the template of a bone.

    Args:
        segmentation: vtkMRMLSegmentationNode.
        bone_slug: the broken bone; None takes that with the most fragments that has a side.

    Returns:
        Why it may be a poor template.

    Raises:
        InputError: no bone of the segmentation has a side, or the other side is missing.
    """
    from FractureSegmentationLib.mrml.plan_nodes import show_mirrored_side

    chosen = bone_slug or _most_broken(segmentation)
    return show_mirrored_side(segmentation, chosen).template.warnings


def remove_mirror(segmentation: Any) -> None:
    """Take all templates of a segmentation out of the scene."""
    from FractureSegmentationLib.mrml.plan_nodes import TEMPLATE_ROLE, referenced, remove_nodes

    remove_nodes(segmentation, list(referenced(segmentation, TEMPLATE_ROLE)))
    segmentation.RemoveNodeReferenceIDs(TEMPLATE_ROLE)


def _most_broken(segmentation: Any) -> str:
    from FractureSegmentationLib.mrml.segmentation import fragments_of

    counts = Counter(record.bone.slug for record in fragments_of(segmentation).records)
    paired = [(count, slug) for slug, count in counts.items() if bone_named(slug).side]
    if not paired:
        raise InputError(
            _("No bone of the segmentation has another side."), _("Segment the other side too.")
        )
    return max(paired)[1]
