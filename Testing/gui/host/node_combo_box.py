"""qMRMLNodeComboBox: chooses a node of the scene."""

from __future__ import annotations

from typing import Any, ClassVar

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from Testing.gui.host.mrml_widgets import qMRMLWidget
from Testing.gui.host.observing import Observations
from Testing.gui.host.standin import Computed, Prop


class qMRMLNodeComboBox(qMRMLWidget):
    """Lists the nodes of some classes; disabled until it has a scene.

    Without "None" it selects a node by itself: the first one there is, or the first to come.
    While the scene works in a batch (closing, importing) it waits for the end.
    """

    SIGNATURES: ClassVar[dict[str, str]] = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "currentNodeIsValid",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
        "nodeAddedByUserAction(vtkMRMLNode*)": "nodeAddedByUserAction",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "nodeAboutToBeRemoved",
        "nodeAboutToBeEdited(vtkMRMLNode*)": "nodeAboutToBeEdited",
    }
    currentNodeChanged = QtCore.Signal(object)
    currentNodeIsValid = QtCore.Signal(bool)
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAddedByUserAction = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    nodeAboutToBeEdited = QtCore.Signal(object)

    nodeTypes = Prop([], kind=list, changed="_refresh")
    showHidden = Prop(False, kind=bool, changed="_refresh")
    showChildNodeTypes = Prop(True, kind=bool, changed="_refresh")
    hideChildNodeTypes = Prop([], kind=list, changed="_refresh")
    baseName = Prop("", kind=str)
    noneEnabled = Prop(False, kind=bool, changed="_refresh")
    noneDisplay = Prop("None", kind=str, changed="_refresh")
    addEnabled = Prop(True, kind=bool, changed="_refresh")
    removeEnabled = Prop(True, kind=bool, changed="_refresh")
    editEnabled = Prop(False, kind=bool, changed="_refresh")
    renameEnabled = Prop(False, kind=bool, changed="_refresh")
    selectNodeUponCreation = Prop(True, kind=bool)
    interactionNodeSingletonTag = Prop("Singleton", kind=str)
    sizeAdjustPolicy = Prop(0)
    currentNodeID = Computed(
        lambda self: "" if self._current is None else self._current.GetID(),
        lambda self, value: self.setCurrentNode(value),
    )

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._current: Any = None
        self._attributes: list[tuple[str, str, Any]] = []
        self._observed = Observations(self)
        self._observed_current = Observations(self)
        self._leaving: Any = None
        self._box = QtWidgets.QComboBox(self)
        self._box.connect("activated(int)", self._activated)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)
        self.setEnabled(False)

    def setMRMLScene(self, scene: Any) -> None:
        """List the nodes of a scene."""
        if scene is self._scene:
            return
        self._observed.clear()
        super().setMRMLScene(scene)
        if scene is not None:
            add, event = self._observed, slicer.vtkMRMLScene
            add.add_with_node(scene, event.NodeAddedEvent, "_added")
            add.add_with_node(scene, event.NodeAboutToBeRemovedEvent, "_about_to_remove")
            add.add(scene, event.NodeRemovedEvent, "_refresh")
            add.add(scene, event.EndBatchProcessEvent, "_refresh")
        self.setEnabled(scene is not None)
        self._refresh()

    def addAttribute(self, node_type: str, name: str, value: Any = None) -> None:
        """List only nodes that have this attribute; new nodes get it."""
        self._attributes.append((node_type, name, value))
        self._refresh()

    def removeAttribute(self, node_type: str, name: str) -> None:
        """Undo `addAttribute`."""
        self._attributes = [a for a in self._attributes if a[:2] != (node_type, name)]
        self._refresh()

    def setNodeTypeLabel(self, _label: str, _node_type: str) -> None:
        """The name of a type in "Create new ..."."""

    def nodeCount(self) -> int:
        """How many nodes are listed."""
        return len(self._nodes())

    def nodeFromIndex(self, index: int) -> Any:
        """A listed node, None beyond the end."""
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    def currentNode(self) -> Any:
        """The chosen node."""
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        """Choose a node, or by ID; one that is not listed chooses none."""
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node) if self._scene is not None and node else None
        self._choose(node if node in self._nodes() else None)

    def setCurrentNodeIndex(self, index: int) -> None:
        """Choose by place in the list."""
        self.setCurrentNode(self.nodeFromIndex(index))

    def addNode(self, node_type: str | None = None) -> Any:
        """Make a node as "Create new ..." does."""
        node_type = node_type or self.nodeTypes[0]
        if node_type not in self.nodeTypes:
            return None
        node = self._scene.CreateNodeByClass(node_type)
        node.UnRegister(None)
        node.SetName(self._scene.GenerateUniqueName(self.baseName or node.GetNodeTagName()))
        for wanted, name, value in self._attributes:
            if node.IsA(wanted):
                node.SetAttribute(name, "" if value is None else str(value))
        node = self._scene.AddNode(node)
        node.CreateDefaultDisplayNodes() if hasattr(node, "CreateDefaultDisplayNodes") else None
        if self.selectNodeUponCreation:
            self._choose(node)
        return node

    def removeCurrentNode(self) -> None:
        """Delete the chosen node from the scene."""
        if self._current is not None:
            self._scene.RemoveNode(self._current)

    def _fits(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if any(node.IsA(kind) for kind in self.hideChildNodeTypes):
            return False
        if self.showChildNodeTypes:
            is_wanted = any(node.IsA(kind) for kind in self.nodeTypes)
        else:
            is_wanted = node.GetClassName() in self.nodeTypes
        return is_wanted and all(
            node.GetAttribute(name) is not None
            and (value is None or node.GetAttribute(name) == str(value))
            for kind, name, value in self._attributes
            if node.IsA(kind)
        )

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        found = (self._scene.GetNthNode(i) for i in range(self._scene.GetNumberOfNodes()))
        return [node for node in found if node is not self._leaving and self._fits(node)]

    def _added(self, node: Any) -> None:
        if node is not None and self._fits(node):
            self._refresh()
            self.nodeAdded.emit(node)

    def _about_to_remove(self, node: Any) -> None:
        if node is not None and self._fits(node):
            self._leaving = node
            self.nodeAboutToBeRemoved.emit(node)
            self._refresh()
            self._leaving = None

    def _refresh(self) -> None:
        """Build the list anew; the choice stays where it can."""
        if self._scene is not None and self._scene.IsBatchProcessing() and self._leaving is None:
            return
        nodes = self._nodes()
        keeps = self._current is None if self.noneEnabled else False
        if not keeps and self._current not in nodes:
            self._choose(None if self.noneEnabled or not nodes else nodes[0])
        self._fill(nodes)

    def _fill(self, nodes: list[Any]) -> None:
        box = self._box
        blocked = box.blockSignals(True)
        box.clear()
        if self.noneEnabled or not nodes:
            box.addItem(self.noneDisplay if self.noneEnabled else "Select a node", "")
        for node in nodes:
            box.addItem(node.GetName() or "", node.GetID())
        for kind in self.nodeTypes if self.addEnabled else []:
            label = kind.removeprefix("vtkMRML").removesuffix("Node")
            box.addItem(f"Create new {label}", f"new {kind}")
        if self.removeEnabled and self._current is not None:
            box.addItem("Delete current node", "delete")
        box.setCurrentIndex(max(0, box.findData(self.currentNodeID)))
        box.blockSignals(blocked)

    def _choose(self, node: Any) -> None:
        if node is self._current:
            return
        self._observed_current.clear()
        self._current = node
        if node is not None:
            self._observed_current.add(node, vtk.vtkCommand.ModifiedEvent, "_renamed")
        self._fill(self._nodes())
        self.currentNodeChanged.emit(node)
        self.currentNodeIsValid.emit(node is not None)
        self.currentNodeIDChanged.emit(self.currentNodeID)

    def _renamed(self) -> None:
        index = self._box.findData(self.currentNodeID)
        name = self._current.GetName() or ""
        if index >= 0 and self._box.itemText(index) != name:
            self._box.setItemText(index, name)
            self.currentNodeRenamed.emit(name)

    def _activated(self, index: int) -> None:
        data = self._box.itemData(index) or ""
        if data == "delete":
            self.removeCurrentNode()
        elif data.startswith("new "):
            node = self.addNode(data.removeprefix("new "))
            self.nodeAddedByUser.emit(node)
            self.nodeAddedByUserAction.emit(node)
        else:
            self.setCurrentNode(data)
            self.nodeActivated.emit(self._current)


class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Several nodes may be checked in Slicer; here as its base."""
