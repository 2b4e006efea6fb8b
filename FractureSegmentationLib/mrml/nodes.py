"""The scene's objects: names for their types, and what is kept of fragments in them.

Slicer ships no types, so each alias names its VTK class. Fragments are described by tags of their
segments and by attributes of the segmentation node.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import vtk

from FractureSegmentationLib.anatomy.catalogue import Bone, bone_named
from FractureSegmentationLib.anatomy.numbering import FRACSEG

Scene: TypeAlias = Any
"""vtkMRMLScene."""
TransformableNode: TypeAlias = Any
"""vtkMRMLTransformableNode: whatever can lie under a transform."""
VolumeNode: TypeAlias = Any
"""vtkMRMLScalarVolumeNode, or a label map of the same base."""
SegmentationNode: TypeAlias = Any
"""vtkMRMLSegmentationNode."""
SlicerSegment: TypeAlias = Any
"""vtkSegment; `anatomy.naming.Segment` is what we say of one."""
OrientedImage: TypeAlias = Any
"""vtkOrientedImageData."""
Matrix: TypeAlias = Any
"""vtkMatrix4x4."""

LABELMAP = "Binary labelmap"
SURFACE = "Closed surface"
"""Names of the two representations, as Slicer writes them into files."""

LABEL = "FracSeg.Label"
BONE = "FracSeg.Bone"
INDEX = "FracSeg.Index"
CONFIDENCE = "FracSeg.Confidence"
MEASURED = "FracSeg.Measured"
"""Checksum of the voxels to which the confidence belongs."""
ACCEPTED = "FracSeg.Accepted"
"""Checksum of the voxels that a person has accepted."""
STATUS = "Segmentation.Status"
TERMINOLOGY = "TerminologyEntry"
ALGORITHM_TYPE = "DICOM.SegmentAlgorithmType"
COMPLETED, NOT_STARTED = "completed", "notstarted"

RETIRED = "FracSeg.Retired"
LOADED = "FracSeg.Loaded"
"""Checksum by label of what was loaded."""
REVIEWED = "FracSeg.Reviewed"
"""Checksums of voxels that were accepted, and of those whose acceptance was taken back."""
REPORT = "FracSeg.Report"
CONTACT_ROLE = "FracSeg.ContactMap"
REGIONS_ROLE = "FracSeg.Regions"


def tag_of(segment: SlicerSegment, name: str) -> str:
    """A tag of a segment; "" where it has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def put_tag(segment: SlicerSegment, name: str, value: str) -> None:
    """Set a tag, or remove it with ""; what is so already is not touched.

    Any change of a segment, even to the same value, would end what can be redone.
    """
    if tag_of(segment, name) == value:
        return
    if value:
        segment.SetTag(name, value)
    else:
        segment.RemoveTag(name)


def meant_by(segment: SlicerSegment) -> tuple[int, Bone, int] | None:
    """(label, bone, index) of a fragment; None of a segment that is no fragment."""
    text = tag_of(segment, LABEL)
    try:
        if text:
            label = int(text)
            return (label, *FRACSEG.fragment_of(label))
        bone, index = bone_named(tag_of(segment, BONE)), int(tag_of(segment, INDEX))
        return FRACSEG.label_of(bone, index), bone, index
    except ValueError:
        return None


def canonical_id(bone: Bone, index: int) -> str:
    """The id of a fragment's segment."""
    return f"{bone.slug}_{index}"


def fragment_ids(node: SegmentationNode) -> dict[int, str]:
    """Segment id by label of the fragments there are, also of those without a voxel.

    Of two segments with one label, e.g. a copy, the one whose id says so is the fragment.
    """
    segmentation = node.GetSegmentation()
    ids: dict[int, str] = {}
    for segment_id in segmentation.GetSegmentIDs():
        meant = meant_by(segmentation.GetSegment(segment_id))
        if meant is not None:
            label, bone, index = meant
            if label not in ids or segment_id == canonical_id(bone, index):
                ids[label] = segment_id
    return ids


def object_of(node: SegmentationNode, attribute: str) -> dict[str, Any]:
    """The JSON object in an attribute; an empty one where there is none, or nothing readable."""
    try:
        value = json.loads(node.GetAttribute(attribute) or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def put_object(node: SegmentationNode, attribute: str, value: dict[str, Any]) -> None:
    """Keep a JSON object in an attribute of a node."""
    node.SetAttribute(attribute, json.dumps(value, sort_keys=True) if value else None)
