"""Section Correct and the table of fragments, by clicks; one undo history for all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FractureSegmentationPanel.sections.editor import EmbeddedEditor
from Testing.gui.host.host import Host
from Testing.gui.panel_case import PanelCase, make_case, middle_ras, write_case_result
from Testing.gui.panel_case_steps import (
    click,
    fragment_ids,
    open_panel,
    panel_with_result,
    volumes_cm3,
)

LOADED = ["sacrum_1", "left_hip_1", "left_hip_2", "left_hip_3"]


@pytest.fixture(scope="module")
def case() -> PanelCase:
    return make_case()


@pytest.fixture(scope="module")
def result(case: PanelCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case_result(case, tmp_path_factory.mktemp("correct") / "result")


@pytest.fixture
def panel(host: Host, case: PanelCase, result: Path) -> Any:
    return panel_with_result(host, case, result)


def select(host: Host, panel: Any, *segment_ids: str) -> None:
    panel.fragments.select(list(segment_ids))
    host.process_events(0.05)


def message(panel: Any) -> str:
    return str(panel.ui.correctMessageLabel.text)


def shown(panel: Any, row: int, column: int) -> str:
    return str(panel.ui.fragmentsTable.item(row, column).text())


def test_the_table_shows_what_the_run_found(host: Host, panel: Any) -> None:
    rows = [[shown(panel, row, column) for column in (2, 3, 4)] for row in range(4)]

    # 20225 voxels of 2 x 1.5 x 1.5 mm are 91.0 cm³.
    assert rows[1] == ["Left hip bone – fragment 1 (main)", "91.0", "91%"]
    assert rows[0][0] == "Sacrum – one piece"
    assert rows[3][2] == "34%"
    assert panel.ui.reviewLabel.text == "0 of 4 reviewed"


def test_merge_undo_and_redo(host: Host, panel: Any) -> None:
    select(host, panel, "left_hip_2")
    assert not panel.ui.mergeButton.enabled
    select(host, panel, "left_hip_2", "left_hip_3")

    click(host, panel.ui.mergeButton)
    assert fragment_ids(panel) == LOADED[:3]
    assert volumes_cm3(panel)["left_hip_2"] == pytest.approx(23.4 + 8.3, abs=0.11)

    click(host, panel.ui.undoButton)
    assert fragment_ids(panel) == LOADED
    assert not panel.ui.undoButton.enabled

    click(host, panel.ui.redoButton)
    assert fragment_ids(panel) == LOADED[:3]


def test_fragments_of_two_bones_are_not_merged_and_it_is_said_why(host: Host, panel: Any) -> None:
    select(host, panel, "sacrum_1", "left_hip_1")

    click(host, panel.ui.mergeButton)

    assert fragment_ids(panel) == LOADED
    assert "bone" in message(panel)
    assert not panel.ui.undoButton.enabled


def test_one_click_per_piece_splits_the_fragment_that_was_clicked(
    host: Host, panel: Any, case: PanelCase
) -> None:
    """The two are merged first: the clicks in what they were part them at the weak border."""
    panel.logic.merge(panel.segmentation(), ["left_hip_1", "left_hip_2"])
    host.process_events(0.4)

    click(host, panel.ui.splitPointsButton)
    host.place_points(panel.correct.drawing.node, [middle_ras(case, 51), middle_ras(case, 52)])
    click(host, panel.ui.applyCutButton)

    volumes = volumes_cm3(panel)
    assert volumes["left_hip_1"] == pytest.approx(91.0, abs=1.5)
    assert len(volumes) == 4
    assert panel.correct.drawing.node is None
    assert panel.ui.drawingFrame.isHidden()
    assert not panel.ui.splitPointsButton.checked
    assert not host.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")


def test_several_clicks_can_belong_to_one_piece(host: Host, panel: Any, case: PanelCase) -> None:
    r, a, s = middle_ras(case, 51)
    click(host, panel.ui.splitPointsButton)
    node = panel.correct.drawing.node

    host.place_points(node, [(r, a, s + 6)])
    panel.ui.samePieceCheckBox.checked = True
    host.place_points(node, [(r - 6, a, s + 6)])
    assert not panel.ui.applyCutButton.enabled
    panel.ui.samePieceCheckBox.checked = False
    host.place_points(node, [(r, a, s - 24)])

    assert [len(piece) for piece in panel.correct.drawing.pieces()] == [2, 1]
    assert [node.GetNthControlPointLabel(n) for n in range(3)] == ["1", "1", "2"]
    assert panel.ui.applyCutButton.enabled


def test_ctrl_and_click_in_a_slice_adds_to_the_piece_clicked_last(
    host: Host, panel: Any, case: PanelCase, views: Any
) -> None:
    panel.logic.goToPoint(middle_ras(case, 51))
    click(host, panel.ui.splitPointsButton)
    host.place_points(panel.correct.drawing.node, [middle_ras(case, 51)])
    slice_widget = views.sliceWidget("Red")
    interactor = slice_widget.sliceView().interactor()

    interactor.SetEventInformation(40, 30, 1, 0)
    interactor.InvokeEvent("LeftButtonReleaseEvent")
    host.process_events(0.1)

    pieces = panel.correct.drawing.pieces()
    expected = slice_widget.mrmlSliceNode().GetXYToRAS().MultiplyPoint((40, 30, 0, 1))[:3]
    assert [len(piece) for piece in pieces] == [2]
    assert pieces[0][1] == pytest.approx(expected)


def test_a_plane_is_laid_across_the_selected_fragment_and_cuts_it(host: Host, panel: Any) -> None:
    assert not panel.ui.splitPlaneButton.enabled
    select(host, panel, "left_hip_1")

    click(host, panel.ui.splitPlaneButton)
    node = panel.correct.drawing.node
    assert node.GetDisplayNode().GetHandlesInteractive()
    low, high = panel.logic.boundsOf(panel.segmentation(), "left_hip_1")[0:2]
    assert node.GetOriginWorld()[0] == pytest.approx((low + high) / 2)
    click(host, panel.ui.applyCutButton)

    volumes = volumes_cm3(panel)
    assert volumes["left_hip_1"] + volumes["left_hip_4"] == pytest.approx(91.0, abs=0.11)


def test_a_drawn_line_cuts_through_the_depth_of_the_view(
    host: Host, panel: Any, case: PanelCase
) -> None:
    """A line along the left-right axis, seen from the front: above and below are parted."""
    r, a, s = middle_ras(case, 51)
    click(host, panel.ui.splitCurveButton)
    panel.correct.drawing._view_direction = (0.0, 1.0, 0.0)
    host.place_points(panel.correct.drawing.node, [(r - 60, a, s), (r, a, s), (r + 60, a, s)])
    panel.correct.drawing._view_direction = (0.0, 1.0, 0.0)
    click(host, panel.ui.applyCutButton)

    assert "left_hip_4" in fragment_ids(panel)
    low, high = (
        panel.logic.boundsOf(panel.segmentation(), n)[4:] for n in ("left_hip_4", "left_hip_1")
    )
    parts = sorted((low, high))
    assert parts[0][1] == pytest.approx(parts[1][0], abs=2.1)


def test_a_stray_piece_is_assigned_by_one_click(host: Host, panel: Any, case: PanelCase) -> None:
    select(host, panel, "left_hip_2")
    click(host, panel.ui.assignButton)

    host.place_points(panel.correct.drawing.node, [middle_ras(case, 53)])
    host.process_events(0.5)

    assert fragment_ids(panel) == LOADED[:3]
    assert panel.ui.drawingFrame.isHidden()


def test_a_click_beside_the_bone_is_explained_and_the_drawing_can_go_on(
    host: Host, panel: Any, case: PanelCase
) -> None:
    click(host, panel.ui.splitPointsButton)
    host.place_points(panel.correct.drawing.node, [middle_ras(case, 51), (500.0, 500.0, 500.0)])

    click(host, panel.ui.applyCutButton)

    assert message(panel)
    assert fragment_ids(panel) == LOADED
    assert panel.correct.drawing.node is not None
    click(host, panel.ui.stopDrawingButton)
    assert panel.correct.drawing.node is None


def test_renumbering_follows_the_volume(host: Host, panel: Any) -> None:
    panel.logic.merge(panel.segmentation(), ["left_hip_2", "left_hip_3"])
    panel.logic.undo(panel.segmentation())
    select(host, panel, "left_hip_3")
    plane = ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    panel.logic.splitByPlane(panel.segmentation(), "left_hip_1", (0.0, 0.0, 50.0), plane[1])
    host.process_events(0.4)

    click(host, panel.ui.renumberButton)

    volumes = volumes_cm3(panel)
    hips = [volumes[f"left_hip_{n}"] for n in range(1, 5)]
    assert hips == sorted(hips, reverse=True)


def test_a_review_holds_for_exactly_what_was_reviewed(host: Host, panel: Any) -> None:
    select(host, panel, "left_hip_2", "left_hip_3")
    click(host, panel.ui.acceptButton)
    assert panel.ui.reviewLabel.text == "2 of 4 reviewed"

    click(host, panel.ui.mergeButton)
    assert panel.ui.reviewLabel.text == "0 of 3 reviewed"

    click(host, panel.ui.undoButton)
    assert panel.ui.reviewLabel.text == "2 of 4 reviewed"


def test_the_tick_in_the_table_reviews_and_the_other_hides(host: Host, panel: Any) -> None:
    import qt

    table = panel.ui.fragmentsTable
    table.item(1, 5).setCheckState(qt.Qt.Checked)
    table.item(2, 0).setCheckState(qt.Qt.Unchecked)
    host.process_events(0.4)

    rows = panel.logic.fragmentRows(panel.segmentation())
    assert [row.is_reviewed for row in rows] == [False, True, False, False]
    assert [row.is_visible for row in rows] == [True, True, False, True]


def test_a_click_in_the_table_centres_the_views(
    host: Host, panel: Any, case: PanelCase, views: Any
) -> None:
    panel.ui.fragmentsTable.cellClicked.emit(3, 2)
    host.process_events(0.05)

    offset = views.sliceWidget("Red").mrmlSliceNode().GetSliceOffset()
    assert offset == pytest.approx(middle_ras(case, 53)[2], abs=2.0)


def test_doubtful_places_come_first_and_can_be_gone_to_split_and_merged(
    host: Host, panel: Any
) -> None:
    places = panel.logic.places(panel.segmentation())
    texts = [panel.logic.describePlace(panel.segmentation(), place) for place in places]
    assert texts == [
        "Left hip bone – fragment 2 and fragment 3: doubtful border, 6.0 cm²",
        "Left hip bone – fragment 1 (main): possible fracture inside, 3.1 cm²",
    ]
    assert not panel.ui.placesFrame.isHidden()

    buttons = _buttons(panel, 1)
    assert [button.text for button in buttons] == ["Go to", "Split here"]
    click(host, buttons[1])
    assert "left_hip_4" in fragment_ids(panel)

    panel.logic.undo(panel.segmentation())
    host.process_events(0.4)
    buttons = _buttons(panel, 0)
    assert [button.text for button in buttons] == ["Go to", "Merge", "Split here"]
    click(host, buttons[1])
    assert fragment_ids(panel) == LOADED[:3]


def test_cutting_a_doubtful_border_anew_is_one_step_to_undo(host: Host, panel: Any) -> None:
    before = volumes_cm3(panel)

    click(host, _buttons(panel, 0)[2])
    assert len(fragment_ids(panel)) == 4
    assert volumes_cm3(panel) != before

    click(host, panel.ui.undoButton)
    assert volumes_cm3(panel) == before
    assert not panel.ui.undoButton.enabled


def test_strokes_and_buttons_are_undone_from_one_history(host: Host, panel: Any) -> None:
    panel.ui.editorCollapsibleButton.collapsed = False
    host.process_events(0.2)
    editor = panel.correct.editor.widget
    before = volumes_cm3(panel)
    select(host, panel, "left_hip_2", "left_hip_3")
    click(host, panel.ui.mergeButton)
    merged = volumes_cm3(panel)
    editor.setActiveEffectByName("Paint")
    mask = np.zeros(panel_shape(panel), bool)
    mask[2:6, 2:6, 2:6] = True

    host.paint(editor, "left_hip_1", mask)
    host.process_events(0.6)
    painted = volumes_cm3(panel)
    assert painted["left_hip_1"] > merged["left_hip_1"]

    click(host, panel.ui.undoButton)
    assert volumes_cm3(panel) == merged
    click(host, panel.ui.undoButton)
    assert volumes_cm3(panel) == before
    click(host, panel.ui.redoButton)
    click(host, panel.ui.redoButton)
    assert volumes_cm3(panel) == painted


def test_the_editor_has_its_own_node_and_few_tools(host: Host, panel: Any) -> None:
    panel.ui.editorCollapsibleButton.collapsed = False
    editor = panel.correct.editor.widget

    assert editor.mrmlSegmentEditorNode().GetSingletonTag() == "FractureSegmentation"
    assert editor.segmentationNode() is panel.segmentation()
    assert editor.sourceVolumeNode() is panel.volume()
    names = ["Paint", "Draw", "Erase", "Scissors", "Islands", "Smoothing"]
    assert editor.effectCount() == len(names)
    assert [editor.effectByIndex(n).name for n in range(len(names))] == names


def test_the_editor_gets_its_node_before_the_scene(
    host: Host, panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The widget's header asks for this order; in another one it takes a node of its own choice."""
    import slicer

    widget_class, order = slicer.qMRMLSegmentEditorWidget, []
    for name in ("setMRMLSegmentEditorNode", "setMRMLScene", "setSegmentationNode"):
        real = getattr(widget_class, name)

        def call(self: Any, value: Any, name: str = name, real: Any = real) -> None:
            order.append(name)
            real(self, value)

        monkeypatch.setattr(widget_class, name, call)
    editor = EmbeddedEditor(panel.ui.editorCollapsibleButton.layout())

    editor.show(panel.segmentation(), panel.volume())

    assert order[:3] == ["setMRMLSegmentEditorNode", "setMRMLScene", "setSegmentationNode"]
    editor.cleanup()


def test_keys_work_in_the_panel_and_nowhere_else(host: Host, panel: Any, views: Any) -> None:
    import qt

    select(host, panel, "left_hip_2", "left_hip_3")
    keys = {str(one.key.toString()) for one in host.window.findChildren(qt.QShortcut)}
    assert {"M", "S", "A"} <= keys
    twice = [str(one.key.toString()) for one in host.window.findChildren(qt.QShortcut)]
    assert len(twice) == len(set(twice)), "Qt answers a key that two want by doing neither"

    click(host, panel.ui.splitPointsButton)
    twice = [str(one.key.toString()) for one in host.window.findChildren(qt.QShortcut)]
    assert "Esc" in twice
    assert len(twice) == len(set(twice))

    host.close_module()
    host.process_events(0.1)
    assert not host.window.findChildren(qt.QShortcut)
    assert panel.correct.drawing.node is None


def test_fragments_are_corrected_from_a_script_without_a_panel(
    host: Host, case: PanelCase, result: Path
) -> None:
    open_panel(host)
    host.close_module()
    from FractureSegmentation import FractureSegmentationLogic

    with host.without_main_window():
        logic = FractureSegmentationLogic()
        segmentation = logic.loadResult(result)
        logic.merge(segmentation, ["left_hip_2", "left_hip_3"])
        logic.undo(segmentation)
        logic.redo(segmentation)

    assert len(logic.fragmentRows(segmentation)) == 3


def test_a_script_may_clear_the_scene_and_undo_in_the_next_one(
    host: Host, case: PanelCase, result: Path
) -> None:
    """The cleared scene gives the same ID out again; the history of the node that had it is not."""
    import slicer

    open_panel(host)
    host.close_module()
    from FractureSegmentation import FractureSegmentationLogic

    logic = FractureSegmentationLogic()
    ids = []
    for _ in range(2):
        slicer.mrmlScene.Clear(False)
        segmentation = logic.loadResult(result)
        ids.append(segmentation.GetID())
        before = len(logic.fragmentRows(segmentation))
        logic.createPlan(segmentation)
        logic.merge(segmentation, ["left_hip_2", "left_hip_3"])
        assert len(logic.fragmentRows(segmentation)) == before - 1

        assert logic.undo(segmentation)

        assert len(logic.fragmentRows(segmentation)) == before
        assert len(logic.displacements(segmentation)) == before
    assert ids[0] == ids[1]


def panel_shape(panel: Any) -> tuple[int, int, int]:
    i, j, k = panel.volume().GetImageData().GetDimensions()
    return (k, j, i)


def _buttons(panel: Any, row: int) -> list[Any]:
    import qt

    return list(panel.ui.placesTable.cellWidget(row, 1).findChildren(qt.QToolButton))
