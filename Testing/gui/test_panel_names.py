"""A fragment's own name: typed into the table, kept everywhere, and never its identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from Testing.gui.host.host import Host
from Testing.gui.panel_case import make_case, write_case_result
from Testing.gui.panel_case_steps import click, fragment_ids, panel_with_result

NAME, VOLUME, CONFIDENCE = 2, 3, 4
ROW, SEGMENT = 2, "left_hip_2"
OWN = "posterior wall / Süd: 50%"


@pytest.fixture
def panel(host: Host, tmp_path: Path) -> Any:
    case = make_case()
    return panel_with_result(host, case, write_case_result(case, tmp_path / "result"))


def type_name(host: Host, panel: Any, name: str, row: int = ROW) -> None:
    """Edit the cell as a person does."""
    import qt

    table = panel.ui.fragmentsTable
    host.window.show()
    table.editItem(table.item(row, NAME))
    host.process_events(0.05)
    (line,) = table.findChildren(qt.QLineEdit)
    line.setText(name)
    table.commitData(line)
    table.closeEditor(line, qt.QAbstractItemDelegate.NoHint)
    host.process_events(0.4)


def names(panel: Any) -> dict[str, str]:
    rows = panel.logic.fragmentRows(panel.segmentation())
    return {row.segment_id: row.name for row in rows}


def test_a_name_is_typed_and_undone(host: Host, panel: Any, views: Any) -> None:
    before = names(panel)

    type_name(host, panel, f"  {OWN}\n")

    assert names(panel) == {**before, SEGMENT: OWN}
    assert panel.ui.fragmentsTable.item(ROW, NAME).text() == OWN
    click(host, panel.ui.undoButton)
    assert names(panel) == before
    assert panel.ui.fragmentsTable.item(ROW, NAME).text() == before[SEGMENT]
    click(host, panel.ui.redoButton)
    assert names(panel)[SEGMENT] == OWN


def test_an_empty_name_is_refused(host: Host, panel: Any, views: Any) -> None:
    before = names(panel)

    type_name(host, panel, "  ")

    assert names(panel) == before
    assert panel.ui.fragmentsTable.item(ROW, NAME).text() == before[SEGMENT]
    assert "name" in panel.ui.fragmentsMessageLabel.text
    assert not panel.ui.undoButton.enabled


def test_nothing_but_names_can_be_typed(panel: Any) -> None:
    import qt

    table = panel.ui.fragmentsTable
    for column in range(table.columnCount):
        is_editable = bool(table.item(ROW, column).flags() & qt.Qt.ItemIsEditable)
        assert is_editable == (column == NAME), column


def test_a_renamed_fragment_stays_what_it_is(host: Host, panel: Any, tmp_path: Path) -> None:
    logic, segmentation = panel.logic, panel.segmentation()
    segment = segmentation.GetSegmentation().GetSegment(SEGMENT)
    label = segment.GetLabelValue()
    panel.fragments.select([SEGMENT])
    click(host, panel.ui.acceptButton)

    logic.rename(segmentation, SEGMENT, OWN)
    host.process_events(0.4)
    assert panel.ui.reviewLabel.text == "1 of 4 reviewed"
    assert segment.GetLabelValue() == label

    logic.splitByPlane(segmentation, "left_hip_1", (0.0, 0.0, 50.0), (0.0, 0.0, 1.0))
    logic.renumber(segmentation)
    host.process_events(0.4)
    assert OWN in names(panel).values()
    assert not any(OWN in one for one in fragment_ids(panel))


def test_a_plan_shows_the_name(host: Host, panel: Any) -> None:
    import slicer

    logic, segmentation = panel.logic, panel.segmentation()
    logic.createPlan(segmentation)
    host.process_events(0.4)

    logic.rename(segmentation, SEGMENT, OWN)
    host.process_events(0.6)

    transforms = slicer.util.getNodesByClass("vtkMRMLLinearTransformNode")
    assert f"{OWN} (plan)" in [one.GetName() for one in transforms]
    assert OWN in [row.name for row in logic.displacements(segmentation)]


def test_file_names_do_not_follow_the_name(host: Host, panel: Any, tmp_path: Path) -> None:
    formats = ["stl", "obj", "nifti", "seg.nrrd"]
    panel.logic.exportTo(panel.segmentation(), tmp_path / "before", formats)
    panel.logic.rename(panel.segmentation(), SEGMENT, OWN)
    panel.logic.exportTo(panel.segmentation(), tmp_path / "after", formats)

    def files(folder: str) -> set[str]:
        top = tmp_path / folder
        return {str(path.relative_to(top)) for path in top.rglob("*")}

    assert files("after") == files("before")
    (segmentation_file,) = (tmp_path / "after").rglob("*.seg.nrrd")
    assert OWN.encode() in segmentation_file.read_bytes()


def test_a_saved_scene_keeps_the_name(host: Host, panel: Any, tmp_path: Path) -> None:
    import slicer

    panel.logic.rename(panel.segmentation(), SEGMENT, OWN)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    host.close_scene()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    host.process_events(0.4)

    assert names(panel)[SEGMENT] == OWN
