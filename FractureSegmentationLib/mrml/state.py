"""The fragments as they are in the scene at this moment, whoever changed them last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.editing.fragments import FragmentRecord, Fragments
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.mrml.layer import read_labels
from FractureSegmentationLib.mrml.nodes import SegmentationNode, SlicerSegment
from FractureSegmentationLib.mrml.place import grid_of
from FractureSegmentationLib.mrml.review import Reviews, checksums
from FractureSegmentationLib.mrml.tags import (
    CONFIDENCE,
    LABELMAP,
    LOADED,
    MEASURED,
    RETIRED,
    fragment_ids,
    object_of,
    put_object,
    tag_of,
)
from FractureSegmentationLib.types import Box
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.boxes import moved_box

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
    found = _found(*read_labels(node, ids, geometry), geometry)
    sums = checksums(found)
    reviews = Reviews(node)
    segmentation = node.GetSegmentation()

    def known(record: FragmentRecord) -> FragmentRecord:
        segment = segmentation.GetSegment(ids[record.label])
        present = sums[record.label]
        return replace(
            record,
            confidence=_confidence(segment, present),
            review=reviews.status(segment, present),
        )

    records = tuple(known(record) for record in found.records)
    empty = ids.keys() - {record.label for record in records}
    retired = frozenset((retired_labels(node) - ids.keys()) | empty)
    fragments = replace(found, records=records, retired=retired)
    loaded = {str(label): str(value) for label, value in object_of(node, LOADED).items()}
    return State(fragments=fragments, checksums=sums, ids=ids, loaded=loaded)


def stamp_of(node: SegmentationNode) -> Stamp:
    """What tells, without reading voxels, whether fragments may have changed since it was taken."""
    segmentation = node.GetSegmentation()
    images = {
        label: (segment_id, segmentation.GetSegment(segment_id).GetRepresentation(LABELMAP))
        for label, segment_id in fragment_ids(node).items()
    }
    return tuple(
        (label, segment_id, 0 if image is None else int(image.GetMTime()))
        for label, (segment_id, image) in sorted(images.items())
    )


def _found(voxels: npt.NDArray[np.uint16], box: Box, geometry: Geometry) -> Fragments:
    """The fragments of a grid, looked for only in the box that holds them all."""
    part = Fragments.of(LabelVolume(voxels=voxels[box], geometry=geometry.cropped(box)))

    return replace(
        part,
        labels=LabelVolume(voxels=voxels, geometry=geometry),
        records=tuple(replace(r, box=moved_box(r.box, box)) for r in part.records),
    )


def retired_labels(node: SegmentationNode) -> set[int]:
    """Labels that were taken out of use; after an undo some of them may be there again."""
    words = (node.GetAttribute(RETIRED) or "").split()
    return {int(word) for word in words if word.isdecimal()}


def put_retired(node: SegmentationNode, labels: frozenset[int]) -> None:
    """Keep the labels that are out of use."""
    node.SetAttribute(RETIRED, " ".join(str(label) for label in sorted(labels)) or None)


def put_loaded(node: SegmentationNode, sums: Mapping[int, str]) -> None:
    """Remember the checksums of what is there as what was loaded: edits are told from it."""
    put_object(node, LOADED, dict(_as_text(sums)))


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
