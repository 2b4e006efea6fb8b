"""What an edit changes about segments, once its voxels are in their layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import slicer

from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.editing.edit import Edit
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.mrml.dress import (
    default_entry,
    new_segment,
    put_edited,
    put_number,
    put_record,
    redress,
)
from FractureSegmentationLib.mrml.layer import box_of_layer
from FractureSegmentationLib.mrml.nodes import OrientedImage, SegmentationNode
from FractureSegmentationLib.mrml.review import Reviews
from FractureSegmentationLib.mrml.tags import (
    INDEX,
    LABELMAP,
    canonical_id,
    fragment_ids,
    meant_by,
    tag_of,
)
from FractureSegmentationLib.voxels.checksum import checksum


def put_changes(
    node: SegmentationNode, edit: Edit, image: OrientedImage, geometry: Geometry
) -> None:
    """Add, remove and bring up to date the segments that an edit concerns.

    Args:
        node: the segmentation.
        edit: the change; its voxels are made already.
        image: the layer of all fragments.
        geometry: the grid.
    """
    ids = fragment_ids(node)
    for label in edit.removed:
        if label in ids and label not in edit.renumbered:
            _remove(node, ids[label])
    if edit.renumbered:
        _renumber(node, edit.renumbered, image)
    else:
        _add(node, edit, image)
    _bring_up_to_date(node, edit, image, geometry)
    redress_bones(
        node, {record.bone.slug for record in (*edit.records_before, *edit.records_after)}
    )


def _remove(node: SegmentationNode, segment_id: str) -> None:
    segmentation = node.GetSegmentation()
    # A segment that leaves a shared layer would first be cut out of it, for nothing.
    segmentation.GetSegment(segment_id).RemoveAllRepresentations()
    segmentation.RemoveSegment(segment_id)


def _add(node: SegmentationNode, edit: Edit, image: OrientedImage) -> None:
    """Segments for labels that have none yet."""
    segmentation = node.GetSegmentation()
    ids = fragment_ids(node)
    for record in edit.records_after:
        if record.label not in ids:
            segment = new_segment(default_entry(record, is_only_piece=False), record.label, image)
            wanted = canonical_id(record.bone, record.index)
            segmentation.AddSegment(segment, segmentation.GenerateUniqueSegmentID(wanted))


def _bring_up_to_date(
    node: SegmentationNode, edit: Edit, image: OrientedImage, geometry: Geometry
) -> None:
    segmentation = node.GetSegmentation()
    ids = fragment_ids(node)
    reviews = Reviews(node)
    for record in edit.records_after:
        segment = segmentation.GetSegment(ids[record.label])
        part = box_of_layer(image, geometry, record.box)
        put_record(segment, record, checksum(part == record.label, record.box), reviews)
        if not edit.renumbered:
            put_edited(segment)
    reviews.keep()


def redress_bones(node: SegmentationNode, slugs: set[str]) -> None:
    """A bone that came to be one piece, or ceased to be, is called so."""
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetSegment(segment_id) for segment_id in fragment_ids(node).values()]
    meant = [(segment, *known[1:]) for segment in segments if (known := meant_by(segment))]
    pieces = Counter(bone.slug for _, bone, _ in meant)
    for segment, bone, index in meant:
        if bone.slug in slugs:
            redress(segment, bone, index, is_only_piece=pieces[bone.slug] == 1)


def _renumber(node: SegmentationNode, renumbered: Mapping[int, int], image: OrientedImage) -> None:
    """Let names, colours, tags and visibility follow fragments to the segments of new numbers."""
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    ids = fragment_ids(node)
    former: dict[int, Any] = {}
    shown: dict[int, bool] = {}
    for old in renumbered:
        former[old] = slicer.vtkSegment()
        former[old].DeepCopyMetadata(segmentation.GetSegment(ids[old]))
        shown[old] = display is None or bool(display.GetSegmentVisibility(ids[old]))
    for old in renumbered.keys() - set(renumbered.values()):
        _remove(node, ids.pop(old))
    for old, new in renumbered.items():
        bone, index = FRACSEG.fragment_of(new)
        if new not in ids:
            segment = slicer.vtkSegment()
            segment.AddRepresentation(LABELMAP, image)
            ids[new] = segmentation.GenerateUniqueSegmentID(canonical_id(bone, index))
            segmentation.AddSegment(segment, ids[new])
        segment = segmentation.GetSegment(ids[new])
        segment.DeepCopyMetadata(former[old])
        segment.SetLabelValue(new)
        put_number(segment, new, bone, index)
        before = tag_of(former[old], INDEX)
        redress(
            segment,
            bone,
            index,
            is_only_piece=False,
            former_index=int(before) if before.isdecimal() else None,
        )
        if display is not None:
            display.SetSegmentVisibility(ids[new], shown[old])
