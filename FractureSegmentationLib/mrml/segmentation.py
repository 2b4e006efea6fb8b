"""Fragments into a segmentation of the scene, out of it, and changed in place.

One segmentation holds all fragments in one 16-bit layer whose values are their labels. Segment
ids and labels stay fixed for life: an edit touches the segments it concerns and no other.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.editing.edit import Edit
from FractureSegmentationLib.editing.fragments import Fragments, ReviewStatus
from FractureSegmentationLib.mrml.changes import put_changes
from FractureSegmentationLib.mrml.dress import default_entry, new_segment, put_record
from FractureSegmentationLib.mrml.gather import gather
from FractureSegmentationLib.mrml.layer import (
    box_of_layer,
    shared_image,
    shared_layer,
    write_box,
)
from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.place import grid_of, name_grid
from FractureSegmentationLib.mrml.review import Reviews, checksums
from FractureSegmentationLib.mrml.state import put_loaded, put_retired, state_of
from FractureSegmentationLib.mrml.surfaces import surfaces_kept
from FractureSegmentationLib.mrml.tags import LABELMAP, canonical_id, fragment_ids, meant_by


def show_fragments(
    node: SegmentationNode,
    fragments: Fragments,
    *,
    segments: Mapping[int, Segment] | None = None,
) -> None:
    """Replace whatever a segmentation holds by fragments, in one step.

    Surfaces are not made, see `show_surfaces`. What is shown counts as loaded: `is_edited` tells
    of changes since then.

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
