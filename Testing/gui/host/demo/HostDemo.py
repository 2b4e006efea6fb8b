"""A small scripted module that uses everything the way Slicer's documentation shows it."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import qt
import slicer
import vtk
from HostDemoParts.greeting import GREETING
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *  # noqa: F403  as every module of Slicer does
from slicer.util import VTKObservationMixin


class HostDemo(ScriptedLoadableModule):  # noqa: F405
    """The module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)  # noqa: F405
        self.parent.title = _("Host demo")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Examples")]
        self.parent.dependencies = ["Segmentations"]
        self.startups = 0
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self) -> None:
        """Start-up is over."""
        self.startups += 1


class Speed(enum.Enum):
    """An enumeration with labels."""

    SLOW = 1
    FAST = 2

    def label(self) -> str:
        """Text for the user."""
        return self.name.capitalize()


@parameterNodeWrapper
class HostDemoParameterNode:
    """Parameters of every kind."""

    inputVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode | None
    threshold: Annotated[float, WithinRange(-100, 600)] = 1
    count: int = 3
    isFast: bool = True
    speed: Speed = Speed.SLOW
    note: str = ""
    folder: Path


class HostDemoWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):  # noqa: F405
    """The panel."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)  # noqa: F405
        VTKObservationMixin.__init__(self)
        self.events: list[str] = []
        self.parameters: Any = None
        self._wrapper: Any = None
        self._tag: Any = None

    def setup(self) -> None:
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)  # noqa: F405
        top = slicer.util.loadUI(self.resourcePath("UI/HostDemo.ui"))
        self.layout.addWidget(top)
        self.ui = slicer.util.childWidgetVariables(top)
        top.setMRMLScene(slicer.mrmlScene)
        self.logic = HostDemoLogic()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.ui.failButton.connect("clicked()", self.onFail)
        self.timer = qt.QTimer()
        self.initialize()

    def cleanup(self) -> None:
        """The panel goes away."""
        self.events.append("cleanup")
        self.setParameters(None)
        self.removeObservers()

    def enter(self) -> None:
        """The panel is shown."""
        self.events.append("enter")

    def exit(self) -> None:
        """The panel is hidden."""
        self.events.append("exit")

    def onSceneStartClose(self, _caller: Any, _event: Any) -> None:
        """Let the nodes go."""
        self.setParameters(None)

    def onSceneEndClose(self, _caller: Any, _event: Any) -> None:
        """Begin again when somebody looks."""
        if self.parent.isEntered:
            self.initialize()

    def initialize(self) -> None:
        """Take the scene's parameters."""
        node = self.logic.getParameterNode()
        if self._wrapper is None or self._wrapper.parameterNode is not node:
            self._wrapper = HostDemoParameterNode(node)
        self.setParameters(self._wrapper)

    def setParameters(self, parameters: Any) -> None:
        """Show other parameters."""
        if parameters is self.parameters:
            if parameters is not None:
                parameters.Modified()
            return
        if self.parameters is not None:
            self.parameters.disconnectGui(self._tag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.refresh)
        self.parameters = parameters
        if parameters is not None:
            named = [w for w in vars(self.ui).values() if w.property("SlicerParameterName")]
            self._tag = parameters.connectParametersToGui(
                {widget.property("SlicerParameterName"): widget for widget in named}
            )
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self.refresh)
            self.refresh()

    def refresh(self, _caller: Any = None, _event: Any = None) -> None:
        """The button works when there is a volume."""
        self.ui.applyButton.enabled = self.parameters.inputVolume is not None
        self.ui.applyButton.toolTip = _("Run") if self.ui.applyButton.enabled else _("Choose")

    def onApply(self) -> None:
        """Greet."""
        self.ui.statusLabel.text = GREETING

    def onFail(self) -> None:
        """Go wrong, as slots do."""
        raise RuntimeError("the slot failed")


class HostDemoLogic(ScriptedLoadableModuleLogic):  # noqa: F405
    """The logic."""
