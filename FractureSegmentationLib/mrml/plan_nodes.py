"""The nodes of a plan: per fragment a transform with handles, and a model of its surface under it.

The segmentation refers to them, and each says whose it is. So a plan is recognized in a saved
scene, and nodes that a user deletes are simply made anew. The nodes follow their fragments when
these change their segments. The mirrored other side is a further model, to compare the plan with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import slicer
from vtk import vtkCellArray, vtkMatrix4x4, vtkPoints, vtkPolyData, vtkPolyDataNormals
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.mesh import Surface, fragment_surface
from FractureSegmentationLib.mrml.nodes import SegmentationNode, TransformableNode
from FractureSegmentationLib.mrml.segmentation import label_of
from FractureSegmentationLib.mrml.state import State, state_of
from FractureSegmentationLib.mrml.volume import (
    array_of_matrix,
    flipped_x_y,
    matrix_of_array,
    refuse_nonlinear,
)
from FractureSegmentationLib.planning.mirror_template import MirrorTemplate, mirror_template
from FractureSegmentationLib.planning.pose import Pose, moved_points
from FractureSegmentationLib.types import PointLps
from FractureSegmentationLib.volume import LabelVolume

TransformNode: TypeAlias = Any
"""vtkMRMLLinearTransformNode."""
ModelNode: TypeAlias = Any
"""vtkMRMLModelNode."""
DisplayNode: TypeAlias = Any
"""vtkMRMLTransformDisplayNode or vtkMRMLModelDisplayNode."""

TRANSFORM_ROLE = "FracSeg.Plan"
MODEL_ROLE = "FracSeg.PlanModel"
TEMPLATE_ROLE = "FracSeg.Mirrored"
SEGMENT = "FracSeg.PlanSegment"
VOXELS = "FracSeg.PlanVoxels"
"""Checksum of the voxels that the model shows."""
CENTROID = "FracSeg.PlanCentroid"
FOLDER = "FracSeg.PlanFolder"
FOLDER_NAME = "Reduction plan"
MIRRORED_BONE = "FracSeg.MirroredOver"
MIRRORED_RESIDUAL_MM = "FracSeg.MirroredResidualMm"

_LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_COLOR = (0.95, 0.95, 0.85)
_OPACITY = 0.4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownTemplate:
    """A template and the model that shows it."""

    template: MirrorTemplate
    model: ModelNode


def referenced(node: SegmentationNode, role: str) -> Iterator[Any]:
    """The nodes that a segmentation refers to in a role, those that were deleted left out."""
    for index in range(node.GetNumberOfNodeReferences(role)):
        target = node.GetNthNodeReference(role, index)
        if target is not None:
            yield target


def transforms_of(node: SegmentationNode) -> dict[str, TransformNode]:
    """The transforms of a plan by segment id."""
    return {one.GetAttribute(SEGMENT): one for one in referenced(node, TRANSFORM_ROLE)}


def models_of(node: SegmentationNode) -> dict[str, ModelNode]:
    """The models of a plan by segment id."""
    return {one.GetAttribute(SEGMENT): one for one in referenced(node, MODEL_ROLE)}


def add_transform(node: SegmentationNode, segment_id: str) -> TransformNode:
    """A new transform for a fragment: an identity whose handles are not shown."""
    transform = node.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetAttribute(SEGMENT, segment_id)
    display = display_of(transform)
    display.SetEditorTranslationEnabled(True)
    display.SetEditorRotationEnabled(True)
    display.SetEditorScalingEnabled(False)
    node.AddNodeReferenceID(TRANSFORM_ROLE, transform.GetID())
    return transform


def add_model(node: SegmentationNode, role: str) -> ModelNode:
    """A new, empty model whose outline is shown in the slices too."""
    model = node.GetScene().AddNewNodeByClass("vtkMRMLModelNode")
    display_of(model).SetVisibility2D(True)
    node.AddNodeReferenceID(role, model.GetID())
    return model


def display_of(node: TransformNode | ModelNode) -> DisplayNode:
    """The display node; one is made where a user has deleted it."""
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    return node.GetDisplayNode()


def fill_model(model: ModelNode, surface: Surface) -> None:
    """Put a surface into a model, smoothly shaded."""
    mesh = vtkPolyData()
    points = vtkPoints()
    ras = flipped_x_y(surface.points_lps_mm).astype(np.float32)
    points.SetData(numpy_to_vtk(ras, deep=True))
    mesh.SetPoints(points)
    triangles = vtkCellArray()
    count = len(surface.triangles)
    offsets = numpy_to_vtkIdTypeArray(np.arange(0, 3 * count + 1, 3, dtype=np.int64), deep=True)
    corners = np.ascontiguousarray(surface.triangles, np.int64).ravel()
    triangles.SetData(offsets, numpy_to_vtkIdTypeArray(corners, deep=True))
    mesh.SetPolys(triangles)
    normals = vtkPolyDataNormals()
    normals.SetInputData(mesh)
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    model.SetAndObservePolyData(normals.GetOutput())


def pose_of(transform: TransformNode) -> Pose:
    """(4, 4) what a transform does, in LPS, mm and without its parent; it may scale."""
    matrix = vtkMatrix4x4()
    transform.GetMatrixTransformToParent(matrix)
    return np.asarray(_LPS_RAS @ array_of_matrix(matrix) @ _LPS_RAS, np.float64)


def put_pose(transform: TransformNode, pose: Pose) -> None:
    """Let a transform do a motion that is given in LPS, mm; adding 0.0 leaves no negative zeros."""
    transform.SetMatrixTransformToParent(matrix_of_array(_LPS_RAS @ pose @ _LPS_RAS + 0.0))


def put_centroid(transform: TransformNode, centroid_lps_mm: PointLps) -> None:
    """Let the handles of a transform turn about a point of the CT, and remember it."""
    x, y, z = (float(value) for value in flipped_x_y(np.array(centroid_lps_mm)))
    transform.SetCenterOfTransformation(x, y, z)
    transform.SetAttribute(CENTROID, " ".join(repr(value) for value in centroid_lps_mm))


def centroid_of(transform: TransformNode) -> PointLps:
    """The fragment's centroid; the centre of the handles may have been moved by the user."""
    x, y, z = (float(value) for value in transform.GetAttribute(CENTROID).split())
    return (x, y, z)


def put_into_folder(node: SegmentationNode, members: Iterable[TransformableNode]) -> None:
    """Collect nodes in the plan's folder of the subject hierarchy, beside the segmentation."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    if hierarchy is None:
        return
    present = _folders(hierarchy, all_nodes(node))
    folder = min(present) if present else _new_folder(hierarchy, node)
    for member in members:
        item = hierarchy.GetItemByDataNode(member)
        if item:
            hierarchy.SetItemParent(item, folder)
        else:  # without the application nobody has made items
            hierarchy.CreateItem(folder, member)


def remove_nodes(node: SegmentationNode, removed: Iterable[TransformableNode]) -> None:
    """Take nodes of a plan out of the scene; the folder goes with the last of them."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    nodes = list(removed)
    folders = set() if hierarchy is None else _folders(hierarchy, nodes)
    for one in nodes:
        item = 0 if hierarchy is None else hierarchy.GetItemByDataNode(one)
        if item:  # without the application, the item would outlive its node
            hierarchy.RemoveItem(item, False, False)
        node.GetScene().RemoveNode(one)
    for folder in folders:
        if not hierarchy.GetNumberOfItemChildren(folder):
            hierarchy.RemoveItem(folder)


def all_nodes(node: SegmentationNode) -> list[TransformableNode]:
    """Whatever belongs to the plan of a segmentation."""
    roles = (TRANSFORM_ROLE, MODEL_ROLE, TEMPLATE_ROLE)
    return [one for role in roles for one in referenced(node, role)]


def follow_fragments(node: SegmentationNode, state: State) -> None:
    """Give transforms and models the segments that their fragments have now.

    A model remembers the voxels it shows, and the fragment that has exactly these is its own. What
    stood for a segment that such a fragment has taken, and has no fragment of its own any more,
    leaves the plan: a pose that is lost is seen, one that moves another fragment may not be.

    Args:
        node: the segmentation.
        state: what it holds.
    """
    now = {state.checksums[r.label]: state.ids[r.label] for r in state.fragments.records}
    transforms, models = transforms_of(node), models_of(node)
    new_ids = {}
    for segment_id, model in models.items():
        followed = now.get(model.GetAttribute(VOXELS), segment_id)
        if followed != segment_id:
            new_ids[segment_id] = followed
    homeless = set(new_ids.values()) - new_ids.keys()
    for kind in (transforms, models):
        remove_nodes(node, [one for segment_id, one in kind.items() if segment_id in homeless])
        for old, new in new_ids.items():
            if old in kind:
                kind[old].SetAttribute(SEGMENT, new)


def forget_other_fragments(node: SegmentationNode, state: State) -> None:
    """Keep of a plan what was planned for the very fragments there are, after others were loaded.

    Those of another run have the same numbers, and may be other pieces of the bone.

    Args:
        node: the segmentation.
        state: what it holds.
    """
    follow_fragments(node, state)
    models = models_of(node)
    now = {state.ids[r.label]: state.checksums[r.label] for r in state.fragments.records}
    for kind in (transforms_of(node), models):
        strange = [
            one
            for segment_id, one in kind.items()
            if segment_id not in models
            or models[segment_id].GetAttribute(VOXELS) != now.get(segment_id)
        ]
        remove_nodes(node, strange)


def show_mirrored_side(
    node: SegmentationNode, bone_slug: str, anchor_id: str | None = None
) -> ShownTemplate:
    """Mirror the other side's bone and lay it over a broken one, as a see-through model.

    It is laid over where the CT shows the fragment, not over where the plan has moved it.

    Args:
        node: the segmentation; with a plan, the model is put into its folder.
        bone_slug: the broken bone.
        anchor_id: segment of its fragment that stayed in place; None takes the largest.

    Raises:
        InputError: there is no other side, in the body or in the segmentation; or a transform
            bends the CT.
        ValueError: the bone, or that fragment of it, is not in the segmentation.
    """
    refuse_nonlinear(node)
    fragments = state_of(node).fragments
    labels_of: dict[str, list[int]] = {}
    for record in fragments.records:
        labels_of.setdefault(record.bone.slug, []).append(record.label)
    anchor = None if anchor_id is None else label_of(node, anchor_id)
    template = mirror_template(fragments.labels, labels_of, bone_named(bone_slug), anchor)
    surface = _mirrored(fragments.labels, labels_of[template.healthy.slug], template)
    model = _model_for(node, bone_slug)
    model.SetName(f"{template.bone.name}: {template.healthy.name.lower()} mirrored")
    model.SetAttribute(MIRRORED_RESIDUAL_MM, f"{template.residual_mm:.2f}")
    model.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    fill_model(model, surface)
    put_into_folder(node, [model])
    return ShownTemplate(template=template, model=model)


def _folders(hierarchy: Any, nodes: Iterable[TransformableNode]) -> set[int]:
    """The folders of plans that nodes lie in."""
    items = [hierarchy.GetItemByDataNode(one) for one in nodes]
    parents = {hierarchy.GetItemParent(item) for item in items if item}
    return {one for one in parents if one and hierarchy.HasItemAttribute(one, FOLDER)}


def _new_folder(hierarchy: Any, node: SegmentationNode) -> int:
    item = hierarchy.GetItemByDataNode(node)
    parent = hierarchy.GetItemParent(item) if item else hierarchy.GetSceneItemID()
    folder = int(hierarchy.CreateFolderItem(parent, FOLDER_NAME))
    hierarchy.SetItemAttribute(folder, FOLDER, "1")
    return folder


def _model_for(node: SegmentationNode, bone_slug: str) -> ModelNode:
    """The model that shows the template of a bone; a new one the first time."""
    for model in referenced(node, TEMPLATE_ROLE):
        if model.GetAttribute(MIRRORED_BONE) == bone_slug:
            return model
    model = add_model(node, TEMPLATE_ROLE)
    model.SetAttribute(MIRRORED_BONE, bone_slug)
    display = display_of(model)
    display.SetColor(_COLOR)
    display.SetOpacity(_OPACITY)
    return model


def _mirrored(labels: LabelVolume, healthy: Sequence[int], template: MirrorTemplate) -> Surface:
    """The surface of the healthy bone as a whole, after the mirroring."""
    bone = labels.with_voxels(np.isin(labels.voxels, healthy).astype(np.uint8))
    surface = fragment_surface(bone, 1)
    # Mirrored triangles look inwards until two of their corners are exchanged.
    return Surface(
        points_lps_mm=moved_points(template.transform, surface.points_lps_mm),
        triangles=surface.triangles[:, ::-1],
    )
