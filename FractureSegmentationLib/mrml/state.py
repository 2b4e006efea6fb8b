"""The fragments as they are in the scene at this moment, and what an edit changes about them.

`state_of` reads them, whoever changed them last; `put_changes` updates the segments of an edit once
its voxels are in their layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import slicer

from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.editing.edit import Edit
from FractureSegmentationLib.editing.fragments import FragmentRecord, Fragments
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.mrml.layer import box_of_layer, grid_of, read_labels
from FractureSegmentationLib.mrml.nodes import (
    CONFIDENCE,
    INDEX,
    LABELMAP,
    LOADED,
    MEASURED,
    RETIRED,
    OrientedImage,
    SegmentationNode,
    SlicerSegment,
    canonical_id,
    fragment_ids,
    meant_by,
    object_of,
    put_object,
    tag_of,
)
from FractureSegmentationLib.mrml.segments import (
    Reviews,
    checksums,
    default_entry,
    new_segment,
    put_edited,
    put_number,
    put_record,
    set_segment_metadata,
)
from FractureSegmentationLib.types import Box
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.boxes import moved_box
from FractureSegmentationLib.voxels.checksum import checksum

Stamp: TypeAlias = tuple[tuple[int, str, int], ...]
"""Another one whenever the voxels of fragments may be others."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """What the scene holds.

    Attributes:
        fragments: those that have voxels.
        checksums: of their voxels, by label.
        ids: segment id by label, also of fragments without a voxel.
        loaded: checksum by label (as text) of what was loaded; empty where nothing was.
    """

    fragments: Fragments
    checksums: Mapping[int, str]
    ids: Mapping[int, str]
    loaded: Mapping[str, str]

    @property
    def is_as_loaded(self) -> bool:
        """Whether every voxel has the label with which it was loaded."""
        return _as_text(self.checksums) == dict(self.loaded)

    def was_loaded(self, label: int) -> bool:
        """Whether a fragment has the voxels with which it was loaded."""
        return self.loaded.get(str(label)) == self.checksums[label]


def state_of(node: SegmentationNode) -> State:
    """Read the fragments of a segmentation.

    Raises:
        InputError: it says nothing of a grid.
    """
    geometry = grid_of(node)
    ids = fragment_ids(node)
    present = _present_fragments(*read_labels(node, ids, geometry), geometry)
    sums = checksums(present)
    reviews = Reviews(node)
    segmentation = node.GetSegmentation()

    def known(record: FragmentRecord) -> FragmentRecord:
        segment = segmentation.GetSegment(ids[record.label])
        checksum_now = sums[record.label]
        return replace(
            record,
            confidence=_confidence(segment, checksum_now),
            review=reviews.status(segment, checksum_now),
        )

    records = tuple(known(record) for record in present.records)
    empty = ids.keys() - {record.label for record in records}
    retired = frozenset((retired_labels(node) - ids.keys()) | empty)
    fragments = replace(present, records=records, retired=retired)
    loaded = {str(label): str(value) for label, value in object_of(node, LOADED).items()}
    return State(fragments=fragments, checksums=sums, ids=ids, loaded=loaded)


def stamp_of(node: SegmentationNode) -> Stamp:
    """What shows, without reading voxels, whether fragments may have changed since it was taken."""
    segmentation = node.GetSegmentation()
    images = {
        label: (segment_id, segmentation.GetSegment(segment_id).GetRepresentation(LABELMAP))
        for label, segment_id in fragment_ids(node).items()
    }
    return tuple(
        (label, segment_id, 0 if image is None else int(image.GetMTime()))
        for label, (segment_id, image) in sorted(images.items())
    )


def retired_labels(node: SegmentationNode) -> set[int]:
    """Labels that were taken out of use; after an undo some of them may be there again."""
    words = (node.GetAttribute(RETIRED) or "").split()
    return {int(word) for word in words if word.isdecimal()}


def put_retired(node: SegmentationNode, labels: frozenset[int]) -> None:
    """Keep the labels that are out of use."""
    node.SetAttribute(RETIRED, " ".join(str(label) for label in sorted(labels)) or None)


def put_loaded(node: SegmentationNode, sums: Mapping[int, str]) -> None:
    """Remember the checksums of what is there as what was loaded: edits are detected by it."""
    put_object(node, LOADED, dict(_as_text(sums)))


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
    set_metadata_of_bones(
        node, {record.bone.slug for record in (*edit.records_before, *edit.records_after)}
    )


def set_metadata_of_bones(node: SegmentationNode, slugs: set[str]) -> None:
    """A bone that came to be one piece, or ceased to be, is called so."""
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetSegment(segment_id) for segment_id in fragment_ids(node).values()]
    meant = [(segment, *known[1:]) for segment in segments if (known := meant_by(segment))]
    pieces = Counter(bone.slug for _, bone, _ in meant)
    for segment, bone, index in meant:
        if bone.slug in slugs:
            set_segment_metadata(segment, bone, index, is_only_piece=pieces[bone.slug] == 1)


def _present_fragments(voxels: npt.NDArray[np.uint16], box: Box, geometry: Geometry) -> Fragments:
    """The fragments of a grid, looked for only in the box that holds them all."""
    part = Fragments.of(LabelVolume(voxels=voxels[box], geometry=geometry.cropped(box)))

    return replace(
        part,
        labels=LabelVolume(voxels=voxels, geometry=geometry),
        records=tuple(replace(r, box=moved_box(r.box, box)) for r in part.records),
    )


def _confidence(segment: SlicerSegment, present: str) -> float | None:
    """What the method said of exactly these voxels."""
    try:
        value = float(tag_of(segment, CONFIDENCE))
    except ValueError:
        return None
    is_of_these = tag_of(segment, MEASURED) in {"", present}
    return value if is_of_these and 0.0 <= value <= 1.0 else None


def _as_text(sums: Mapping[int, str]) -> dict[str, str]:
    """Checksum by label, the way JSON names it."""
    return {str(label): value for label, value in sums.items()}


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
        set_segment_metadata(
            segment,
            bone,
            index,
            is_only_piece=False,
            former_index=int(before) if before.isdecimal() else None,
        )
        if display is not None:
            display.SetSegmentVisibility(ids[new], shown[old])
