"""Result folders into the scene: those of the child process, and any made on the command line.

The scene keeps the fragments in the project's own numbering, part of the report, and the contact
map and the regions as hidden volumes that the segmentation references.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.anatomy.numbering import FRACSEG, Numbering
from FractureSegmentationLib.editing.fragments import Fragments, ReviewStatus
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.image_file import read_image_file
from FractureSegmentationLib.io.sitk import volume_from_sitk
from FractureSegmentationLib.mrml.history import UndoHistory
from FractureSegmentationLib.mrml.layer import put_beside, tie_to_ct
from FractureSegmentationLib.mrml.nodes import (
    BONE,
    CONFIDENCE,
    CONTACT_ROLE,
    INDEX,
    REGIONS_ROLE,
    REPORT,
    Scene,
    SegmentationNode,
    VolumeNode,
    put_object,
)
from FractureSegmentationLib.mrml.plan_nodes import forget_other_fragments, transforms_of
from FractureSegmentationLib.mrml.segmentation import show_fragments
from FractureSegmentationLib.mrml.state import state_of
from FractureSegmentationLib.mrml.volume import fill_volume, refuse_nonlinear, volume_of
from FractureSegmentationLib.results.merge_trees import read_merge_trees
from FractureSegmentationLib.results.report import numbering_of_report, read_report
from FractureSegmentationLib.results.source import Source, read_source
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.orient import canonical_order

NODE_NAME = "Bone fragments"
CONTACT_NAME = "Contact probability"
REGIONS_NAME = "Regions of the fragments"

_KEPT = (
    "schema",
    "notice",
    "numbering",
    "software",
    "method",
    "weights",
    "engine",
    "device",
    "precision",
    "bones",
    "warnings",
)
"""Nothing of the input: a scene is passed on, and not even a hash should reveal whose it is."""
_INDEX_KEYS = {"label": "index", "into_label": "into_index"}


@dataclass(frozen=True)
class LoadedResult:
    """A result in the scene.

    Attributes:
        segmentation: the segmentation node.
        contact: contact probability, 0 to 255; None where the folder holds none.
        report: `report.json`, with labels as in the scene.
    """

    segmentation: SegmentationNode
    contact: Volume | None
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadResult:
    """A result folder in memory.

    Attributes:
        fragments: in the project's own numbering.
        segments: name, colour and tags by label.
        contact: contact probability, if there is any.
        regions: what the fragments were put together from, if the result kept it.
        report: with the labels of `fragments`.
    """

    fragments: Fragments
    segments: Mapping[int, Segment]
    contact: Volume | None
    regions: Volume | None
    report: Mapping[str, Any]


def load_result(
    scene: Scene,
    folder: Path,
    ct_node: VolumeNode | None,
    segmentation_node: SegmentationNode | None = None,
    history: UndoHistory | None = None,
) -> LoadedResult:
    """Show a result folder: slices at once, no surfaces (see `show_surfaces`).

    Everything is read before the scene is touched: a folder that cannot be used changes nothing.
    A segmentation that is given is replaced; ask `is_edited` before. Its plan keeps the poses of
    fragments that are exactly the same.

    Args:
        scene: where to.
        folder: as the command line or the child process wrote it.
        ct_node: the CT it was made from; the result is shown on its very grid, under its
            transform and in its place of the subject hierarchy. None shows the result alone.
        segmentation_node: to show it in; None makes one.
        history: saves what the segmentation holds, once it is sure that it will be replaced.

    Raises:
        InputError: the folder is no result, is damaged, or belongs to another CT; or the CT lies
            under a non-linear transform.
    """
    if ct_node is not None:
        refuse_nonlinear(ct_node)
    result = read_result(folder, None if ct_node is None else volume_of(ct_node).geometry)
    if history is not None:
        history.save_state()
    node = segmentation_node or scene.AddNewNodeByClass("vtkMRMLSegmentationNode", NODE_NAME)
    if ct_node is not None:
        tie_to_ct(node, ct_node)
    show_fragments(node, result.fragments, segments=result.segments)
    put_contact(node, result.contact)
    put_regions(node, result.regions)
    if transforms_of(node):
        forget_other_fragments(node, state_of(node))
    put_object(node, REPORT, kept_in_scene(result.report))
    return LoadedResult(segmentation=node, contact=contact_of(node), report=result.report)


def read_result(folder: Path, grid: Geometry | None = None) -> ReadResult:
    """Read a result folder; no scene is needed, so that this can be done beforehand.

    Args:
        folder: as `fracseg segment` wrote it.
        grid: that of the CT; None takes the result's own.

    Raises:
        InputError: the folder is no result, is damaged, or does not lie on the grid.
    """
    source, report = read_source(folder), read_report(folder)
    contact_file = folder / "contact.nrrd"
    contact = _read_contact(contact_file) if contact_file.is_file() else None
    labels = _on_grid(source.labels.layers[0], grid)
    table, segments = _our_numbers(source)
    is_ours = all(label == one.label_value for label, one in segments.items())
    fragments = Fragments.of(
        labels if is_ours else labels.with_voxels(table[labels.voxels]),
        confidences={
            label: float(one.tags[CONFIDENCE])
            for label, one in segments.items()
            if CONFIDENCE in one.tags
        },
    )
    numbering = numbering_of_report(report)
    return ReadResult(
        fragments=fragments,
        segments=segments,
        contact=contact,
        regions=_read_regions(folder, report),
        report=with_our_labels(report, numbering) if numbering else report,
    )


def is_edited(node: SegmentationNode) -> bool:
    """Whether work of a person would be lost if the segmentation were replaced.

    True once a fragment was edited by a button or an effect, or accepted, or a segment was added;
    also for a segmentation that did not come from a result. Not for an edit that was undone.
    """
    if not node.GetSegmentation().GetNumberOfSegments():
        return False
    state = state_of(node)
    is_reviewed = any(r.review is ReviewStatus.ACCEPTED for r in state.fragments.records)
    has_others = node.GetSegmentation().GetNumberOfSegments() > len(state.ids)
    return is_reviewed or has_others or not state.is_as_loaded


def kept_in_scene(report: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a report that a saved scene may hold."""
    return {key: report[key] for key in _KEPT if key in report}


def our_label(segment: Segment) -> int:
    """The label of a result's segment in the scene.

    Raises:
        InputError: it stands for no fragment of a bone.
    """
    try:
        return FRACSEG.label_of(bone_named(segment.tags[BONE]), int(segment.tags[INDEX]))
    except (KeyError, ValueError) as error:
        raise InputError(
            "The result holds labels of which nothing says which bone they are.",
            "Segment the CT again.",
        ) from error


def with_our_labels(report: Mapping[str, Any], numbering: Numbering) -> dict[str, Any]:
    """A report whose labels are those of the scene; what it says of no label stays.

    Raises:
        InputError: it names a bone or a number that there is not.
    """
    bones = report.get("bones")
    if numbering == FRACSEG or not isinstance(bones, list):
        return dict(report)
    try:
        bones = [
            _relabelled(bone, str(bone.get("bone"))) if isinstance(bone, dict) else bone
            for bone in bones
        ]
    except ValueError as error:
        raise InputError("The report of the result is damaged.", "Segment the CT again.") from error
    return {**report, "numbering": FRACSEG.name, "bones": bones}


def contact_of(segmentation_node: SegmentationNode) -> Volume | None:
    """Contact probability, 0 to 255, in the coordinates of the CT; None where there is no map."""
    node = segmentation_node.GetNodeReference(CONTACT_ROLE)
    if node is None or node.GetImageData() is None:
        return None
    return volume_of(node)


def put_contact(segmentation_node: SegmentationNode, contact: Volume | None) -> None:
    """Keep a contact map with a segmentation; None takes away the one there is.

    Args:
        segmentation_node: in a scene.
        contact: integers from 0 to 255, 255 = certain, on any grid.

    Raises:
        ValueError: the map holds other numbers.
    """
    if contact is not None and not np.issubdtype(contact.voxels.dtype, np.integer):
        raise ValueError(f"a contact map holds integers, got {contact.voxels.dtype}")
    held = None if contact is None else contact.with_voxels(contact.voxels.astype(np.uint8))
    _put_hidden(segmentation_node, CONTACT_ROLE, CONTACT_NAME, held)


def regions_of(segmentation_node: SegmentationNode) -> LabelVolume | None:
    """The regions of a segmentation, in the coordinates of the CT; None where there are none."""
    node = segmentation_node.GetNodeReference(REGIONS_ROLE)
    if node is None or node.GetImageData() is None:
        return None
    volume = volume_of(node)
    return LabelVolume(voxels=volume.voxels.astype(np.uint16), geometry=volume.geometry)


def put_regions(segmentation_node: SegmentationNode, regions: Volume | None) -> None:
    """Keep the regions of a segmentation; None takes away those there are."""
    _put_hidden(segmentation_node, REGIONS_ROLE, REGIONS_NAME, regions)


def _put_hidden(
    segmentation_node: SegmentationNode, role: str, name: str, volume: Volume | None
) -> None:
    """Keep a volume with a segmentation, where nobody sees it; None takes away the one there is."""
    scene = segmentation_node.GetScene()
    node = segmentation_node.GetNodeReference(role)
    if volume is None:
        if node is not None:
            segmentation_node.SetNodeReferenceID(role, None)
            scene.RemoveNode(node)
        return
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        node.UnRegister(None)
        node.SetName(name)
        # Before it is added: nothing may offer it to the user even for a moment.
        node.SetHideFromEditors(True)
        scene.AddNode(node)
        segmentation_node.SetNodeReferenceID(role, node.GetID())
    fill_volume(node, volume)
    put_beside(node, segmentation_node)


def _read_regions(folder: Path, report: Mapping[str, Any]) -> Volume | None:
    trees = read_merge_trees(folder, report)
    if trees is None:
        return None
    return Volume(voxels=trees.regions.voxels, geometry=trees.regions.geometry)


def _read_contact(path: Path) -> Volume:
    return volume_from_sitk(read_image_file(path).image)


def _our_numbers(source: Source) -> tuple[Any, dict[int, Segment]]:
    """What the result's label values become, and its segments by what they become."""
    table = np.zeros(1 << 16, np.uint16)
    segments = {}
    for one in source.labels.segments:
        label = our_label(one.segment)
        table[one.segment.label_value] = label
        segments[label] = one.segment
    return table, segments


def _on_grid(labels: LabelVolume, grid: Geometry | None) -> LabelVolume:
    """The labels on the CT's own grid, whose axes may be swapped or reversed against theirs."""
    if grid is None:
        return labels
    if labels.geometry.is_close_to(grid):
        return LabelVolume(voxels=labels.voxels, geometry=grid)
    canonical = canonical_order(labels.geometry).volume(labels)
    order = canonical_order(grid)
    if not canonical.geometry.is_close_to(order.geometry(grid)):
        raise InputError(
            "The result belongs to another CT than the one that is chosen.",
            "Choose the CT that it was made from, or none to show the result alone.",
        )
    return LabelVolume(voxels=np.ascontiguousarray(order.undo(canonical.voxels)), geometry=grid)


def _relabelled(value: Any, slug: str) -> Any:
    """Entries of one bone with labels worked out from their indices."""
    if isinstance(value, list):
        return [_relabelled(one, slug) for one in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _relabelled(one, slug) for key, one in value.items()}
    for label_key, index_key in _INDEX_KEYS.items():
        if label_key in value and isinstance(value.get(index_key), int):
            changed[label_key] = FRACSEG.label_of(bone_named(slug), value[index_key])
    return changed
