"""What the user draws in the views to cut with: points, a plane, a line. One drawing at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import qt
import slicer
import vtk
from slicer.i18n import tr as _

Kind = Literal["points", "plane", "curve", "piece"]
State = Literal["placing", "finished", "paused"]
PointRas = tuple[float, float, float]

_CLASSES: dict[Kind, str] = {
    "points": "vtkMRMLMarkupsFiducialNode",
    "plane": "vtkMRMLMarkupsPlaneNode",
    "curve": "vtkMRMLMarkupsCurveNode",
    "piece": "vtkMRMLMarkupsFiducialNode",
}
_PLANE_MARGIN = 1.3
_LEAST_OF_CURVE = 2
_BEFORE_OTHERS = 10.0


class Drawing:
    """A markups node that lives while the user draws; it is neither listed nor saved.

    A right click or a double click in a view ends Slicer's placing. The drawing places again, but a
    line of two points or more counts as finished. It waits while the user has another mouse mode,
    and ends when points of something else are placed.

    Args:
        on_changed: called after every point, and when clicking ends or goes on.
        on_stopped: called when the drawing is gone, also because the scene was closed.
        joins_piece: whether the next point belongs to the piece of the last one.
    """

    def __init__(
        self,
        on_changed: Callable[[], None],
        on_stopped: Callable[[], None],
        joins_piece: Callable[[], bool],
    ) -> None:
        self._on_changed, self._on_stopped = on_changed, on_stopped
        self._joins_piece = joins_piece
        self._node_id = ""
        self._tags: list[tuple[Any, int]] = []
        self._last_piece = 0
        self._view_direction: PointRas = (0.0, 0.0, 1.0)
        self._ctrl_clicks = CtrlClicks(self._on_ctrl_click)
        self._persistence: int | None = None
        self.kind: Kind | None = None
        self.state: State = "placing"

    @property
    def node(self) -> Any:
        """The markups node; None while nothing is drawn."""
        return slicer.mrmlScene.GetNodeByID(self._node_id) if self._node_id else None

    def start(self, kind: Kind, bounds_ras: Sequence[float] | None = None) -> None:
        """Begin a drawing.

        Args:
            kind: what is drawn.
            bounds_ras: for a plane, the box of the fragment that it is to cut, in mm.
        """
        self.stop()
        node = slicer.mrmlScene.CreateNodeByClass(_CLASSES[kind])
        node.UnRegister(None)
        node.SetName(slicer.mrmlScene.GenerateUniqueName("Cut"))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node = slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        self._node_id, self.kind, self._last_piece = node.GetID(), kind, 0
        if kind == "plane":
            _lay_plane(node, bounds_ras or (-50.0, 50.0) * 3)
        else:
            self._place(node)
            self._watch_mouse_mode()
        events = [slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent]
        events += [slicer.vtkMRMLMarkupsNode.PointRemovedEvent]
        for event in events:
            self._tags.append((node, node.AddObserver(event, self._on_points)))
        removing = slicer.vtkMRMLScene.NodeRemovedEvent
        tag = slicer.mrmlScene.AddObserver(removing, self._on_node_removed)
        self._tags.append((slicer.mrmlScene, tag))

    def stop(self) -> None:
        """Remove the drawing and end placing; harmless when nothing is drawn."""
        if self.kind is None:
            return
        for source, tag in self._tags:
            source.RemoveObserver(tag)
        self._tags.clear()
        self._ctrl_clicks.stop()
        node, self._node_id, self.kind = self.node, "", None
        self._give_mouse_back(node)
        if node is not None:
            # A view that is in the middle of placing would keep what it shows.
            node.SetDisplayVisibility(False)
            slicer.mrmlScene.RemoveNode(node)
        self._on_stopped()

    def add(self, point_ras: PointRas) -> None:
        """Draw a point, as a click in a view does."""
        self.node.AddControlPointWorld(vtk.vtkVector3d(*point_ras))

    def points(self) -> list[PointRas]:
        """All points drawn, in their order, in the world's RAS, mm."""
        return [self._point(index) for index in self._defined()]

    def pieces(self) -> list[list[PointRas]]:
        """The points of each piece."""
        node, pieces = self.node, {}
        for index in self._defined():
            piece = node.GetNthControlPointDescription(index)
            pieces.setdefault(piece, []).append(self._point(index))
        return list(pieces.values())

    def plane(self) -> tuple[PointRas, PointRas]:
        """A point of the plane and its normal, in the world's RAS, mm."""
        return _tuple(self.node.GetOriginWorld()), _tuple(self.node.GetNormalWorld())

    @property
    def view_direction_ras(self) -> PointRas:
        """Which way the viewer looked when the first point was drawn."""
        return self._view_direction

    def _place(self, node: Any) -> None:
        logic = slicer.app.applicationLogic()
        selection, interaction = logic.GetSelectionNode(), logic.GetInteractionNode()
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        if self._persistence is None:
            self._persistence = interaction.GetPlaceModePersistence()
        interaction.SetPlaceModePersistence(1)
        interaction.SetCurrentInteractionMode(interaction.Place)
        self.state = "placing"
        if self.kind == "points":
            self._ctrl_clicks.start()

    def _watch_mouse_mode(self) -> None:
        logic = slicer.app.applicationLogic()
        selection, interaction = logic.GetSelectionNode(), logic.GetInteractionNode()
        for node, event in (
            (interaction, interaction.InteractionModeChangedEvent),
            (selection, selection.ActivePlaceNodeIDChangedEvent),
        ):
            self._tags.append((node, node.AddObserver(event, self._on_mouse_mode)))

    def _on_mouse_mode(self, *_: Any) -> None:
        # The view that has changed it is still at work.
        qt.QTimer.singleShot(0, self._follow_mouse_mode)

    def _follow_mouse_mode(self) -> None:
        node = self.node
        if self.kind is None or self.kind == "plane" or node is None:
            return
        logic = slicer.app.applicationLogic()
        interaction = logic.GetInteractionNode()
        mode = interaction.GetCurrentInteractionMode()
        if mode == interaction.Place:
            if logic.GetSelectionNode().GetActivePlaceNodeID() != self._node_id:
                self.stop()
                return
            self.state = "placing"
        elif mode != interaction.ViewTransform:
            self.state = "paused"
        elif self.kind == "curve" and len(self._defined()) >= _LEAST_OF_CURVE:
            self.state = "finished"
        else:
            self._place(node)
        self._on_changed()

    def _give_mouse_back(self, node: Any) -> None:
        """End our placing and its persistence; whatever else the mouse does now goes on."""
        before, self._persistence = self._persistence, None
        logic = slicer.app.applicationLogic()
        selection, interaction = logic.GetSelectionNode(), logic.GetInteractionNode()
        if before is None or interaction is None:
            return
        is_placing = interaction.GetCurrentInteractionMode() == interaction.Place
        if is_placing and node is not None and selection.GetActivePlaceNodeID() != node.GetID():
            return  # Whoever places has chosen the persistence as well.
        interaction.SetPlaceModePersistence(before)
        if is_placing:
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)

    def _defined(self) -> list[int]:
        node = self.node
        if node is None:
            return []
        done = node.PositionDefined
        count = node.GetNumberOfControlPoints()
        return [n for n in range(count) if node.GetNthControlPointPositionStatus(n) == done]

    def _point(self, index: int) -> PointRas:
        return _tuple(self.node.GetNthControlPointPositionWorld(index))

    def _on_ctrl_click(self, point_ras: PointRas) -> None:
        if self.state == "placing":
            self.add(point_ras)

    def _on_points(self, *_: Any) -> None:
        if len(self._defined()) == 1:
            self._view_direction = direction_of_view()
        self._number_new_points(joins=self._joins_piece() or self._ctrl_clicks.is_clicking)
        # Applying removes the node, which must not happen while it reports its point.
        qt.QTimer.singleShot(0, self._on_changed)

    def _number_new_points(self, *, joins: bool) -> None:
        node = self.node
        for index in self._defined():
            if not node.GetNthControlPointDescription(index):
                self._last_piece = max(1, self._last_piece + (not joins))
                node.SetNthControlPointDescription(index, str(self._last_piece))
                node.SetNthControlPointLabel(index, str(self._last_piece))

    def _on_node_removed(self, *_: Any) -> None:
        if self.kind is not None and self.node is None:
            self.stop()


def hint_of(kind: Kind, state: State = "placing") -> str:
    """The instruction for the user."""
    if state == "paused":
        return str(_("Paused for the mouse mode chosen in the toolbar; Esc gives the drawing up."))
    if state == "finished":
        return str(_("The line is drawn. Drag its points to correct it, then cut."))
    if kind == "points":
        return str(
            _(
                "Click once on every piece, in any view. "
                "Hold Ctrl in a slice view for one more click on the same piece."
            )
        )
    texts = {
        "plane": _("Move and turn the plane by its handles to where the fragment is to be cut."),
        "curve": _("Click along the line to cut, in one view. The cut goes through its depth."),
        "piece": _("Click on the stray piece. It goes to the fragment selected in the table."),
    }
    return str(texts[kind])


def direction_of_view() -> PointRas:
    """Which way the user looks in the view under the mouse; RAS."""
    crosshair = slicer.mrmlScene.GetSingletonNode("default", "vtkMRMLCrosshairNode")
    position = [0.0, 0.0, 0.0]
    slice_node = crosshair.GetCursorPositionXYZ(position) if crosshair is not None else None
    if slice_node is not None:
        matrix = slice_node.GetSliceToRAS()
        return _tuple(matrix.GetElement(row, 2) for row in range(3))
    camera = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCameraNode")
    if camera is not None:
        return _tuple(camera.GetCamera().GetDirectionOfProjection())
    return (0.0, 0.0, 1.0)


def _lay_plane(node: Any, bounds_ras: Sequence[float]) -> None:
    """Lay the plane across the longest side of a box, with handles to move it."""
    sides = [bounds_ras[2 * axis + 1] - bounds_ras[2 * axis] for axis in range(3)]
    longest = sides.index(max(sides))
    node.SetPlaneType(node.PlaneTypePointNormal)
    node.SetOriginWorld([(bounds_ras[2 * n] + bounds_ras[2 * n + 1]) / 2.0 for n in range(3)])
    node.SetNormalWorld([float(axis == longest) for axis in range(3)])
    across = sorted(sides)[:2]
    node.SetSize(across[1] * _PLANE_MARGIN, across[1] * _PLANE_MARGIN)
    display = node.GetDisplayNode()
    display.SetHandlesInteractive(True)
    display.SetOpacity(0.5)


def _tuple(values: Any) -> PointRas:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


class CtrlClicks:
    """Watches the slice views.

    Args:
        on_click: called with the place clicked, in the world's RAS, mm.
    """

    def __init__(self, on_click: Callable[[tuple[float, float, float]], None]) -> None:
        self._on_click = on_click
        self._tags: list[tuple[Any, int]] = []
        self.is_clicking = False

    def start(self) -> None:
        """Begin to watch; without views there is nothing to watch."""
        self.stop()
        layout = slicer.app.layoutManager()
        if layout is None:
            return
        for name in layout.sliceViewNames():
            widget = layout.sliceWidget(name)
            interactor = widget.sliceView().interactor()
            slice_node = widget.mrmlSliceNode()

            def clicked(caller: Any, _: str, slice_node: Any = slice_node) -> None:
                self._clicked(caller, slice_node)

            tag = interactor.AddObserver("LeftButtonReleaseEvent", clicked, _BEFORE_OTHERS)
            self._tags.append((interactor, tag))

    def stop(self) -> None:
        """Stop watching."""
        for interactor, tag in self._tags:
            interactor.RemoveObserver(tag)
        self._tags.clear()

    def _clicked(self, interactor: Any, slice_node: Any) -> None:
        if not interactor.GetControlKey():
            return
        x, y = interactor.GetEventPosition()
        r, a, s, _ = slice_node.GetXYToRAS().MultiplyPoint((x, y, 0.0, 1.0))
        self.is_clicking = True
        try:
            self._on_click((r, a, s))
        finally:
            self.is_clicking = False
