"""Several fragments become one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from FractureSegmentationLib.editing.edit import Edit, make_edit
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.voxels.boxes import union_box


def merge_fragments(fragments: Fragments, labels: Sequence[int]) -> Edit:
    """Unite fragments of one bone; the largest of them keeps its label.

    They need not touch: a fragment may well consist of several pieces.

    Args:
        fragments: all fragments.
        labels: those to unite.

    Raises:
        InputError: fewer than two were named, or they belong to different bones.
        ValueError: a label belongs to no fragment.
    """
    records = [fragments.record(label) for label in dict.fromkeys(labels)]
    if len(records) < 2:
        raise InputError(
            "Merging needs at least two fragments.", "Select the fragments that belong together."
        )
    if len({record.bone for record in records}) > 1:
        raise InputError(
            "The selected fragments belong to different bones.",
            "Select fragments of one bone; a piece in the wrong bone is moved with Assign.",
        )
    records.sort(key=lambda record: (-record.voxels, record.label))
    kept, *joined = records
    box = joined[0].box
    for record in joined[1:]:
        box = union_box([box, record.box])
    before = fragments.labels.voxels[box]
    is_joined = np.isin(before, [record.label for record in joined])
    after = np.where(is_joined, np.uint16(kept.label), before)
    numbers = [str(record.index) for record in sorted(records, key=lambda record: record.index)]
    listed = f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    return make_edit(
        fragments, box, after, f"merge fragments {listed} of the {kept.bone.name.lower()}"
    )
