"""More or fewer fragments of a bone, from the merge tree of the run that found them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import Bone
from FractureSegmentationLib.editing.edit import Edit, make_edit
from FractureSegmentationLib.editing.fragments import FragmentRecord, Fragments, ReviewStatus
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.evaluation.matching import overlap_table
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.voxels.boxes import union_box

Labels = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grouping:
    """How the regions of a bone are put together.

    Attributes:
        offset: region n has the value `offset + n`.
        groups: (R + 1,) group of each region; 0 for region 0.
    """

    offset: int
    groups: npt.NDArray[np.uint16]


def regroup(
    fragments: Fragments, bone: Bone, regions: LabelArray, grouping: Grouping
) -> Edit | None:
    """Put the regions of a bone together in another way.

    A group keeps the label of the fragment that it shares most voxels with, the pair that shares
    most first; others get new ones. Reviewed fragments stay, voxel by voxel. One that belongs to no
    region, since somebody painted it, goes with the group that has most of its fragment.

    Args:
        fragments: all fragments, as they are now.
        bone: the one to change.
        regions: (K, J, I) values of regions on the grid of the fragments.
        grouping: what belongs together.

    Returns:
        The change, or None if the bone is divided so already.

    Raises:
        InputError: every fragment of the bone is reviewed, it has none, or there would be more
            than the numbering holds.
        ValueError: the grids differ.
    """
    if regions.shape != fragments.labels.geometry.shape:
        raise ValueError("the regions and the fragments must share one grid")
    records = fragments.of_bone(bone)
    open_records = [r for r in records if r.review is not ReviewStatus.ACCEPTED]
    if not open_records:
        raise InputError(
            f"Every fragment of the {bone.name.lower()} is reviewed and stays as it is.",
            "Take the review of a fragment back first.",
        )
    box = open_records[0].box
    for record in open_records[1:]:
        box = union_box([box, record.box])
    before = fragments.labels.voxels[box]
    groups = _groups_of(regions[box], grouping)
    groups[~np.isin(before, [record.label for record in open_records])] = 0
    _fill(groups, before, open_records)
    after = _relabelled(fragments, bone, before, groups, open_records)
    if np.array_equal(before, after):
        return None
    count = len(np.unique(groups[groups > 0])) + len(records) - len(open_records)
    pieces = "1 fragment" if count == 1 else f"{count} fragments"
    return make_edit(fragments, box, after, f"divide the {bone.name.lower()} into {pieces}")


def _groups_of(regions: LabelArray, grouping: Grouping) -> Labels:
    """(K, J, I) groups, 0 where there is no region of the bone."""
    values = regions.astype(np.int64) - grouping.offset
    is_own = (values > 0) & (values < len(grouping.groups))
    groups: Labels = np.where(is_own, grouping.groups[np.where(is_own, values, 0)], 0)
    return groups.astype(np.uint16)


def _fill(groups: Labels, before: LabelArray, records: list[FragmentRecord]) -> None:
    """Give voxels without a group that of most of their fragment, in place."""
    spare = int(groups.max(initial=0))
    for record in records:
        own = before == record.label
        lacking = own & (groups == 0)
        if not lacking.any():
            continue
        counts = np.bincount(groups[own & (groups > 0)])
        if counts.size:
            groups[lacking] = counts.argmax()
        else:
            spare += 1
            groups[lacking] = spare


def _relabelled(
    fragments: Fragments,
    bone: Bone,
    before: LabelArray,
    groups: Labels,
    records: list[FragmentRecord],
) -> Labels:
    is_open = groups > 0
    shared = overlap_table(groups[is_open], before[is_open])
    present = shared.prediction_labels.tolist()
    left = {record.label for record in records}
    labels: dict[int, int] = {}
    for at in np.argsort(-shared.shared_voxels, axis=None, kind="stable"):
        row, column = np.unravel_index(at, shared.shared_voxels.shape)
        label, group = int(shared.truth_labels[row]), present[column]
        if label in left and group not in labels and shared.shared_voxels[row, column] > 0:
            labels[group] = label
            left.discard(label)
    voxels = dict(zip(present, shared.prediction_voxels.tolist(), strict=True))
    nameless = sorted((g for g in present if g not in labels), key=lambda g: (-voxels[g], g))
    # Labels that this change sets free may be given out again within it.
    fresh = sorted(left)[: len(nameless)]
    if len(nameless) > len(fresh):
        fresh = [*fresh, *fragments.free_labels(bone, len(nameless) - len(fresh))]
    labels.update(zip(nameless, fresh, strict=True))
    table = np.zeros(int(groups.max(initial=0)) + 1, np.uint16)
    table[list(labels)] = list(labels.values())
    after: Labels = np.where(is_open, table[groups], before)
    return after.astype(np.uint16)
