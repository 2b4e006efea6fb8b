"""qMRMLWidget and the small widgets around it."""

from __future__ import annotations

from typing import Any, ClassVar

from PySide6 import QtCore, QtWidgets

from Testing.gui.host.ctk_boxes import ctkCollapsibleButton
from Testing.gui.host.ctk_numbers import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from Testing.gui.host.standin import StandIn


class qMRMLWidget(StandIn, QtWidgets.QWidget):
    """A widget with a scene, which it passes on by a signal."""

    SIGNATURES: ClassVar[dict[str, str]] = {
        "mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged",
    }
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent: Any = None, *_flags: Any) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        """The scene, None before `setMRMLScene`."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Work on another scene."""
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qSlicerWidget(qMRMLWidget):
    """The base of module panels."""


class qMRMLCollapsibleButton(ctkCollapsibleButton):
    """A collapsible section that takes a scene."""

    SIGNATURES: ClassVar[dict[str, str]] = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}
    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene: Any) -> None:
        """Pass the scene on."""
        self.mrmlSceneChanged.emit(scene)


class qMRMLSliderWidget(ctkSliderWidget):
    """A slider that takes its unit from the scene; here it has none."""

    def setMRMLScene(self, scene: Any) -> None:
        """Units are not emulated."""


class qMRMLSpinBox(ctkDoubleSpinBox):
    """A spin box that takes its unit from the scene; here it has none."""

    def setMRMLScene(self, scene: Any) -> None:
        """Units are not emulated."""


class qMRMLRangeWidget(ctkRangeWidget):
    """A range that takes its unit from the scene; here it has none."""

    def setMRMLScene(self, scene: Any) -> None:
        """Units are not emulated."""
