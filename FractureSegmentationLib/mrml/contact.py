"""The contact map in the scene: a hidden volume that the segmentation references."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.place import put_beside
from FractureSegmentationLib.mrml.tags import CONTACT_ROLE
from FractureSegmentationLib.mrml.volume import fill_volume, volume_of
from FractureSegmentationLib.volume import Volume

NODE_NAME = "Contact probability"


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
    scene = segmentation_node.GetScene()
    node = segmentation_node.GetNodeReference(CONTACT_ROLE)
    if contact is None:
        if node is not None:
            segmentation_node.SetNodeReferenceID(CONTACT_ROLE, None)
            scene.RemoveNode(node)
        return
    if not np.issubdtype(contact.voxels.dtype, np.integer):
        raise ValueError(f"a contact map holds integers, got {contact.voxels.dtype}")
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        node.UnRegister(None)
        node.SetName(NODE_NAME)
        # Before it is added: nothing may offer it to the user even for a moment.
        node.SetHideFromEditors(True)
        scene.AddNode(node)
        segmentation_node.SetNodeReferenceID(CONTACT_ROLE, node.GetID())
    fill_volume(node, contact.with_voxels(contact.voxels.astype(np.uint8)))
    put_beside(node, segmentation_node)
