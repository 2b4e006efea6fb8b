"""Fragments into a segmentation of the scene, out of it, and changed in place.

One segmentation holds all fragments in one 16-bit layer whose values are their labels. Segment
ids and labels stay fixed for life: an edit touches the segments it concerns and no other.
`reconcile` and `adopt` follow what others changed: effects of the Segment Editor, other modules, a
person's script.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from FractureSegmentationLib.anatomy.catalogue import Bone
from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.editing.edit import Edit
from FractureSegmentationLib.editing.fragments import FragmentRecord, Fragments, ReviewStatus
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.mrml.history import UndoHistory
from FractureSegmentationLib.mrml.layer import (
    box_of_layer,
    gather,
    grid_of,
    mask_of,
    name_grid,
    shared_image,
    shared_layer,
    write_box,
)
from FractureSegmentationLib.mrml.nodes import (
    CONFIDENCE,
    LABELMAP,
    MEASURED,
    SegmentationNode,
    canonical_id,
    fragment_ids,
    meant_by,
    put_tag,
    tag_of,
)
from FractureSegmentationLib.mrml.segments import (
    Reviews,
    checksums,
    default_entry,
    mirror,
    new_segment,
    put_edited,
    put_number,
    put_record,
    surfaces_kept,
)
from FractureSegmentationLib.mrml.state import (
    State,
    put_changes,
    put_loaded,
    put_retired,
    set_metadata_of_bones,
    state_of,
)
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.windows import window_maximum

_TOUCHING_VOXELS = 2


def show_fragments(
    node: SegmentationNode,
    fragments: Fragments,
    *,
    segments: Mapping[int, Segment] | None = None,
) -> None:
    """Replace whatever a segmentation holds by fragments, in one step.

    Surfaces are not made, see `show_surfaces`. What is shown counts as loaded: `is_edited` reports
    changes since then.

    Args:
        node: a segmentation of a scene.
        fragments: numbered the project's own way.
        segments: name, colour and tags by label; those that are missing get their own.

    Raises:
        ValueError: the fragments follow another numbering.
    """
    if fragments.numbering != FRACSEG:
        raise ValueError(f"the scene is numbered {FRACSEG.name}, not {fragments.numbering.name}")
    given = segments or {}
    pieces = Counter(record.bone.slug for record in fragments.records)
    geometry = fragments.labels.geometry
    segmentation = node.GetSegmentation()
    sums = checksums(fragments)
    reviews = Reviews(node)
    with one_change(node):
        clear_segments(node)
        # A segmentation of surfaces, e.g. from meshes, would make them its source for good.
        segmentation.SetSourceRepresentationName(LABELMAP)
        if node.GetScene() is not None and node.GetDisplayNode() is None:
            node.CreateDefaultDisplayNodes()
        name_grid(node, geometry)
        voxels = np.asarray(fragments.labels.voxels, np.uint16)
        image = shared_layer(voxels, geometry, [record.box for record in fragments.records])
        for record in fragments.records:
            is_only_piece = pieces[record.bone.slug] == 1
            entry = given.get(record.label) or default_entry(record, is_only_piece=is_only_piece)
            segment = new_segment(entry, record.label, image)
            put_record(segment, record, sums[record.label], reviews)
            segmentation.AddSegment(segment, canonical_id(record.bone, record.index))
        reviews.keep()
        put_retired(node, fragments.retired)
        put_loaded(node, sums)


def fragments_of(node: SegmentationNode) -> Fragments:
    """The fragments as they are now: after buttons, effects, undo, or a reload of the scene.

    Nothing in the scene is changed by reading it. Segments that are no fragments are left out; of
    overlapping ones the layer changed last has the voxel. What is reviewed or has a confidence
    has it for exactly the voxels it has now.

    Returns:
        Labels on the grid of the CT, copied.

    Raises:
        InputError: the segmentation is empty and says nothing of a grid.
    """
    return state_of(node).fragments


def apply_edit(node: SegmentationNode, edit: Edit) -> None:
    """Make a change in the scene.

    New fragments get ids, names and colours; the others keep theirs. Surfaces of what changed are
    taken away until `show_surfaces` makes them again. The caller saves the state for undo before.

    Raises:
        ValueError: the change was made for other fragments than these.
    """
    geometry = grid_of(node)
    with one_change(node):
        image = shared_image(node, fragment_ids(node), geometry, edit.box)
        if image is None or not np.array_equal(
            box_of_layer(image, geometry, edit.box), edit.before
        ):
            image = gather(node, edit.box)
        if not np.array_equal(box_of_layer(image, geometry, edit.box), edit.before):
            raise ValueError("the edit does not belong to these fragments: their labels differ")
        ids = fragment_ids(node)
        labels = {record.label for record in (*edit.records_before, *edit.records_after)}
        with surfaces_kept(node, [ids[label] for label in labels if label in ids]):
            write_box(image, geometry, edit.box, edit.after)
            put_changes(node, edit, image, geometry)
        put_retired(node, edit.retired_after)


def set_review(node: SegmentationNode, segment_ids: Iterable[str], status: ReviewStatus) -> None:
    """Say that a person has accepted fragments as they are now, or take that back.

    Undoing an edit of another fragment does not undo this.

    Raises:
        ValueError: a segment is no fragment, or has no voxels.
    """
    state = state_of(node)
    labels = [label_of(node, segment_id) for segment_id in segment_ids]
    if missing := [label for label in labels if label not in state.checksums]:
        raise ValueError(f"the fragments {missing} have no voxels")
    reviews = Reviews(node)
    with one_change(node):
        for label in labels:
            segment = node.GetSegmentation().GetSegment(state.ids[label])
            reviews.put(segment, state.checksums[label], status)
        reviews.keep()


def label_of(node: SegmentationNode, segment_id: str) -> int:
    """The label of a segment.

    Raises:
        ValueError: there is no such segment, or it is no fragment.
    """
    segment = node.GetSegmentation().GetSegment(segment_id)
    meant = meant_by(segment) if segment is not None else None
    if meant is None or fragment_ids(node).get(meant[0]) != segment_id:
        raise ValueError(f"the segment {segment_id!r} is no fragment")
    return meant[0]


def segment_id_of(node: SegmentationNode, label: int) -> str:
    """The id of the segment that shows a fragment.

    Raises:
        ValueError: there is none.
    """
    ids = fragment_ids(node)
    if label not in ids:
        raise ValueError(f"no segment shows the label {label}")
    return ids[label]


def clear_segments(node: SegmentationNode) -> None:
    """Take all segments out of a segmentation."""
    segmentation = node.GetSegmentation()
    for segment_id in segmentation.GetSegmentIDs():
        # A segment that leaves a shared layer would first be cut out of it, for nothing.
        segmentation.GetSegment(segment_id).RemoveAllRepresentations()
    segmentation.RemoveAllSegments()


@contextlib.contextmanager
def one_change(node: SegmentationNode) -> Iterator[None]:
    """Let observers of the node hear of several changes once."""
    was_modifying = node.StartModify()
    try:
        yield
    finally:
        node.EndModify(was_modifying)


def foreign_segments(node: SegmentationNode) -> tuple[str, ...]:
    """Ids of the segments that are no fragments: a person's own, or an effect's."""
    own = set(fragment_ids(node).values())
    return tuple(s for s in node.GetSegmentation().GetSegmentIDs() if s not in own)


def reconcile(node: SegmentationNode) -> bool:
    """Bring a segmentation back in order after a change that was not one of ours.

    Pieces that an effect has cut off a fragment, and named after it, become fragments of its bone.
    Fragments in several layers come back into one, so that overlaps are settled. What was said of
    other voxels than a segment has now, its confidence and that it was accepted, is taken back.

    Call it when an effect is done, but not after undo or redo: the scene is in order then, and any
    change of a segment ends what can be redone. `fragments_of` is right also without it.

    Returns:
        Whether anything had to be changed.

    Raises:
        InputError: the segmentation is empty and says nothing of a grid, or a bone has more
            fragments than the numbering holds.
    """
    with one_change(node):
        adopted = [s for s in foreign_segments(node) if _adopt_derived(node, s)]
        is_spread = not _is_in_one_layer(node)
        if is_spread:
            gather(node)
        state = state_of(node)
        changed = [record for record in state.fragments.records if _put_true(node, state, record)]
        if adopted or is_spread or changed:
            set_metadata_of_bones(node, {record.bone.slug for record in state.fragments.records})
    return bool(adopted or is_spread or changed)


def adopt(
    node: SegmentationNode, segment_id: str, history: UndoHistory, bone: Bone | None = None
) -> int:
    """Make a fragment of a segment that a person has drawn.

    Args:
        node: the segmentation.
        segment_id: a segment that is no fragment yet; it keeps its id, and its name if a person
            gave one.
        history: is asked to save the state before.
        bone: the bone it belongs to; None takes the one whose fragments it touches most.

    Returns:
        Its label.

    Raises:
        InputError: the segment is empty, touches no bone, or the bone has too many fragments.
        ValueError: there is no such segment, or it is a fragment.
    """
    if segment_id not in foreign_segments(node):
        raise ValueError(f"the segment {segment_id!r} is a fragment already, or is not there")
    fragments = state_of(node).fragments
    chosen = bone or _touched_bone(node, segment_id, fragments)
    (label,) = fragments.free_labels(chosen, 1)
    history.save_state()
    with one_change(node):
        is_named = not node.GetSegmentation().GetSegment(segment_id).GetNameAutoGenerated()
        _make_fragment(node, segment_id, label, keeps_name=is_named)
        gather(node)
        set_metadata_of_bones(node, {chosen.slug})
    return label


def _adopt_derived(node: SegmentationNode, segment_id: str) -> bool:
    """Take in a segment that the effect Islands has named after the fragment it was cut from."""
    segmentation = node.GetSegmentation()
    name = segmentation.GetSegment(segment_id).GetName() or ""
    for origin_id in fragment_ids(node).values():
        origin = segmentation.GetSegment(origin_id)
        suffix = name.removeprefix(f"{origin.GetName()}_")
        meant = meant_by(origin)
        if suffix != name and suffix.isdecimal() and meant is not None:
            (label,) = state_of(node).fragments.free_labels(meant[1], 1)
            _make_fragment(node, segment_id, label, keeps_name=False)
            return True
    return False


def _make_fragment(
    node: SegmentationNode, segment_id: str, label: int, *, keeps_name: bool
) -> None:
    bone, index = FRACSEG.fragment_of(label)
    segment = node.GetSegmentation().GetSegment(segment_id)
    nothing = (slice(0, 0), slice(0, 0), slice(0, 0))
    record = FragmentRecord(label=label, bone=bone, index=index, voxels=0, box=nothing)
    entry = default_entry(record, is_only_piece=False)
    for name, value in entry.tags.items():
        put_tag(segment, name, value)
    put_number(segment, label, bone, index)
    put_edited(segment)
    if not keeps_name:
        segment.SetName(entry.name)
        segment.SetNameAutoGenerated(False)
        segment.SetColor(*entry.color)
        segment.SetColorAutoGenerated(False)


def _is_in_one_layer(node: SegmentationNode) -> bool:
    ids = fragment_ids(node)
    return not ids or shared_image(node, ids, grid_of(node)) is not None


def _put_true(node: SegmentationNode, state: State, record: FragmentRecord) -> bool:
    """Let a segment say nothing that belongs to other voxels; whether it did."""
    segment = node.GetSegmentation().GetSegment(state.ids[record.label])
    before = segment.GetMTime()
    present = state.checksums[record.label]
    if tag_of(segment, MEASURED) not in {"", present}:
        put_tag(segment, CONFIDENCE, "")
        put_tag(segment, MEASURED, "")
    if not state.was_loaded(record.label):
        put_edited(segment)
    mirror(segment, present, record.review)
    return bool(segment.GetMTime() != before)


def _touched_bone(node: SegmentationNode, segment_id: str, fragments: Fragments) -> Bone:
    """The bone that most voxels close to a segment belong to."""
    mask = mask_of(node, segment_id, fragments.labels.geometry)
    box = bounding_box(mask, margin=_TOUCHING_VOXELS)
    name = node.GetSegmentation().GetSegment(segment_id).GetName()
    if box is None:
        raise InputError(f"The segment {name} is empty.", "Draw the fragment first.")
    close = fragments.labels.voxels[box][window_maximum(mask[box], _TOUCHING_VOXELS)]
    labels, counts = np.unique(close[close > 0], return_counts=True)
    votes: Counter[str] = Counter()
    bones = {}
    for label, count in zip(labels.tolist(), counts.tolist(), strict=True):
        bone, _ = FRACSEG.fragment_of(label)
        bones[bone.slug] = bone
        votes[bone.slug] += count
    if not votes:
        raise InputError(f"The segment {name} touches no bone.", "Say which bone it belongs to.")
    return bones[votes.most_common(1)[0][0]]
