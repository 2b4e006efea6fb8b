"""`slicer.app.layoutManager()` with three slice views and one 3D view, always in four quarters."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from Testing.gui.host.mrml_world import MrmlWorld
from Testing.gui.host.standin import Computed, Prop, StandIn
from Testing.gui.host.view_widgets import qMRMLSliceWidget, qMRMLThreeDWidget
from Testing.gui.host.views import SliceView, ThreeDView

ORIENTATIONS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
PLACES = {"Red": (0, 0), "Green": (1, 0), "Yellow": (1, 1)}


class LayoutManager(StandIn, QtCore.QObject):
    """The views. A chosen layout is remembered and announced, not shown."""

    layoutChanged = QtCore.Signal(int)

    layout = Prop(3, kind=int, signal="layoutChanged")
    threeDViewCount = Computed(lambda _: 1)
    tableViewCount = Computed(lambda _: 0)
    plotViewCount = Computed(lambda _: 0)

    def __init__(self, world: MrmlWorld) -> None:
        super().__init__()
        self._world = world
        self._viewport = QtWidgets.QWidget()
        grid = QtWidgets.QGridLayout(self._viewport)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        self._slices = {
            name: qMRMLSliceWidget(SliceView(name, orientation, world.application_logic))
            for name, orientation in ORIENTATIONS.items()
        }
        self._three_d = qMRMLThreeDWidget(ThreeDView("1", world.application_logic))
        for name, widget in self._slices.items():
            grid.addWidget(widget, *PLACES[name])
        grid.addWidget(self._three_d, 0, 1)

    def viewport(self) -> QtWidgets.QWidget:
        """The widget that holds all views."""
        return self._viewport

    def sliceViewNames(self) -> list[str]:
        """Red, Yellow, Green."""
        return list(self._slices)

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        """A slice view by name."""
        return self._slices.get(name)

    def threeDWidget(self, which: int | str) -> qMRMLThreeDWidget | None:
        """The 3D view, None for any but the first."""
        return self._three_d if which in {0, "1", "ViewNode1"} else None

    def mrmlSliceLogics(self) -> Any:
        """The vtkCollection of slice logics."""
        return self._world.application_logic.GetSliceLogics()

    def setLayout(self, layout: int) -> None:
        """Remember a layout."""
        self.layout = layout

    def resetSliceViews(self) -> None:
        """Show the whole background volume in all slices."""
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """Look at the middle of everything visible."""
        self._three_d.threeDView().resetFocalPoint()

    def setRenderPaused(self, _paused: bool) -> None:
        """Views draw on demand here."""

    def pauseRender(self) -> None:
        """Views draw on demand here."""

    def resumeRender(self) -> None:
        """Views draw on demand here."""

    def after_clear(self) -> None:
        """Bring the slices back to their orientations after the scene was cleared."""
        for name, widget in self._slices.items():
            widget.mrmlSliceNode().SetOrientation(ORIENTATIONS[name])
        slicer.util.setSliceViewerLayers(background=None, foreground=None, label=None)
