"""Where a segmentation belongs: its CT, the CT's grid, transform and subject hierarchy."""

from __future__ import annotations

import slicer

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.mrml.grid import geometry_of_image, serialized
from FractureSegmentationLib.mrml.nodes import (
    SegmentationNode,
    TransformableNode,
    VolumeNode,
)
from FractureSegmentationLib.mrml.tags import LABELMAP
from FractureSegmentationLib.mrml.volume import volume_of


def ct_of(node: SegmentationNode) -> VolumeNode | None:
    """The CT that a segmentation was made from; None where it is not in the scene."""
    return node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())


def tie_to_ct(node: SegmentationNode, ct: VolumeNode) -> None:
    """Say which CT a segmentation belongs to, and put it where the CT is.

    That is under the same transform and, where the CT has one, into the same folder or study.
    """
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), ct.GetID())
    put_beside(node, ct)


def put_beside(node: TransformableNode, other: TransformableNode) -> None:
    """Put a node under the transform and into the subject hierarchy's folder of another one."""
    node.SetAndObserveTransformNodeID(other.GetTransformNodeID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(other.GetScene())
    item = hierarchy.GetItemByDataNode(other) if hierarchy is not None else 0
    # Without the application nobody fills the hierarchy.
    if item:
        parent = hierarchy.GetItemParent(item)
        own = hierarchy.GetItemByDataNode(node)
        if own:
            hierarchy.SetItemParent(own, parent)
        else:
            hierarchy.CreateItem(parent, node)


def grid_of(node: SegmentationNode) -> Geometry:
    """The grid on which a segmentation is edited: that of its CT.

    Without the CT, or if the segmentation was made on another grid, it is the one that the
    segmentation names, or else that of its first layer.

    Raises:
        InputError: the segmentation says nothing of a grid.
    """
    named = _named_grid(node)
    ct = ct_of(node)
    if ct is not None and ct.GetImageData() is not None:
        of_ct = volume_of(ct).geometry
        # The CT's own numbers are exact; the text of the segmentation may be rounded.
        if named is None or of_ct.is_close_to(named):
            return of_ct
    if named is not None:
        return named
    raise InputError(
        "The segmentation is empty, and nothing says which CT it belongs to.",
        "Choose a segmentation that holds fragments.",
    )


def name_grid(node: SegmentationNode, geometry: Geometry) -> None:
    """Make a grid the reference geometry of a segmentation, for effects and for files."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    node.GetSegmentation().SetConversionParameter(name, serialized(geometry))


def _named_grid(node: SegmentationNode) -> Geometry | None:
    segmentation = node.GetSegmentation()
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    text = segmentation.GetConversionParameter(name)
    grid = slicer.vtkOrientedImageData()
    deserialize = slicer.vtkSegmentationConverter.DeserializeImageGeometry
    try:
        if text and deserialize(text, grid, False) and not grid.IsEmpty():
            return geometry_of_image(grid)
        for segment_id in segmentation.GetSegmentIDs():
            image = segmentation.GetSegment(segment_id).GetRepresentation(LABELMAP)
            if image is not None and not image.IsEmpty():
                return geometry_of_image(image)
    except ValueError as error:
        raise InputError(
            "The axes of the segmentation are not at right angles.",
            "Segment the CT again without a transform that shears it.",
        ) from error
    return None
