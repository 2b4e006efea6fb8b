"""Labels of a `.seg.nrrd` by what its segments are called, not by the numbers they happen to have.

3D Slicer numbers segments in the order in which they were added, so a left hip bone may have the
value 1, which in a bone mask means the sacrum. Label values decide only where no name is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from FractureSegmentationLib.anatomy.catalogue import BONES, Bone
from FractureSegmentationLib.anatomy.meaning import bone_of_segment
from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.anatomy.numbering import FRACSEG, Numbering
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.image_file import kind_of, read_image_file
from FractureSegmentationLib.io.read import read_labels, readable
from FractureSegmentationLib.results.layers import LayeredLabels
from FractureSegmentationLib.results.seg_nrrd import (
    names_segments,
    segmentation_of_image,
    segments_of_header,
)
from FractureSegmentationLib.volume import LabelVolume

_RENAME = "Rename the segments, e.g. in 3D Slicer's Segmentations module."


def read_bone_labels(path: Path) -> LabelVolume:
    """Read a bone mask: the catalogue's mask values, of a `.seg.nrrd` by the names of its segments.

    Segments of one bone, such as its fragments, are taken together.

    Raises:
        InputError: as for `read_labels`; or names, terminology and label values contradict each
            other, or segments of two bones overlap.
    """
    labels = _named_file(path)
    bones = () if labels is None else _bones_of([one.segment for one in labels.segments])
    if labels is None or not any(bones):
        return read_labels(path)
    values = [
        _mask_value(one.segment, bone, bones)
        for one, bone in zip(labels.segments, bones, strict=True)
    ]
    return _merged(labels, values)


def read_fragment_labels(path: Path, numbering: Numbering) -> LabelVolume:
    """Read fragments: by `numbering`, or in our own where `names_bones` is true of the file.

    Raises:
        InputError: as for `read_labels` and `names_bones`, or segments overlap.
    """
    labels = _named_file(path) if names_bones(path, numbering.name) else None
    if labels is None:
        return read_labels(path)
    bones = _bones_of([one.segment for one in labels.segments])
    return _merged(labels, _fragment_labels(bones))


def names_bones(path: Path, requested: str | None, numberings: Sequence[Numbering] = ()) -> bool:
    """Whether the segments of a file are named after bones; no voxel is read.

    Args:
        path: a label file of any kind.
        requested: name of the numbering that the user says its label values have.
        numberings: all that there are; with none of them `requested` is not checked.

    Raises:
        InputError: some segments are and others are not; or what one is named after is not what
            its label value means in the numbering requested.
    """
    segments = segments_of_header(path)
    bones = _bones_of(segments)
    if not any(bones):
        return False
    for segment, bone in zip(segments, bones, strict=True):
        if bone is None:
            raise InputError(f"The segment {segment.name} is named after no bone.", _RENAME)
        for numbering in numberings:
            if numbering.name == requested:
                _refuse_contradiction(segment, bone, numbering)
    return True


def _named_file(path: Path) -> LayeredLabels | None:
    """The segments of a `.seg.nrrd`; None for any other file."""
    if kind_of(path) != "NRRD" or not path.is_file():
        return None
    with readable():
        image = read_image_file(path, may_have_layers=True).image
    return segmentation_of_image(image).labels if names_segments(image) else None


def _bones_of(segments: Sequence[Segment]) -> tuple[Bone | None, ...]:
    return tuple(bone_of_segment(segment) for segment in segments)


def _mask_value(segment: Segment, bone: Bone | None, others: Sequence[Bone | None]) -> int:
    if bone is not None:
        return bone.mask_value
    meant = [one for one in BONES if one.mask_value == segment.label_value]
    if not meant or meant[0] in others:
        raise InputError(f"The segment {segment.name} is named after no bone.", _RENAME)
    return segment.label_value


def _fragment_labels(bones: Sequence[Bone | None]) -> list[int]:
    """Our label of every segment: fragments of a bone are counted in the order of the file."""
    counts: dict[str, int] = {}
    labels = []
    for bone in bones:
        if bone is None:
            raise ValueError("every segment has to be named after a bone")
        counts[bone.slug] = counts.get(bone.slug, 0) + 1
        labels.append(FRACSEG.label_of(bone, counts[bone.slug]))
    return labels


def _refuse_contradiction(segment: Segment, bone: Bone, numbering: Numbering) -> None:
    try:
        meant, _ = numbering.fragment_of(segment.label_value)
    except ValueError:
        return
    if meant != bone:
        raise InputError(
            f"The segment {segment.name} has the label {segment.label_value}, which in the "
            f"numbering {numbering.name} is of the {meant.name.lower()}.",
            "Leave the numbering out: the names of the segments decide.",
        )


def _merged(labels: LayeredLabels, values: Sequence[int]) -> LabelVolume:
    """One label per voxel.

    Raises:
        InputError: segments with different values overlap.
    """
    dtype = np.uint8 if max(values, default=0) <= np.iinfo(np.uint8).max else np.uint16
    merged = np.zeros(labels.geometry.shape, dtype)
    for one, value in zip(labels.segments, values, strict=True):
        inside = labels.mask(one)
        if np.any((merged[inside] != 0) & (merged[inside] != value)):
            raise InputError(
                "Segments of different bones or fragments overlap.",
                "Let 3D Slicer export the segmentation without overlaps.",
            )
        merged[inside] = value
    return LabelVolume(voxels=merged, geometry=labels.geometry)
