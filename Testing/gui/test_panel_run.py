"""A click on Segment, and everything that can become of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.gui.host.host import Host
from Testing.gui.panel_case import PanelCase, make_case, write_case_result
from Testing.gui.panel_case_steps import (
    add_ct,
    click,
    fragment_ids,
    let_child_do,
    open_panel,
    run_to_end,
)


@pytest.fixture(scope="module")
def case() -> PanelCase:
    return make_case()


@pytest.fixture(scope="module")
def result(case: PanelCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case_result(case, tmp_path_factory.mktemp("run") / "result")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files; what a run leaves there is seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def panel(host: Host, case: PanelCase, scratch: Path) -> Iterator[Any]:
    panel = open_panel(host)
    add_ct(host, case)
    host.process_events(0.05)
    yield panel
    panel.logic.shutdown()
    assert not list(scratch.iterdir()), "a run has left files"


def message(panel: Any) -> str:
    return str(panel.ui.runMessageLabel.text)


def test_a_run_shows_its_progress_and_then_the_fragments(
    host: Host, panel: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_child_do(
        monkeypatch,
        f"started,stage=fragments,progress=0.4,log=Looking,sleep=0.4,copy={result},result",
    )

    click(host, panel.ui.segmentButton, 0.0)
    host.wait_until(lambda: panel.ui.progressBar.value == 400)

    assert panel.ui.stageLabel.text == "Finding the fragments"
    assert not panel.ui.progressFrame.isHidden()
    assert panel.ui.cancelButton.enabled
    run_to_end(host, panel)
    assert fragment_ids(panel) == ["sacrum_1", "left_hip_1", "left_hip_2", "left_hip_3"]
    assert message(panel) == "Done: 4 fragments."
    assert "Looking" in panel.ui.logTextEdit.plainText
    assert panel.ui.fragmentsTable.rowCount == 4
    assert panel.ui.progressFrame.isHidden()
    assert panel.ui.segmentButton.enabled


def test_the_command_holds_what_was_chosen_and_no_name(
    host: Host, panel: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = let_child_do(monkeypatch, f"started,copy={result},result")
    panel.volume().SetName("Mustermann")
    panel.ui.deviceComboBox.setCurrentIndex(panel.ui.deviceComboBox.findData("cpu"))
    panel.parameterNode.only = "left_hip,sacrum"

    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)

    command = asked[0]
    assert command[command.index("--device") + 1] == "cpu"
    assert command[command.index("--only") + 1] == "left_hip,sacrum"
    assert command[command.index("--bones") + 1] == "auto"
    assert "Mustermann" not in " ".join(command)


def test_models_of_ones_own_are_used_and_remembered_for_the_user(
    host: Host, panel: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from FractureSegmentationPanel.logic.parameters import user_setting
    from FractureSegmentationPanel.setup.weights import SHIPPED_FOLDER

    asked = let_child_do(monkeypatch, f"started,copy={result},result")
    assert panel.ui.advancedCollapsibleButton.collapsed
    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)
    assert "--model" not in asked[0]
    assert "--bones-model" not in asked[0]

    mine = str(SHIPPED_FOLDER / "fracsegmentator-small")
    panel.ui.modelPath.currentPath = mine
    panel.ui.bonesModelPath.currentPath = str(SHIPPED_FOLDER)
    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)

    command = asked[1]
    assert command[command.index("--model") + 1] == mine
    assert command[command.index("--bones-model") + 1] == str(SHIPPED_FOLDER)
    assert user_setting("model") == mine
    assert user_setting("bones_model") == str(SHIPPED_FOLDER)


def test_a_folder_without_a_model_is_told_before_anything_starts(
    host: Host, panel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = let_child_do(monkeypatch, "started,hang")
    panel.ui.modelPath.currentPath = str(tmp_path)

    click(host, panel.ui.segmentButton)

    assert "model" in message(panel)
    assert not asked
    assert panel.ui.segmentButton.enabled


def test_cancel_keeps_the_fragments_there_were(
    host: Host, panel: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.inputs.openResult(result)
    before = panel.logic.fragmentRows(panel.segmentation())
    let_child_do(monkeypatch, "started,progress=0.1,hang")

    click(host, panel.ui.segmentButton)
    click(host, panel.ui.cancelButton)
    run_to_end(host, panel)

    assert panel.logic.fragmentRows(panel.segmentation()) == before
    assert message(panel) == "The run was cancelled. The scene is as it was."
    assert panel.ui.segmentButton.enabled
    assert not panel.ui.cancelButton.enabled


def test_a_second_click_starts_no_second_run(
    host: Host, panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = let_child_do(monkeypatch, "started,hang")

    click(host, panel.ui.segmentButton)
    panel.run.onSegment()

    assert len(asked) == 1
    assert panel.ui.segmentButton.toolTip == "A segmentation is running."
    click(host, panel.ui.cancelButton)
    run_to_end(host, panel)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("started,crash", "The segmentation stopped unexpectedly"),
        ("started,error=no_bone", "Check the volume, or choose other bones"),
        ("started,error=missing_weights", "Install the extension again"),
        ("absent=torch", "The Python package torch is missing."),
        ("started", "The segmentation ended without a result."),
        ("future,result", "The installed library does not fit this panel."),
    ],
)
def test_a_run_that_fails_says_why_and_changes_nothing(
    host: Host, panel: Any, monkeypatch: pytest.MonkeyPatch, steps: str, told: str
) -> None:
    let_child_do(monkeypatch, steps)

    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)

    assert told in message(panel)
    assert panel.segmentation() is None
    assert panel.ui.segmentButton.enabled
    assert not host.dialogs.shown


def test_a_gpu_without_memory_is_told_beside_the_result(
    host: Host, panel: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_child_do(monkeypatch, f"started,gpu_memory,copy={result},result")

    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)

    assert message(panel).splitlines() == [
        "Done: 4 fragments.",
        "The device cuda failed or ran out of memory; the CPU takes over.",
    ]


def test_a_result_that_is_no_result_is_told(
    host: Host, panel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    let_child_do(monkeypatch, f"started,copy={tmp_path / 'empty'},result")

    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)

    assert "no result of fracseg" in message(panel)
    assert panel.segmentation() is None


def test_declining_the_installation_starts_nothing(
    host: Host, panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from FractureSegmentationPanel.setup import dependencies

    asked = let_child_do(monkeypatch, "started,hang")
    monkeypatch.setattr(dependencies, "missing", lambda names: tuple(names)[:1])
    host.dialogs.answer("cancel")

    click(host, panel.ui.segmentButton)

    assert "click>=8.1" in host.dialogs.texts[0]
    assert "Nothing was installed" in message(panel)
    assert not asked
    assert panel.ui.segmentButton.enabled


def test_an_absent_model_is_told_before_anything_starts(
    host: Host, panel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from FractureSegmentationPanel.setup import weights

    asked = let_child_do(monkeypatch, "started,hang")
    monkeypatch.setattr(weights, "SHIPPED_FOLDER", tmp_path)

    click(host, panel.ui.segmentButton)

    assert "is not installed" in message(panel)
    assert not asked


def test_closing_the_scene_stops_the_run(
    host: Host, panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_child_do(monkeypatch, "started,progress=0.2,hang")
    click(host, panel.ui.segmentButton)

    host.close_scene()
    run_to_end(host, panel)

    assert "The scene was closed" in message(panel)
    assert panel.volume() is None
    assert not panel.ui.segmentButton.enabled


def test_removing_the_ct_stops_the_run(
    host: Host, panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_child_do(monkeypatch, "started,progress=0.2,hang")
    click(host, panel.ui.segmentButton)

    host.scene.RemoveNode(panel.volume())
    run_to_end(host, panel)

    assert "The CT was removed" in message(panel)
    assert panel.segmentation() is None


def test_a_result_survives_the_removal_of_its_target(
    host: Host, panel: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.inputs.openResult(result)
    let_child_do(monkeypatch, f"started,sleep=0.5,copy={result},result")
    click(host, panel.ui.segmentButton, 0.1)

    host.scene.RemoveNode(panel.segmentation())
    run_to_end(host, panel)

    assert len(fragment_ids(panel)) == 4


def test_edited_fragments_are_replaced_only_after_a_yes(
    host: Host, panel: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.inputs.openResult(result)
    panel.logic.merge(panel.segmentation(), ["left_hip_2", "left_hip_3"])
    host.process_events(0.4)
    asked = let_child_do(monkeypatch, f"started,copy={result},result")

    host.dialogs.answer("cancel")
    click(host, panel.ui.segmentButton)
    assert not asked
    assert len(fragment_ids(panel)) == 3

    host.dialogs.answer("ok")
    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)
    assert len(fragment_ids(panel)) == 4
    click(host, panel.ui.undoButton)
    assert fragment_ids(panel) == ["sacrum_1", "left_hip_1", "left_hip_2"]


def test_what_is_edited_during_a_run_is_never_replaced(
    host: Host, panel: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.inputs.openResult(result)
    first = panel.segmentation()
    let_child_do(monkeypatch, f"started,sleep=0.5,copy={result},result")
    click(host, panel.ui.segmentButton, 0.1)

    panel.logic.merge(first, ["left_hip_2", "left_hip_3"])
    run_to_end(host, panel)

    assert first.GetSegmentation().GetNumberOfSegments() == 3
    assert panel.segmentation() is not first
    assert len(fragment_ids(panel)) == 4
    assert "edited meanwhile" in message(panel)


def test_the_result_lies_under_the_linear_transform_of_its_ct(
    host: Host, panel: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    panel.volume().SetAndObserveTransformNodeID(transform.GetID())
    let_child_do(monkeypatch, f"started,copy={result},result")

    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)

    assert panel.segmentation().GetTransformNodeID() == transform.GetID()


def test_a_ct_under_a_bending_transform_has_to_be_resampled_first(host: Host, panel: Any) -> None:
    import vtk

    bent = host.scene.AddNewNodeByClass("vtkMRMLTransformNode")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for place in ((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9)):
        points.InsertNextPoint(place)
    moved = vtk.vtkPoints()
    moved.DeepCopy(points)
    moved.SetPoint(0, (1, 1, 1))
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(moved)
    spline.SetBasisToR()
    bent.SetAndObserveTransformToParent(spline)

    panel.volume().SetAndObserveTransformNodeID(bent.GetID())
    panel.refresh()

    assert "bends it" in panel.ui.inputsMessageLabel.text
    assert "Harden the transform or resample" in panel.ui.inputsMessageLabel.text
    assert not panel.ui.segmentButton.enabled


def test_the_window_lives_while_a_run_goes_on(
    host: Host, panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets its turns between 20 events and 2,000 lines of text."""
    let_child_do(monkeypatch, "started,flood=2000,steps=20")
    click(host, panel.ui.segmentButton, 0.0)
    turns = 0

    while panel.logic.isRunning:
        host.app.processEvents()
        turns += 1
        time.sleep(0.005)

    assert turns > 10


def test_a_script_waits_for_its_fragments_without_a_main_window(
    host: Host, case: PanelCase, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_panel(host)
    host.close_module()
    volume = add_ct(host, case)
    let_child_do(monkeypatch, f"started,copy={result},result")
    from FractureSegmentation import FractureSegmentationLogic

    with host.without_main_window():
        logic = FractureSegmentationLogic()
        segmentation = logic.process(volume)

    assert segmentation.GetSegmentation().GetNumberOfSegments() == 4
    assert not logic.isRunning


def test_a_script_is_told_by_an_exception(
    host: Host, case: PanelCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_panel(host)
    volume = add_ct(host, case)
    let_child_do(monkeypatch, "started,error=no_bone")
    from FractureSegmentation import FractureSegmentationLogic
    from FractureSegmentationLib.errors import FracSegError

    with pytest.raises(FracSegError) as caught:
        FractureSegmentationLogic().process(volume)

    assert caught.value.code == "no_bone"
