"""What an export says about the review, and where a plan comes from that was made before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from Testing.gui.host.host import Host
from Testing.gui.panel_case import make_case, write_case_result
from Testing.gui.panel_case_steps import click, fragment_ids, panel_with_result

FORMAT_BOXES = ("stl", "obj", "ply", "glb", "nifti", "segNrrd")
SHIFT_LPS_MM = (0.0, 0.0, 7.5)


@pytest.fixture
def panel(host: Host, tmp_path: Path) -> Any:
    case = make_case()
    return panel_with_result(host, case, write_case_result(case, tmp_path / "result"))


def export(host: Host, panel: Any, folder: Path) -> dict[str, bool]:
    """Export every format; returns by format whether its report calls the fragments reviewed."""
    for box in FORMAT_BOXES:
        getattr(panel.ui, f"{box}CheckBox").checked = True
    panel.ui.exportFolderPath.currentPath = str(folder)
    click(host, panel.ui.exportButton)
    reports = sorted(folder.glob("*/report.json"))
    return {path.parent.name: json.loads(path.read_text())["reviewed"] for path in reports}


def select_and_click(host: Host, panel: Any, ids: list[str], button: Any) -> None:
    panel.fragments.select(ids)
    host.process_events(0.05)
    click(host, button)


def test_every_export_says_whether_all_fragments_were_reviewed(
    host: Host, panel: Any, tmp_path: Path
) -> None:
    *all_but_one, last = fragment_ids(panel)
    formats = {"glb", "nifti", "obj", "ply", "seg-nrrd", "stl"}
    select_and_click(host, panel, all_but_one, panel.ui.acceptButton)
    assert export(host, panel, tmp_path / "some") == dict.fromkeys(formats, False)

    select_and_click(host, panel, [last], panel.ui.acceptButton)
    assert export(host, panel, tmp_path / "all") == dict.fromkeys(formats, True)

    select_and_click(host, panel, ["left_hip_2", "left_hip_3"], panel.ui.mergeButton)
    assert export(host, panel, tmp_path / "edited") == dict.fromkeys(formats, False)

    click(host, panel.ui.undoButton)
    assert export(host, panel, tmp_path / "undone") == dict.fromkeys(formats, True)


def test_an_exported_segmentation_carries_its_review_on(
    host: Host, panel: Any, tmp_path: Path
) -> None:
    """The library reads the .seg.nrrd again and writes another format of it."""
    from FractureSegmentationLib.export.export import ExportRequest, export_segmentation

    select_and_click(host, panel, fragment_ids(panel), panel.ui.acceptButton)
    export(host, panel, tmp_path / "files")
    (source,) = (tmp_path / "files" / "seg-nrrd").glob("*.seg.nrrd")
    again = tmp_path / "again"

    export_segmentation(ExportRequest(segmentation=source, out=again, format="nifti"))

    assert json.loads((again / "report.json").read_text())["reviewed"] is True


def test_a_plan_is_opened_where_there_is_none_yet(host: Host, panel: Any, tmp_path: Path) -> None:
    from Testing.unit.planning.poses import shift_by

    logic, segmentation = panel.logic, panel.segmentation()
    logic.createPlan(segmentation).move("left_hip_3", shift_by(SHIFT_LPS_MM))
    logic.savePlan(segmentation, tmp_path / "plan.json")
    logic.removePlan(segmentation)
    panel.refresh()
    assert panel.ui.planFrame.isHidden()

    host.dialogs.answer(str(tmp_path / "plan.json"))
    click(host, panel.ui.openPlanButton)

    assert not panel.ui.planFrame.isHidden()
    assert panel.ui.createPlanButton.text == "Remove the plan"
    assert not panel.ui.showSurfacesCheckBox.checked
    shifts = [panel.ui.planTable.item(row, 1).text() for row in range(4)]
    assert shifts == ["0.0", "0.0", "0.0", "7.5"]


def test_a_plan_that_cannot_be_read_leaves_none_behind(
    host: Host, panel: Any, tmp_path: Path
) -> None:
    (tmp_path / "plan.json").write_text("[]")
    host.dialogs.answer(str(tmp_path / "plan.json"))

    click(host, panel.ui.openPlanButton)

    assert panel.ui.planMessageLabel.text
    assert not panel.logic.hasPlan(panel.segmentation())
    assert panel.ui.showSurfacesCheckBox.checked
