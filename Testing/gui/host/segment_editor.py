"""qMRMLSegmentEditorWidget over the real editor logic and its undo history; no painting."""

from __future__ import annotations

from typing import Any, ClassVar

import slicer
from PySide6 import QtCore, QtWidgets

from Testing.gui.host.editor_effects import EffectsOfEditor, make_effects, make_shortcuts
from Testing.gui.host.mrml_widgets import qMRMLWidget
from Testing.gui.host.node_combo_box import qMRMLNodeComboBox
from Testing.gui.host.observing import Observations
from Testing.gui.host.segments_table import qMRMLSegmentsTableView
from Testing.gui.host.standin import Computed, Prop


class qMRMLSegmentEditorWidget(EffectsOfEditor, qMRMLWidget):
    """The Segment Editor without painting."""

    SIGNATURES: ClassVar[dict[str, str]] = {
        "segmentationNodeChanged(vtkMRMLSegmentationNode*)": "segmentationNodeChanged",
        "sourceVolumeNodeChanged(vtkMRMLVolumeNode*)": "sourceVolumeNodeChanged",
    }
    currentSegmentIDChanged = QtCore.Signal(str)
    segmentationNodeChanged = QtCore.Signal(object)
    sourceVolumeNodeChanged = QtCore.Signal(object)

    segmentationNodeSelectorVisible = Prop(True, kind=bool, changed="_apply_visibility")
    sourceVolumeNodeSelectorVisible = Prop(True, kind=bool, changed="_apply_visibility")
    switchToSegmentationsButtonVisible = Prop(True, kind=bool)
    autoShowSourceVolumeNode = Prop(True, kind=bool)
    unorderedEffectsVisible = Prop(True, kind=bool, changed="updateEffectList")
    effectButtonStyle = Prop(0)
    effectColumnCount = Prop(2, kind=int)
    readOnly = Prop(False, kind=bool)
    undoEnabled = Prop(True, kind=bool, changed="_history_changed")
    jumpToSelectedSegmentEnabled = Prop(False, kind=bool)
    defaultTerminologyEntrySettingsKey = Prop("", kind=str)
    defaultTerminologyEntry = Prop("", kind=str)
    maximumNumberOfUndoStates = Computed(
        lambda self: self._logic.GetMaximumNumberOfUndoStates(),
        lambda self, value: self._logic.SetMaximumNumberOfUndoStates(int(value)),
    )

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._order: list[str] = []
        self._effects = make_effects(self)
        self._shortcuts: list[Any] = []
        self._observes_views = False
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetMaximumNumberOfUndoStates(10)
        self._observed_history = Observations(self)
        changed = self._logic.SegmentationHistoryChangedEvent
        self._observed_history.add(self._logic, changed, "_history_changed")
        self._observed_scene = Observations(self)
        self._build()
        self.updateEffectList()
        self._history_changed()

    def _build(self) -> None:
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._segmentations = self._selector("SegmentationNodeComboBox", "vtkMRMLSegmentationNode")
        self._volumes = self._selector("SourceVolumeNodeComboBox", "vtkMRMLScalarVolumeNode")
        signal = "currentNodeChanged(vtkMRMLNode*)"
        self._segmentations.connect(signal, self.setSegmentationNode)
        self._volumes.connect(signal, self.setSourceVolumeNode)
        self._table = qMRMLSegmentsTableView(self)
        self._table.setObjectName("SegmentsTableView")
        self._table.connect("selectionChanged(QItemSelection,QItemSelection)", self._take_selection)
        self._effect_row = QtWidgets.QHBoxLayout()
        self._undo = self._button("UndoButton", "Undo", self.undo)
        self._redo = self._button("RedoButton", "Redo", self.redo)
        history = QtWidgets.QHBoxLayout()
        for widget in (self._undo, self._redo):
            history.addWidget(widget)
        history.addStretch(1)
        for widget in (self._segmentations, self._volumes, self._table):
            column.addWidget(widget)
        column.addLayout(self._effect_row)
        column.addLayout(history)

    def _selector(self, name: str, kind: str) -> qMRMLNodeComboBox:
        box = qMRMLNodeComboBox(self)
        box.setObjectName(name)
        box.nodeTypes = [kind]
        box.noneEnabled = True
        return box

    def _button(self, name: str, text: str, slot: Any) -> QtWidgets.QToolButton:
        button = QtWidgets.QToolButton(self)
        button.setObjectName(name)
        button.setText(text)
        button.connect("clicked()", slot)
        return button

    def setMRMLScene(self, scene: Any) -> None:
        """Work on a scene; the editor node should be set before."""
        super().setMRMLScene(scene)
        self._observed_scene.clear()
        self._logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._logic.SetMRMLScene(scene)
        for box in (self._segmentations, self._volumes):
            box.setMRMLScene(scene)
        if scene is not None:
            closed = slicer.vtkMRMLScene.EndCloseEvent
            self._observed_scene.add(scene, closed, "_scene_closed")

    def mrmlSegmentEditorNode(self) -> Any:
        """The node that keeps the editor's state."""
        return self._node

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        """Keep the state in this node, and take over what it holds."""
        self._node = node
        self._logic.SetSegmentEditorNode(node)
        self.updateWidgetFromMRML()

    def updateWidgetFromMRML(self) -> None:
        """Show what the editor node says."""
        segmentation = self.segmentationNode()
        self._logic.SetSegmentationNode(segmentation)
        self._logic.SetSourceVolumeNode(self.sourceVolumeNode())
        self._table.setSegmentationNode(segmentation)
        self._segmentations.setCurrentNode(segmentation)
        self._volumes.setCurrentNode(self.sourceVolumeNode())
        self._history_changed()

    def segmentationNode(self) -> Any:
        """The segmentation that is edited."""
        return None if self._node is None else self._node.GetSegmentationNode()

    def segmentationNodeID(self) -> str:
        """ID of the segmentation that is edited, "" without one."""
        return "" if self.segmentationNode() is None else self.segmentationNode().GetID()

    def setSegmentationNode(self, node: Any) -> None:
        """Edit another segmentation; its undo history begins empty.

        Raises:
            RuntimeError: there is no editor node. Slicer logs an error and does nothing.
        """
        if node is self.segmentationNode():
            return
        self._need_node("setSegmentationNode")
        self._node.SetAndObserveSegmentationNode(node)
        ids = [] if node is None else list(node.GetSegmentation().GetSegmentIDs())
        self.updateWidgetFromMRML()
        self.setCurrentSegmentID(ids[0] if ids else "")
        self.segmentationNodeChanged.emit(node)

    def sourceVolumeNode(self) -> Any:
        """The volume that effects look at."""
        return None if self._node is None else self._node.GetSourceVolumeNode()

    def sourceVolumeNodeID(self) -> str:
        """ID of the volume that effects look at, "" without one."""
        return "" if self.sourceVolumeNode() is None else self.sourceVolumeNode().GetID()

    def setSourceVolumeNode(self, node: Any) -> None:
        """Look at another volume.

        Raises:
            RuntimeError: there is no segmentation. Slicer logs an error and does nothing.
        """
        if node is self.sourceVolumeNode():
            return
        self._need_node("setSourceVolumeNode")
        if node is not None and self.segmentationNode() is None:
            raise RuntimeError("setSourceVolumeNode: set the segmentation node first")
        self._node.SetAndObserveSourceVolumeNode(node)
        self.updateWidgetFromMRML()
        self.sourceVolumeNodeChanged.emit(node)

    def currentSegmentID(self) -> str:
        """The selected segment."""
        return "" if self._node is None else self._node.GetSelectedSegmentID() or ""

    def setCurrentSegmentID(self, segment_id: str) -> None:
        """Select a segment."""
        if self._node is None or segment_id == self.currentSegmentID():
            return
        self._node.SetSelectedSegmentID(segment_id)
        self._table.setSelectedSegmentIDs([segment_id])
        self.currentSegmentIDChanged.emit(segment_id)

    def saveStateForUndo(self) -> None:
        """Remember the segmentation as it is; effects do so before they change it."""
        if self.undoEnabled and self.segmentationNode() is not None:
            self._logic.SaveStateForUndo()

    def undo(self) -> None:
        """Go back to the last state; nothing happens without one."""
        self._logic.Undo()

    def redo(self) -> None:
        """Take the last undo back; nothing happens without one."""
        self._logic.Redo()

    def setupViewObservations(self) -> None:
        """Listen to the views, for effects."""
        self._observes_views = True

    def removeViewObservations(self) -> None:
        """Stop listening to the views."""
        self._observes_views = False

    def installKeyboardShortcuts(self, parent: Any = None) -> None:
        """Let the editor's keys work in a widget, the main window unless told otherwise."""
        self.uninstallKeyboardShortcuts()
        parent = parent or slicer.util.mainWindow()
        if parent is not None:
            self._shortcuts = make_shortcuts(self, parent)

    def uninstallKeyboardShortcuts(self) -> None:
        """Stop the editor's keys."""
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []

    def _take_selection(self, *_selection: Any) -> None:
        selected = self._table.selectedSegmentIDs()
        if len(selected) == 1:
            self.setCurrentSegmentID(selected[0])

    def _apply_visibility(self) -> None:
        self._segmentations.setVisible(self.segmentationNodeSelectorVisible)
        self._volumes.setVisible(self.sourceVolumeNodeSelectorVisible)

    def _history_changed(self) -> None:
        self._undo.setEnabled(self._logic.CanUndo())
        self._redo.setEnabled(self._logic.CanRedo())

    def _scene_closed(self) -> None:
        self._logic.ClearUndoState()
        self.updateWidgetFromMRML()

    def _need_node(self, name: str) -> None:
        if self._node is None:
            raise RuntimeError(f"{name}: set the segment editor node first")
