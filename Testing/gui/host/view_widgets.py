"""The views as Qt widgets: qMRMLSliceWidget, qMRMLThreeDWidget and what they hand out."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from Testing.gui.host.mrml_widgets import qMRMLWidget
from Testing.gui.host.standin import StandIn
from Testing.gui.host.views import OffscreenView, SliceView, ThreeDView

SMALLEST = 16  # pixels along a side


class ViewWidget(StandIn, QtWidgets.QWidget):
    """Shows an offscreen view; mouse events go to its interactor."""

    def __init__(self, view: OffscreenView, parent: Any = None) -> None:
        super().__init__(parent)
        self._view = view
        self._image: QtGui.QImage | None = None
        self._is_stale = True
        self.setMinimumSize(120, 120)
        view.group.AddObserver(vtk.vtkCommand.UpdateEvent, lambda *_: self.scheduleRender())

    def renderWindow(self) -> Any:
        """The vtkRenderWindow."""
        return self._view.window

    def interactor(self) -> Any:
        """The vtkRenderWindowInteractor."""
        return self._view.interactor

    def renderer(self) -> Any:
        """The vtkRenderer."""
        return self._view.renderer

    def displayableManagerByClassName(self, name: str) -> Any:
        """One of the displayable managers."""
        return self._view.group.GetDisplayableManagerByClassName(name)

    def scheduleRender(self) -> None:
        """Draw before the widget is shown next."""
        self._is_stale = True
        self.update()

    def forceRender(self) -> None:
        """Draw now."""
        width, height = max(self.width, SMALLEST), max(self.height, SMALLEST)
        pixels = self._view.frame(width, height)
        rgba = QtGui.QImage.Format.Format_RGBX8888
        self._image = QtGui.QImage(pixels, width, height, 4 * width, rgba).copy()
        self._is_stale = False
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        """Show the last frame, a new one where it is stale or of another size."""
        size = QtCore.QSize(self.width, self.height)
        if self._image is None or self._is_stale or self._image.size() != size:
            self.forceRender()
        painter = QtGui.QPainter(self)
        painter.drawImage(0, 0, self._image)
        painter.end()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        """Pass on."""
        self._pass_on(event, f"{event.button().name}PressEvent")

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        """Pass on."""
        self._pass_on(event, f"{event.button().name}ReleaseEvent")

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        """Pass on."""
        self._pass_on(event, f"{event.button().name}DoubleClickEvent")

    def enterEvent(self, event: QtGui.QEnterEvent) -> None:
        """Pass on: the style acts in the view under the mouse only."""
        self._pass_on(event, "EnterEvent")

    def leaveEvent(self, _event: QtCore.QEvent) -> None:
        """Pass on."""
        self._view.interactor.InvokeEvent("LeaveEvent")

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        """Pass on."""
        self._pass_on(event, "MouseMoveEvent")

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        """Pass on."""
        direction = "Forward" if event.angleDelta().y() > 0 else "Backward"
        self._pass_on(event, f"MouseWheel{direction}Event")

    def _pass_on(self, event: Any, name: str) -> None:
        place, keys = event.position(), event.modifiers()
        is_control = int(bool(keys & QtCore.Qt.KeyboardModifier.ControlModifier))
        is_shift = int(bool(keys & QtCore.Qt.KeyboardModifier.ShiftModifier))
        self._view.interactor.SetEventInformation(
            int(place.x()), self.height - int(place.y()) - 1, is_control, is_shift
        )
        self._view.interactor.InvokeEvent(name)


class SliceController(StandIn, QtCore.QObject):
    """The bar above a slice view; only what scripts call."""

    def __init__(self, view: SliceView) -> None:
        super().__init__()
        self._view = view

    def fitSliceToBackground(self) -> None:
        """Show the whole background volume."""
        self._view.logic.FitSliceToBackground()

    def setSliceOffsetValue(self, offset: float) -> None:
        """Move the slice along its normal, in mm."""
        self._view.logic.SetSliceOffset(offset)


class qMRMLSliceWidget(qMRMLWidget):
    """A slice view with its controller."""

    def __init__(self, view: SliceView) -> None:
        super().__init__()
        self._view = view
        self._controller = SliceController(view)
        self._slice_view = ViewWidget(view, self)
        _fill(self, self._slice_view)

    def sliceView(self) -> ViewWidget:
        """The drawing part."""
        return self._slice_view

    def sliceController(self) -> SliceController:
        """The bar above it."""
        return self._controller

    def sliceLogic(self) -> Any:
        """The vtkMRMLSliceLogic."""
        return self._view.logic

    def mrmlSliceNode(self) -> Any:
        """The node that says where the slice is."""
        return self._view.node

    def mrmlSliceCompositeNode(self) -> Any:
        """The node that says which volumes are shown."""
        return self._view.logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        """Show the whole background volume."""
        self._controller.fitSliceToBackground()


class qMRMLThreeDView(ViewWidget):
    """The drawing part of the 3D view."""

    _view: ThreeDView

    def mrmlViewNode(self) -> Any:
        """The node of the view."""
        return self._view.node

    def resetFocalPoint(self) -> None:
        """Look at the middle of everything visible."""
        bounds = self._view.renderer.ComputeVisiblePropBounds()
        if bounds[0] <= bounds[1]:
            middle = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
            self._view.camera_node().SetFocalPoint(middle)
        self.scheduleRender()

    def resetCamera(self, *_options: Any) -> None:
        """Show everything visible."""
        self._view.renderer.ResetCamera()
        self.scheduleRender()

    def rotateToViewAxis(self, axis: int) -> None:
        """Look along an axis: 0 right, 1 left, 2 posterior, 3 anterior, 4 inferior, 5 superior."""
        node = slicer.vtkMRMLCameraNode
        directions = (
            node.Right, node.Left, node.Posterior, node.Anterior, node.Inferior, node.Superior
        )  # fmt: skip
        self._view.camera_node().RotateTo(directions[axis])
        self.scheduleRender()


class qMRMLThreeDWidget(qMRMLWidget):
    """A 3D view with its controller."""

    def __init__(self, view: ThreeDView) -> None:
        super().__init__()
        self._three_d_view = qMRMLThreeDView(view, self)
        _fill(self, self._three_d_view)

    def threeDView(self) -> qMRMLThreeDView:
        """The drawing part."""
        return self._three_d_view

    def threeDController(self) -> qMRMLThreeDView:
        """The bar above it; its slots that scripts call are the view's own here."""
        return self._three_d_view

    def mrmlViewNode(self) -> Any:
        """The node of the view."""
        return self._three_d_view.mrmlViewNode()


def _fill(holder: QtWidgets.QWidget, content: QtWidgets.QWidget) -> None:
    column = QtWidgets.QVBoxLayout(holder)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(content)
