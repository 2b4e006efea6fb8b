"""Drawing with the mouse in a view, by the events that a view's interactor gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from Testing.gui.host.host import Host
from Testing.gui.panel_case import PanelCase, make_case, middle_ras, write_case_result
from Testing.gui.panel_case_steps import click, panel_with_result

ENDING = [("RightButtonPressEvent", "RightButtonReleaseEvent"), ("LeftButtonDoubleClickEvent",)]


@pytest.fixture(scope="module")
def case() -> PanelCase:
    return make_case()


@pytest.fixture(scope="module")
def result(case: PanelCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case_result(case, tmp_path_factory.mktemp("drawing") / "result")


@pytest.fixture
def panel(host: Host, case: PanelCase, result: Path, views: Any) -> Any:
    panel = panel_with_result(host, case, result)
    panel.logic.goToPoint(middle_ras(case, 51))
    return panel


class Mouse:
    """A mouse over the red slice view."""

    def __init__(self, host: Host) -> None:
        self._host = host
        view = host.app.layoutManager().sliceWidget("Red").sliceView()
        view.forceRender()
        self._interactor = view.interactor()
        self.move(20, 20, "EnterEvent")

    def move(self, x: int, y: int, *events: str) -> None:
        for event in (*events, "MouseMoveEvent"):
            self._do(x, y, event)

    def click(self, x: int, y: int) -> None:
        self.move(x, y)
        for event in ("LeftButtonPressEvent", "LeftButtonReleaseEvent"):
            self._do(x, y, event)

    def end_placing(self, x: int, y: int, events: tuple[str, ...]) -> None:
        for event in events:
            self._do(x, y, event)
        self._host.process_events(0.05)

    def _do(self, x: int, y: int, event: str) -> None:
        self._interactor.SetEventInformation(x, y, 0, 0)
        self._interactor.InvokeEvent(event)
        self._host.process_events()


@pytest.fixture
def mouse(host: Host, panel: Any) -> Mouse:
    return Mouse(host)


@pytest.fixture
def interaction(host: Host) -> Any:
    return host.app.applicationLogic().GetInteractionNode()


@pytest.mark.parametrize("events", ENDING, ids=["right click", "double click"])
def test_points_go_on_after_placing_was_ended(
    host: Host, panel: Any, mouse: Mouse, interaction: Any, events: tuple[str, ...]
) -> None:
    click(host, panel.ui.splitPointsButton)
    hint = panel.ui.drawingHintLabel.text
    mouse.click(140, 140)

    mouse.end_placing(140, 140, events)
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    mouse.click(160, 150)

    assert len(panel.correct.drawing.pieces()) == 2
    assert panel.ui.drawingHintLabel.text == hint
    assert panel.ui.applyCutButton.enabled


@pytest.mark.parametrize("events", ENDING, ids=["right click", "double click"])
def test_a_line_is_finished_when_placing_was_ended(
    host: Host, panel: Any, mouse: Mouse, interaction: Any, events: tuple[str, ...]
) -> None:
    click(host, panel.ui.splitCurveButton)
    mouse.click(100, 140)
    mouse.end_placing(100, 140, events)
    assert interaction.GetCurrentInteractionMode() == interaction.Place, "one point is no line"
    mouse.click(180, 150)

    mouse.end_placing(180, 150, events)

    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    assert len(panel.correct.drawing.points()) == 2
    assert "is drawn" in panel.ui.drawingHintLabel.text
    assert panel.ui.applyCutButton.enabled
    mouse.click(120, 180)
    assert len(panel.correct.drawing.points()) == 2


@pytest.mark.parametrize("persistence", [0, 1])
@pytest.mark.parametrize("button", ["splitPointsButton", "splitCurveButton"])
def test_the_mouse_is_given_back_as_it_was(
    host: Host, panel: Any, mouse: Mouse, interaction: Any, persistence: int, button: str
) -> None:
    interaction.SetPlaceModePersistence(persistence)
    click(host, getattr(panel.ui, button))
    mouse.click(140, 140)
    mouse.end_placing(140, 140, ENDING[0])

    click(host, panel.ui.stopDrawingButton)

    assert interaction.GetPlaceModePersistence() == persistence
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    mouse.end_placing(140, 140, ENDING[0])
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform


def test_another_mouse_mode_pauses_and_is_left_alone(
    host: Host, panel: Any, mouse: Mouse, interaction: Any
) -> None:
    click(host, panel.ui.splitPointsButton)
    mouse.click(140, 140)

    interaction.SetCurrentInteractionMode(interaction.AdjustWindowLevel)
    host.process_events(0.05)
    assert interaction.GetCurrentInteractionMode() == interaction.AdjustWindowLevel
    assert "Paused" in panel.ui.drawingHintLabel.text
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    host.process_events(0.05)
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    assert "Paused" not in panel.ui.drawingHintLabel.text

    interaction.SetCurrentInteractionMode(interaction.AdjustWindowLevel)
    host.process_events(0.05)
    panel.correct.onStopDrawing()
    host.process_events(0.05)
    assert panel.correct.drawing.node is None
    assert interaction.GetCurrentInteractionMode() == interaction.AdjustWindowLevel
    assert interaction.GetPlaceModePersistence() == 0


@pytest.mark.parametrize("persistence", [0, 1])
def test_placing_something_else_ends_the_drawing_and_goes_on(
    host: Host, panel: Any, mouse: Mouse, interaction: Any, persistence: int
) -> None:
    click(host, panel.ui.splitPointsButton)
    other = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Note")
    selection = host.app.applicationLogic().GetSelectionNode()

    selection.SetReferenceActivePlaceNodeClassName(other.GetClassName())
    selection.SetActivePlaceNodeID(other.GetID())
    interaction.SetPlaceModePersistence(persistence)
    interaction.SetCurrentInteractionMode(interaction.Place)
    host.process_events(0.05)

    assert panel.correct.drawing.node is None
    assert panel.ui.drawingFrame.isHidden()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    assert selection.GetActivePlaceNodeID() == other.GetID()
    assert interaction.GetPlaceModePersistence() == persistence


def test_a_closed_scene_gives_the_mouse_back(
    host: Host, panel: Any, mouse: Mouse, interaction: Any
) -> None:
    click(host, panel.ui.splitPointsButton)

    host.close_scene()
    host.process_events(0.05)

    assert interaction.GetPlaceModePersistence() == 0
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
