"""More or fewer fragments of a bone in the scene, from the merge tree that its result kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from FractureSegmentationLib.anatomy.catalogue import Bone
from FractureSegmentationLib.editing.edit import Edit
from FractureSegmentationLib.editing.regroup import Grouping, regroup
from FractureSegmentationLib.mrml.history import UndoHistory
from FractureSegmentationLib.mrml.nodes import (
    REGIONS_ROLE,
    REPORT,
    SegmentationNode,
    fragment_ids,
    meant_by,
    object_of,
)
from FractureSegmentationLib.mrml.result import regions_of
from FractureSegmentationLib.mrml.segmentation import apply_edit, fragments_of
from FractureSegmentationLib.results.merge_trees import BoneTree, regions_on, trees_of_report


@dataclass(frozen=True, slots=True, kw_only=True)
class Granularity:
    """How finely a bone can be divided.

    Attributes:
        bone: which.
        levels: of its merge tree, from the fewest fragments to the most.
        counts: how many fragments each level gives.
        position: the level whose number of fragments is nearest to the number there is now.
    """

    bone: Bone
    levels: tuple[float, ...]
    counts: tuple[int, ...]
    position: int


def bones_of(
    node: SegmentationNode, segment_ids: Iterable[str] | None = None
) -> dict[Bone, list[str]]:
    """The fragments of every bone, told by their segments without looking at a voxel.

    Args:
        node: the segmentation.
        segment_ids: only these; None takes all.

    Returns:
        Ids of segments by bone.
    """
    wanted = None if segment_ids is None else set(segment_ids)
    found: dict[Bone, list[str]] = {}
    for segment_id in fragment_ids(node).values():
        meant = meant_by(node.GetSegmentation().GetSegment(segment_id))
        if meant is not None and (wanted is None or segment_id in wanted):
            found.setdefault(meant[1], []).append(segment_id)
    return found


def has_trees(node: SegmentationNode) -> bool:
    """Whether a segmentation came from a result that kept its regions and merge trees."""
    return node.GetNodeReference(REGIONS_ROLE) is not None and bool(
        trees_of_report(object_of(node, REPORT))
    )


def granularity_of(node: SegmentationNode, bone: Bone) -> Granularity | None:
    """What a slider offers for a bone; None where nothing is known or there is nothing to choose.

    Args:
        node: the segmentation.
        bone: which bone.

    Raises:
        InputError: the tree is damaged.
    """
    one = _tree_of(node, bone)
    if one is None or node.GetNodeReference(REGIONS_ROLE) is None:
        return None
    levels = one.tree.levels()
    counts = tuple(one.tree.fragment_count(level) for level in levels)
    now = len(bones_of(node).get(bone, ()))
    if not now or len(set(counts)) < 2:
        return None
    nearest = min(range(len(counts)), key=lambda n: (abs(counts[n] - now), n))
    return Granularity(bone=bone, levels=levels, counts=counts, position=nearest)


def regroup_bone(
    node: SegmentationNode, bone: Bone, level: float, history: UndoHistory
) -> Edit | None:
    """Divide a bone as its merge tree says at a level; reviewed fragments stay.

    Args:
        node: the segmentation.
        bone: which bone.
        level: regions that are one fragment with at least this probability are put together.
        history: is asked to save the state before.

    Returns:
        What was done; None if the bone is divided so already.

    Raises:
        InputError: all its fragments are reviewed, or the regions do not fit.
        ValueError: the segmentation has no tree of the bone.
    """
    one, regions = _tree_of(node, bone), regions_of(node)
    if one is None or regions is None:
        raise ValueError(f"there is no merge tree of the {bone.name.lower()}")
    fragments = fragments_of(node)
    placed = regions_on(regions, fragments.labels.geometry)
    grouping = Grouping(offset=one.offset, groups=one.tree.groups(level))
    edit = regroup(fragments, bone, placed.voxels, grouping)
    if edit is not None:
        history.save_state()
        apply_edit(node, edit)
    return edit


def _tree_of(node: SegmentationNode, bone: Bone) -> BoneTree | None:
    trees = trees_of_report(object_of(node, REPORT))
    return next((one for one in trees if one.bone == bone), None)
