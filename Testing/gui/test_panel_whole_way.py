"""The whole way of a case: CT, Segment, correct, review, plan, export, save, close, open again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from Testing.gui.host.host import Host
from Testing.gui.panel_case import PanelCase, make_case, middle_ras, write_case_result
from Testing.gui.panel_case_steps import (
    add_ct,
    click,
    fragment_ids,
    let_child_do,
    open_panel,
    run_to_end,
    volumes_cm3,
)


def test_a_case_from_the_ct_to_files_and_back_from_its_saved_scene(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    from Testing.unit.planning.poses import shift_by

    case = make_case()
    result = write_case_result(case, tmp_path / "result")
    let_child_do(monkeypatch, f"started,stage=bones,progress=0.3,copy={result},result")
    panel = open_panel(host)
    add_ct(host, case)
    host.process_events(0.1)
    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)

    after_split = _merge_and_split(host, panel, case)
    panel.fragments.select(["sacrum_1"])
    click(host, panel.ui.acceptButton)
    click(host, panel.ui.createPlanButton)
    moved = fragment_ids(panel)[-1]
    panel.logic.planOf(panel.segmentation()).move(moved, shift_by((5.0, 0.0, 0.0)))
    host.process_events(1.0)
    panel.ui.exportFolderPath.currentPath = str(tmp_path / "files")
    click(host, panel.ui.exportButton)
    assert panel.ui.planMessageLabel.text.startswith("Exported: stl.")
    rows = panel.logic.fragmentRows(panel.segmentation())
    scene_file = tmp_path / "case.mrb"
    assert slicer.util.saveScene(str(scene_file))

    _close(host, panel)
    slicer.util.loadScene(str(scene_file))
    host.process_events(0.6)
    _is_restored(panel, rows)
    moves = {
        row.segment_id: row.shift_mm for row in panel.logic.displacements(panel.segmentation())
    }
    assert moves[moved] == pytest.approx(5.0)
    panel.fragments.select([row.segment_id for row in rows if "hip" in row.segment_id][:2])
    host.process_events(0.05)
    click(host, panel.ui.mergeButton)
    click(host, panel.ui.undoButton)
    assert volumes_cm3(panel) == after_split


def _merge_and_split(host: Host, panel: Any, case: PanelCase) -> dict[str, float]:
    panel.fragments.select(["left_hip_1", "left_hip_2"])
    host.process_events(0.05)
    click(host, panel.ui.mergeButton)
    click(host, panel.ui.splitPointsButton)
    host.place_points(panel.correct.drawing.node, [middle_ras(case, 51), middle_ras(case, 52)])
    click(host, panel.ui.applyCutButton)
    after_split = volumes_cm3(panel)
    click(host, panel.ui.undoButton)
    assert len(fragment_ids(panel)) == 3
    click(host, panel.ui.redoButton)
    assert volumes_cm3(panel) == after_split
    return after_split


def _close(host: Host, panel: Any) -> None:
    host.close_scene()
    host.process_events(0.3)
    assert panel.volume() is None
    assert panel.ui.fragmentsTable.rowCount == 0
    assert not panel.ui.segmentButton.enabled


def _is_restored(panel: Any, rows: Any) -> None:
    assert panel.volume().GetName() == "CT"
    restored = panel.logic.fragmentRows(panel.segmentation())
    # The file has six digits of a colour.
    assert [row.color for row in restored] == [pytest.approx(row.color, abs=1e-5) for row in rows]
    assert [_but_color(row) for row in restored] == [_but_color(row) for row in rows]
    assert panel.ui.reviewLabel.text == f"1 of {len(rows)} reviewed"
    assert not panel.ui.placesFrame.isHidden()


def _but_color(row: Any) -> Any:
    return dataclasses.replace(row, color=(0.0, 0.0, 0.0))


def test_a_plan_is_moved_measured_saved_opened_and_removed(host: Host, tmp_path: Path) -> None:
    from FractureSegmentationLib.planning.pose import turn_about
    from Testing.gui.panel_case_steps import panel_with_result
    from Testing.unit.planning.poses import shift_by

    case = make_case()
    panel = panel_with_result(host, case, write_case_result(case, tmp_path / "result"))
    click(host, panel.ui.createPlanButton)
    assert not panel.ui.showSurfacesCheckBox.checked, "surfaces that stay hide models that move"
    plan = panel.logic.planOf(panel.segmentation())
    plan.move("left_hip_2", turn_about((0.0, 0.0, 1.0), 20.0, (0.0, 0.0, 0.0)))
    plan.move("left_hip_3", shift_by((0.0, 0.0, -8.0)))
    host.process_events(1.2)

    texts = [panel.ui.planTable.item(row, 1).text() for row in range(4)]
    assert texts[3] == "8.0"
    assert panel.ui.planTable.item(2, 2).text() == "20.0"
    assert "overlap" in panel.ui.overlapLabel.text

    host.dialogs.answer(str(tmp_path / "plan.json"))
    click(host, panel.ui.savePlanButton)
    poses = json.loads((tmp_path / "plan.json").read_text())["poses"]
    assert poses["left_hip_3"][2] == [0.0, 0.0, 1.0, -8.0]
    click(host, panel.ui.resetAllPosesButton)
    assert {panel.ui.planTable.item(row, 1).text() for row in range(4)} == {"0.0"}
    host.dialogs.answer(str(tmp_path / "plan.json"))
    click(host, panel.ui.openPlanButton)
    assert [panel.ui.planTable.item(row, 1).text() for row in range(4)] == texts

    panel.ui.planTable.selectRow(3)
    host.process_events(0.1)
    click(host, panel.ui.resetPoseButton)
    assert panel.ui.planTable.item(3, 1).text() == "0.0"

    host.dialogs.answer("ok")
    click(host, panel.ui.createPlanButton)
    assert panel.ui.planFrame.isHidden()
    assert not host.scene.GetNumberOfNodesByClass("vtkMRMLModelNode") - _slice_models(host)


def test_a_merge_after_planning_brings_the_plan_up_to_date(host: Host, tmp_path: Path) -> None:
    from Testing.gui.panel_case_steps import panel_with_result

    case = make_case()
    panel = panel_with_result(host, case, write_case_result(case, tmp_path / "result"))
    click(host, panel.ui.createPlanButton)

    panel.fragments.select(["left_hip_2", "left_hip_3"])
    host.process_events(0.05)
    click(host, panel.ui.mergeButton)
    assert panel.ui.planTable.rowCount == 3

    click(host, panel.ui.undoButton)
    assert panel.ui.planTable.rowCount == 4


def test_a_mirrored_side_that_is_not_there_is_explained(host: Host, tmp_path: Path) -> None:
    from Testing.gui.panel_case_steps import panel_with_result

    case = make_case()
    panel = panel_with_result(host, case, write_case_result(case, tmp_path / "result"))

    click(host, panel.ui.mirrorButton)

    assert "right hip bone" in panel.ui.planMessageLabel.text
    assert not panel.ui.mirrorButton.checked


def _slice_models(host: Host) -> int:
    import slicer

    nodes = slicer.util.getNodesByClass("vtkMRMLModelNode")
    return sum(node.GetName().endswith("Volume Slice") for node in nodes)


def test_an_export_is_replaced_after_a_yes_only(host: Host, tmp_path: Path) -> None:
    from Testing.gui.panel_case_steps import panel_with_result

    case = make_case()
    panel = panel_with_result(host, case, write_case_result(case, tmp_path / "result"))
    assert panel.ui.exportButton.toolTip == "Choose a folder."
    panel.ui.exportFolderPath.currentPath = str(tmp_path / "files")
    click(host, panel.ui.exportButton)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "files/stl").iterdir()}
    assert set(before) == {
        "left_hip_1.stl", "left_hip_2.stl", "left_hip_3.stl", "sacrum_1.stl", "report.json",
    }  # fmt: skip

    host.dialogs.answer("cancel")
    click(host, panel.ui.exportButton)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "files/stl").iterdir()}
    assert after == before

    host.dialogs.answer("ok")
    click(host, panel.ui.exportButton)
    assert (tmp_path / "files/stl/report.json").stat().st_mtime_ns > before["report.json"]


def test_dicom_seg_is_offered_for_a_ct_from_dicom_and_goes_through_slicers_exporter(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slicer's exporter is not here; what it is asked for is."""
    import sys
    import types

    from FractureSegmentationLib.export.dicom_seg import series_description
    from Testing.gui.panel_case_steps import panel_with_result

    calls: list[Any] = []

    class DICOMSegmentationExporter:
        def __init__(self, node: Any) -> None:
            self.node = node

        def export(self, folder: str, name: str, metadata: dict[str, str], **more: Any) -> bool:
            calls.append((self.node, name, metadata, more))
            (Path(folder) / name).touch()
            return True

        def cleanup(self) -> None:
            calls.append("cleaned up")

    module = types.ModuleType("DICOMSegmentationPlugin")
    module.DICOMSegmentationExporter = DICOMSegmentationExporter  # type: ignore[attr-defined]
    case = make_case()
    panel = panel_with_result(host, case, write_case_result(case, tmp_path / "result"))
    assert not panel.ui.dicomSegCheckBox.enabled
    assert "DICOM database" in panel.ui.dicomSegCheckBox.toolTip

    monkeypatch.setitem(sys.modules, "DICOMSegmentationPlugin", module)
    panel.volume().SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    panel.refresh()
    panel.ui.stlCheckBox.checked = False
    panel.ui.dicomSegCheckBox.checked = True
    panel.ui.exportFolderPath.currentPath = str(tmp_path / "files")
    click(host, panel.ui.exportButton)

    assert calls == [
        (
            panel.segmentation(),
            "fragments.dcm",
            {"SeriesDescription": series_description(is_reviewed=False)},
            {"skipEmpty": True, "segmentIDs": fragment_ids(panel)},
        ),
        "cleaned up",
    ]
