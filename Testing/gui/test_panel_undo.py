"""Undo and redo take back what the user did last: a correction, or a move of the plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Testing.gui.host.host import Host
from Testing.gui.panel_case import PanelCase, make_case, write_case_result
from Testing.gui.panel_case_steps import click, fragment_ids, panel_with_result

LOADED = ["sacrum_1", "left_hip_1", "left_hip_2", "left_hip_3"]
AT_REST_S = 0.9


@pytest.fixture(scope="module")
def case() -> PanelCase:
    return make_case()


@pytest.fixture(scope="module")
def result(case: PanelCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case_result(case, tmp_path_factory.mktemp("undo") / "result")


@pytest.fixture
def panel(host: Host, case: PanelCase, result: Path) -> Any:
    panel = panel_with_result(host, case, result)
    click(host, panel.ui.createPlanButton)
    return panel


def drag(host: Host, panel: Any, segment_id: str, shift_mm: float) -> None:
    """Move a transform to the patient's left in steps, as a handle does, and let it rest."""
    from FractureSegmentationLib.planning.pose import shift_by

    plan = panel.logic.planOf(panel.segmentation())
    for _step in range(4):
        plan.move(segment_id, shift_by((shift_mm / 4, 0.0, 0.0)))
        host.process_events(0.02)
    host.process_events(AT_REST_S)


def shifts(panel: Any) -> dict[str, float]:
    """How far each fragment is moved, those that lie where the CT shows them left out."""
    plan = panel.logic.planOf(panel.segmentation())
    moved = {one: float(plan.pose(one)[0, 3]) for one in plan.segment_ids}
    return {one: pytest.approx(mm) for one, mm in moved.items() if abs(mm) > 1e-6}


def merge(host: Host, panel: Any, *segment_ids: str) -> None:
    panel.fragments.select(list(segment_ids))
    host.process_events(0.05)
    click(host, panel.ui.mergeButton, AT_REST_S)


def test_a_drag_is_one_step_and_undo_takes_the_move_back_not_the_correction(
    host: Host, panel: Any
) -> None:
    merge(host, panel, "left_hip_2", "left_hip_3")
    drag(host, panel, "left_hip_2", 8.0)

    click(host, panel.ui.undoButton)

    assert shifts(panel) == {}
    assert fragment_ids(panel) == LOADED[:3], "the merge stays"


def test_moves_and_corrections_are_undone_and_redone_in_the_order_they_were_made(
    host: Host, panel: Any
) -> None:
    drag(host, panel, "left_hip_1", 3.0)
    merge(host, panel, "left_hip_2", "left_hip_3")
    drag(host, panel, "left_hip_2", 5.0)

    undo, redo = panel.ui.undoButton, panel.ui.redoButton
    assert "move of Left hip bone – fragment 2" in undo.toolTip
    click(host, undo)
    assert "correction" in undo.toolTip
    click(host, undo)
    assert fragment_ids(panel) == LOADED
    assert shifts(panel) == {"left_hip_1": 3.0}, "a fragment that was moved stays where it is"
    click(host, undo)
    assert shifts(panel) == {}
    assert not undo.enabled

    for _step in range(3):
        click(host, redo)
    assert fragment_ids(panel) == LOADED[:3]
    assert shifts(panel) == {"left_hip_1": 3.0, "left_hip_2": 5.0}
    assert not redo.enabled


def test_a_fragment_that_comes_back_lies_where_it_was_moved_to(host: Host, panel: Any) -> None:
    drag(host, panel, "left_hip_3", 4.0)
    merge(host, panel, "left_hip_2", "left_hip_3")

    click(host, panel.ui.undoButton)

    assert fragment_ids(panel) == LOADED
    assert shifts(panel) == {"left_hip_3": 4.0}


def test_a_new_action_of_either_kind_ends_redo(host: Host, panel: Any) -> None:
    drag(host, panel, "left_hip_1", 3.0)
    click(host, panel.ui.undoButton)
    merge(host, panel, "left_hip_2", "left_hip_3")
    assert not panel.ui.redoButton.enabled

    click(host, panel.ui.undoButton)
    drag(host, panel, "left_hip_1", 2.0)
    assert not panel.ui.redoButton.enabled


@pytest.mark.parametrize("how", ["reset one", "reset all", "open a plan"])
def test_every_way_to_move_is_one_step(host: Host, panel: Any, how: str, tmp_path: Path) -> None:
    segmentation = panel.segmentation()
    panel.logic.savePlan(segmentation, tmp_path / "plan.json")
    drag(host, panel, "left_hip_2", 6.0)
    drag(host, panel, "left_hip_3", 1.0)
    do = {
        "reset one": lambda: panel.logic.resetPose(segmentation, ["left_hip_2"]),
        "reset all": lambda: panel.logic.resetPose(segmentation),
        "open a plan": lambda: panel.logic.openPlan(segmentation, tmp_path / "plan.json"),
    }[how]

    panel.plan._do(do)
    assert "left_hip_2" not in shifts(panel)
    click(host, panel.ui.undoButton)

    assert shifts(panel) == {"left_hip_2": 6.0, "left_hip_3": 1.0}


def test_the_keys_undo_and_redo_also_beside_the_segment_editor(
    host: Host, panel: Any, views: Any
) -> None:
    """The editor's keys for undo are off: Qt would answer a key that two want by doing neither."""
    import slicer

    panel.correct.onEditorCollapsed(False)
    window = slicer.util.mainWindow()
    working = [
        child.key.toString()
        for child in window.children()
        if child.inherits("QShortcut") and child.enabled
    ]
    drag(host, panel, "left_hip_2", 6.0)

    for key in ("Ctrl+Z", "Ctrl+Y", "Z", "Y"):
        assert working.count(key) == 1, key
    for shortcut in panel.correct._shortcuts._installed:
        if shortcut.key.toString() == "Ctrl+Z":
            shortcut.activated.emit()
    assert shifts(panel) == {}


def test_a_closed_scene_and_a_removed_plan_leave_no_move_to_undo(host: Host, panel: Any) -> None:
    drag(host, panel, "left_hip_2", 6.0)
    host.dialogs.answer("ok")
    click(host, panel.ui.createPlanButton)
    assert not panel.ui.undoButton.enabled

    host.close_scene()
    assert not panel.ui.undoButton.enabled


def test_a_stroke_of_an_effect_after_a_move_is_undone_first(
    host: Host, panel: Any, case: PanelCase
) -> None:
    panel.correct.onEditorCollapsed(False)
    editor = panel.correct.editor.widget
    editor.setActiveEffectByName("Erase")
    drag(host, panel, "left_hip_2", 6.0)
    before = panel.logic.fragmentRows(panel.segmentation())
    host.paint(editor, "left_hip_1", np.asarray(case.labels.voxels == 51), is_erasing=True)
    host.process_events(AT_REST_S)

    click(host, panel.ui.undoButton)

    after = panel.logic.fragmentRows(panel.segmentation())
    assert [row.volume_mm3 for row in after] == [row.volume_mm3 for row in before]
    assert shifts(panel) == {"left_hip_2": 6.0}
