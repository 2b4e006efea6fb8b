"""qSlicerMarkupsPlaceWidget: the button that starts placing points in the views."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from Testing.gui.host.mrml_widgets import qSlicerWidget
from Testing.gui.host.observing import Observations
from Testing.gui.host.standin import Computed, Prop


class qSlicerMarkupsPlaceWidget(qSlicerWidget):
    """Places points of one markups node; `Host.place_points` clicks them."""

    ShowPlaceMultipleMarkupsOption = 0
    HidePlaceMultipleMarkupsOption = 1
    ForcePlaceSingleMarkup = 2
    ForcePlaceMultipleMarkups = 3

    activeMarkupsPlaceModeChanged = QtCore.Signal(bool)
    activeMarkupsFiducialPlaceModeChanged = QtCore.Signal(bool)

    buttonsVisible = Prop(True, kind=bool)
    deleteAllControlPointsOptionVisible = Prop(True, kind=bool)
    unsetLastControlPointOptionVisible = Prop(False, kind=bool)
    unsetAllControlPointsOptionVisible = Prop(False, kind=bool)
    placeMultipleMarkups = Prop(0, kind=int)
    placeModePersistency = Computed(
        lambda self: bool(self.interactionNode().GetPlaceModePersistence()),
        lambda self, value: self.interactionNode().SetPlaceModePersistence(int(value)),
    )
    placeModeEnabled = Computed(
        lambda self: self._is_placing(), lambda self, value: self._set_placing(bool(value))
    )
    currentNodeActive = Computed(lambda self: self._is_active())

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._was_placing = False
        self._observed = Observations(self)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._place = QtWidgets.QToolButton(self)
        self._place.setText("Place")
        self._place.setCheckable(True)
        self._place.connect("clicked(bool)", self._set_placing)
        self._delete = QtWidgets.QToolButton(self)
        self._delete.setText("Delete")
        self._delete.connect("clicked()", self.deleteLastPoint)
        row.addWidget(self._place)
        row.addWidget(self._delete)

    def setMRMLScene(self, scene: Any) -> None:
        """Follow the scene's mouse mode."""
        super().setMRMLScene(scene)
        self._observed.clear()
        if scene is not None:
            for node in (self.interactionNode(), self.selectionNode()):
                self._observed.add(node, "ModifiedEvent", "_refresh")
        self._refresh()

    def interactionNode(self) -> Any:
        """The scene's mouse mode."""
        return slicer.app.applicationLogic().GetInteractionNode()

    def selectionNode(self) -> Any:
        """Which node points are placed for."""
        return slicer.app.applicationLogic().GetSelectionNode()

    def currentNode(self) -> Any:
        """The markups node."""
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        """Place points of this node; placing for the node before it ends."""
        if node is not self._node:
            self._set_placing(False)
            self._node = node
            self._refresh()

    def placeButton(self) -> QtWidgets.QToolButton:
        """The button that starts placing."""
        return self._place

    def deleteButton(self) -> QtWidgets.QToolButton:
        """The button that removes the last point."""
        return self._delete

    def deleteLastPoint(self) -> None:
        """Remove the last point."""
        if self._node is not None and self._node.GetNumberOfControlPoints():
            self._node.RemoveNthControlPoint(self._node.GetNumberOfControlPoints() - 1)

    def deleteAllPoints(self) -> None:
        """Remove all points."""
        if self._node is not None:
            self._node.RemoveAllControlPoints()

    def _is_active(self) -> bool:
        return (
            self._node is not None
            and self._scene is not None
            and self.selectionNode().GetActivePlaceNodeID() == self._node.GetID()
        )

    def _is_placing(self) -> bool:
        mode = self.interactionNode()
        return self._is_active() and mode.GetCurrentInteractionMode() == mode.Place

    def _set_placing(self, is_wanted: bool) -> None:
        mode = self.interactionNode()
        if is_wanted and self._node is not None:
            if self.placeMultipleMarkups in {
                self.ForcePlaceSingleMarkup,
                self.ForcePlaceMultipleMarkups,
            }:
                several = self.placeMultipleMarkups == self.ForcePlaceMultipleMarkups
                mode.SetPlaceModePersistence(int(several))
            selection = self.selectionNode()
            selection.SetReferenceActivePlaceNodeClassName(self._node.GetClassName())
            selection.SetActivePlaceNodeID(self._node.GetID())
            mode.SetCurrentInteractionMode(mode.Place)
        elif not is_wanted and self._is_placing():
            mode.SetCurrentInteractionMode(mode.ViewTransform)
        self._refresh()

    def _refresh(self) -> None:
        is_placing = self._scene is not None and self._is_placing()
        self._place.setChecked(is_placing)
        self._place.setEnabled(self._node is not None)
        if is_placing != self._was_placing:
            self._was_placing = is_placing
            self.activeMarkupsPlaceModeChanged.emit(is_placing)
            self.activeMarkupsFiducialPlaceModeChanged.emit(is_placing)
