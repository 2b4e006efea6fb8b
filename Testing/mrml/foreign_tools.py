"""The Segment Editor without its widget: what an effect does to a segmentation."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from FractureSegmentationLib.mrml.history import SegmentationHistory
from FractureSegmentationLib.mrml.layer import grid_of
from FractureSegmentationLib.mrml.segmentation import fragments_of
from FractureSegmentationLib.mrml.volume import image_of
from FractureSegmentationLib.types import LabelArray, MaskArray


class Brush:
    """Paints, erases and cuts islands by Slicer's own code.

    Args:
        started: the scene and its logics.
        node: the segmentation.

    Attributes:
        history: the editor's, for buttons too.
    """

    def __init__(self, started: Any, node: Any) -> None:
        scene = started.scene
        self._node = node
        self._editor = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode", "Editor")
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetMRMLApplicationLogic(started.application)
        self._logic.SetMRMLScene(scene)
        self._logic.SetSegmentEditorNode(self._editor)
        self._logic.SetSegmentationNode(node)
        self.history = SegmentationHistory(node, editor_logic=self._logic)

    def paint(
        self, segment_id: str, mask: MaskArray, *, erases: bool = False, may_overlap: bool = False
    ) -> None:
        """Add voxels (K, J, I) of the grid to a segment, or take them away.

        Where it may overlap, other segments keep their voxels and this one gets its own layer.
        """
        logic, modes = self._logic, slicer.vtkMRMLSegmentEditorNode
        self._editor.SetOverwriteMode(
            modes.OverwriteNone if may_overlap else modes.OverwriteAllSegments
        )
        mode = logic.ModificationModeRemove if erases else logic.ModificationModeAdd
        stroke = image_of(mask.astype(np.uint8), grid_of(self._node))
        self._editor.SetSelectedSegmentID(segment_id)
        logic.SaveStateForUndo()
        logic.ModifySegmentByLabelmap(self._node, segment_id, stroke, mode, False, False)

    def split_islands(self, segment_id: str, island: MaskArray) -> str:
        """Cut voxels off a segment the way the effect Islands does; the id of the new one."""
        segmentation = self._node.GetSegmentation()
        origin = segmentation.GetSegment(segment_id)
        self.paint(segment_id, island, erases=True)
        piece = slicer.vtkSegment()
        piece.SetName(f"{origin.GetName()}_2")
        piece.AddRepresentation("Binary labelmap", origin.GetRepresentation("Binary labelmap"))
        segmentation.AddSegment(piece)
        piece_id = str(segmentation.GetSegmentIdBySegment(piece))
        piece.SetLabelValue(segmentation.GetUniqueLabelValueForSharedLabelmap(segment_id))
        stroke = image_of(island.astype(np.uint8), grid_of(self._node))
        self._logic.ModifySegmentByLabelmap(
            self._node, piece_id, stroke, self._logic.ModificationModeAdd, False, False
        )
        return piece_id


class Clicks:
    """A history that counts how often a state was saved."""

    def __init__(self) -> None:
        self.saved = 0

    def save_state(self) -> None:
        self.saved += 1


def voxels(node: Any) -> LabelArray:
    """(K, J, I) the labels in the scene."""
    return np.asarray(fragments_of(node).labels.voxels)
