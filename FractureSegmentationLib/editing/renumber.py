"""Numbers by volume again, when the user asks for it."""

from __future__ import annotations

from FractureSegmentationLib.editing.edit import Edit, renumbering_edit
from FractureSegmentationLib.editing.fragments import Fragments


def renumber_by_volume(fragments: Fragments) -> Edit | None:
    """Number the fragments of every bone 1, 2, 3, ... by falling volume.

    Review status and confidence follow the fragment. `Edit.renumbered` tells names, colours and
    planned poses where to follow.

    Returns:
        The change, or None if they are numbered so already.
    """
    renumbered = {}
    for bone in dict.fromkeys(record.bone for record in fragments.records):
        ranked = sorted(fragments.of_bone(bone), key=lambda record: (-record.voxels, record.label))
        for index, record in enumerate(ranked, start=1):
            label = fragments.numbering.label_of(bone, index)
            if label != record.label:
                renumbered[record.label] = label
    return renumbering_edit(fragments, renumbered) if renumbered else None
