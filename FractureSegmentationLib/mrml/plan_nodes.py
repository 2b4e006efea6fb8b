"""The nodes of a plan: per fragment a transform with handles, and a model of its surface under it.

The segmentation refers to them, and each says whose it is. So a plan is found again in a saved
scene, and nodes that a user deletes are simply made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import slicer
from vtk import vtkCellArray, vtkMatrix4x4, vtkPoints, vtkPolyData, vtkPolyDataNormals
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

from FractureSegmentationLib.mesh import Surface
from FractureSegmentationLib.mrml.grid import array_of_matrix, flipped_x_y, matrix_of_array
from FractureSegmentationLib.mrml.nodes import SegmentationNode, TransformableNode
from FractureSegmentationLib.planning.pose import Pose
from FractureSegmentationLib.types import PointLps

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

_LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def referenced(node: SegmentationNode, role: str) -> Iterator[Any]:
    """The nodes that a segmentation refers to in a role, those that were deleted left out."""
    for index in range(node.GetNumberOfNodeReferences(role)):
        found = node.GetNthNodeReference(role, index)
        if found is not None:
            yield found


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
