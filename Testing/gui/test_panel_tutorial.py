"""The tutorial in docs/slicer.md, followed step by step, by the texts that it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FractureSegmentationLib.io.sitk import write_volume
from Testing.gui.host.host import Host
from Testing.gui.panel_case import PanelCase, make_case, middle_ras, write_case_result
from Testing.gui.panel_case_steps import (
    SETTLED_S,
    click,
    fragment_ids,
    let_child_do,
    open_panel,
    panel_with_result,
    run_to_end,
)

ELSEWHERE = {
    "DICOM",
    "File, Save",
    "Resample Scalar/Vector/DWI Volume",
    "Sample Data, Fracture Segmentation, PelvicFracture",
    "Transforms, Harden",
}
"""Names in the tutorial that are Slicer's own."""
LOADED = ["sacrum_1", "left_hip_1", "left_hip_2", "left_hip_3"]


@pytest.fixture(scope="module")
def case() -> PanelCase:
    return make_case()


@pytest.fixture(scope="module")
def result(case: PanelCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case_result(case, tmp_path_factory.mktemp("tutorial") / "result")


@pytest.fixture(scope="module")
def guide(repository: Path) -> str:
    return (repository / "docs" / "slicer.md").read_text(encoding="utf-8")


@pytest.fixture
def panel(host: Host, case: PanelCase, result: Path) -> Any:
    return panel_with_result(host, case, result)


def part(guide: str, begin: str, end: str) -> str:
    return guide[guide.index(f"\n## {begin}\n") : guide.index(f"\n## {end}\n")]


def names_in(text: str) -> set[str]:
    """What is printed in bold or in italics."""
    found = re.findall(r"\*\*([^*]+)\*\*|(?<!\*)\*([^*]+)\*(?!\*)", text)
    return {" ".join((bold or italic).split()) for bold, italic in found}


def texts_of(panel: Any) -> set[str]:
    """Every text that the panel shows: of buttons, boxes, labels, columns and rows."""
    texts = set()
    for widget in vars(panel.ui).values():
        texts |= {str(getattr(widget, name, "")) for name in ("text", "title")}
    for table in (panel.ui.fragmentsTable, panel.ui.planTable):
        columns = range(table.columnCount)
        texts |= {str(table.horizontalHeaderItem(column).text()) for column in columns}
    for row in range(panel.ui.placesTable.rowCount):
        place = str(panel.ui.placesTable.cellWidget(row, 0).text)
        texts |= {re.sub(r".*: |, [\d.]+ cm²", "", place), *place_buttons(panel, row)}
    return {text.removesuffix(":") for text in texts}


def place_buttons(panel: Any, row: int) -> dict[str, Any]:
    """The buttons of a doubtful place, by their texts."""
    import qt

    found = panel.ui.placesTable.cellWidget(row, 1).findChildren(qt.QToolButton)
    return {str(button.text): button for button in found}


def press(host: Host, panel: Any, text: str) -> None:
    """Click what has this text, is seen and can be used."""
    import qt

    kinds = (qt.QPushButton, qt.QToolButton, qt.QCheckBox)
    named = [w for w in vars(panel.ui).values() if isinstance(w, kinds) and w.text == text]
    seen = [widget for widget in named if widget.isVisibleTo(panel.parent)]
    assert len(seen) == 1, f"{len(seen)} buttons {text!r} are seen, {len(named)} are there"
    click(host, seen[0])


def select(host: Host, panel: Any, *segment_ids: str) -> None:
    panel.fragments.select(list(segment_ids))
    host.process_events(0.05)


def undo(host: Host, panel: Any) -> None:
    press(host, panel, "Undo")
    assert fragment_ids(panel) == LOADED


def test_every_name_in_the_tutorial_is_a_text_of_the_panel(panel: Any, guide: str) -> None:
    named = names_in(part(guide, "Tutorial", "When it does not go as it should"))

    assert len(named) > 30
    assert named >= ELSEWHERE
    assert named - ELSEWHERE - texts_of(panel) == set()


def test_every_format_in_the_tutorial_has_a_box(panel: Any, guide: str) -> None:
    import qt

    export = guide[guide.index("### 6. Export") : guide.index("As planned* exports")]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", export, re.MULTILINE)[1:]
    formats = [name for row in rows for name in row.split(", ")]
    boxes = [w.text for w in panel.ui.exportGroupBox.findChildren(qt.QCheckBox)]

    assert len(formats) == 7
    for name in formats:
        assert sum(box.startswith(name) for box in boxes) == 1, name


def test_the_keys_of_the_guide_are_those_of_the_panel(panel: Any, guide: str) -> None:
    table = part(guide, "Keys", "For scripts and other modules")
    rows = re.findall(r"^\| ([A-Z]|Ctrl\+[A-Z] or [A-Z]) \|", table, re.M)
    keys = [key for row in rows for key in row.split(" or ")]

    assert rows[:3] == ["M", "S", "A"]
    assert sorted(keys) == sorted(panel.correct._shortcuts._actions)


def test_steps_1_and_2_load_and_segment(
    host: Host, case: PanelCase, result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    panel = open_panel(host)
    (samples,) = slicer.modules.sampleDataSources.values()
    assert "PelvicFracture" in [sample.sampleName for sample in samples]
    write_volume(tmp_path / "ct.nii.gz", case.ct)
    slicer.util.loadVolume(str(tmp_path / "ct.nii.gz"))
    host.process_events(SETTLED_S)
    assert panel.volume().GetName() == "ct"

    let_child_do(monkeypatch, "started,stage=bones,progress=0.5,hang")
    press(host, panel, "Segment")
    host.wait_until(lambda: panel.ui.stageLabel.text == "Finding the bones")
    press(host, panel, "Cancel")
    run_to_end(host, panel)
    assert panel.segmentation() is None

    let_child_do(monkeypatch, f"started,copy={result},result")
    press(host, panel, "Segment")
    run_to_end(host, panel)
    assert fragment_ids(panel) == LOADED

    host.dialogs.answer(str(result))
    press(host, panel, "Open a result folder…")
    assert fragment_ids(panel) == LOADED


def test_step_3_check(host: Host, panel: Any) -> None:
    doubtful, possible = place_buttons(panel, 0), place_buttons(panel, 1)
    click(host, possible["Go to"])
    click(host, possible["Split here"])
    assert fragment_ids(panel) == [*LOADED, "left_hip_4"]
    undo(host, panel)
    doubtful = place_buttons(panel, 0)
    click(host, doubtful["Go to"])
    click(host, doubtful["Merge"])
    assert fragment_ids(panel) == LOADED[:3]
    undo(host, panel)

    select(host, panel, "left_hip_2")
    press(host, panel, "Accept selected")
    assert panel.ui.reviewLabel.text == "1 of 4 reviewed"
    select(host, panel, "left_hip_2", "left_hip_3")
    press(host, panel, "Merge selected")
    assert panel.ui.reviewLabel.text == "0 of 3 reviewed"
    undo(host, panel)
    assert panel.ui.reviewLabel.text == "1 of 4 reviewed"


def test_step_4_split_by_clicks_and_again(host: Host, panel: Any, case: PanelCase) -> None:
    r, a, s = middle_ras(case, 51)
    select(host, panel, "left_hip_1")
    press(host, panel, "Split by clicks")
    host.place_points(panel.correct.drawing.node, [(r, a, s), (r, a, s - 24)])
    press(host, panel, "Split")
    assert fragment_ids(panel) == [*LOADED, "left_hip_4"]
    undo(host, panel)

    press(host, panel, "Split by clicks")
    host.place_points(panel.correct.drawing.node, [(r, a, s)])
    press(host, panel, "Same piece")
    host.place_points(panel.correct.drawing.node, [(r - 8, a, s)])
    press(host, panel, "Same piece")
    host.place_points(panel.correct.drawing.node, [(r, a, s - 24)])
    press(host, panel, "Split")
    assert fragment_ids(panel) == [*LOADED, "left_hip_4"]


def test_step_4_the_other_cuts_and_assign(host: Host, panel: Any, case: PanelCase) -> None:
    r, a, s = middle_ras(case, 51)
    select(host, panel, "left_hip_1")
    press(host, panel, "Split by plane")
    press(host, panel, "Split")
    assert fragment_ids(panel) == [*LOADED, "left_hip_4"]
    undo(host, panel)

    select(host, panel, "left_hip_1")
    press(host, panel, "Split by curve")
    # Drawn in the axial view, which the drawing takes where no click has told of another.
    host.place_points(panel.correct.drawing.node, [(r - 60, a, s), (r + 60, a, s)])
    press(host, panel, "Split")
    assert fragment_ids(panel) == [*LOADED, "left_hip_4"]
    undo(host, panel)

    select(host, panel, "left_hip_2")
    press(host, panel, "Assign piece")
    host.place_points(panel.correct.drawing.node, [middle_ras(case, 53)])
    host.process_events(SETTLED_S)
    assert fragment_ids(panel) == LOADED[:3]


def test_step_4_paint_adopt_and_renumber(host: Host, panel: Any, case: PanelCase) -> None:
    assert panel.ui.editorCollapsibleButton.text == "Segment Editor"
    panel.ui.editorCollapsibleButton.collapsed = False
    editor, segmentation = panel.correct.editor.widget, panel.segmentation()
    drawn = segmentation.GetSegmentation().AddEmptySegment("")
    mask = np.zeros(case.labels.voxels.shape, bool)
    mask[2:6, 20:30, 40:50] = True
    editor.setActiveEffectByName("Paint")
    host.paint(editor, drawn, mask)
    host.process_events(1.0)

    press(host, panel, "Adopt new segments")
    assert fragment_ids(panel) == [*LOADED, drawn]
    press(host, panel, "Renumber")
    name = panel.logic.fragmentRows(segmentation)[-1].name
    assert name.startswith("Left hip bone – fragment"), name


def test_steps_5_and_6_plan_export_and_save(host: Host, panel: Any, tmp_path: Path) -> None:
    import slicer

    from FractureSegmentationLib.planning.pose import shift_by

    press(host, panel, "Plan the reduction")
    panel.ui.planTable.selectRow(3)
    panel.logic.planOf(panel.segmentation()).move("left_hip_3", shift_by((0.0, 0.0, 9.0)))
    host.process_events(1.0)
    host.dialogs.answer(str(tmp_path / "plan.json"))
    press(host, panel, "Save plan…")
    press(host, panel, "Reset selected")
    assert panel.ui.planTable.item(3, 1).text() == "0.0"
    host.dialogs.answer(str(tmp_path / "plan.json"))
    press(host, panel, "Open plan…")
    assert panel.ui.planTable.item(3, 1).text() == "9.0"
    press(host, panel, "Reset all")
    # This case has no other side: it is said.
    press(host, panel, "Mirrored other side")
    assert panel.ui.planMessageLabel.text

    panel.ui.exportFolderPath.currentPath = str(tmp_path / "files")
    press(host, panel, "OBJ")
    press(host, panel, "As planned")
    press(host, panel, "Export")
    assert {path.name for path in (tmp_path / "files").iterdir()} == {"obj", "stl"}

    assert slicer.util.saveScene(str(tmp_path / "case.mrb"))
    host.close_scene()
    slicer.util.loadScene(str(tmp_path / "case.mrb"))
    host.process_events(SETTLED_S)
    assert fragment_ids(panel) == LOADED
    assert place_buttons(panel, 0)
