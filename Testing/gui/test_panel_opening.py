"""Opening the panel: what it loads, what it remembers, and what its file and its code agree on."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from Testing.gui.host.host import Host
from Testing.gui.panel_case import SHAPE, make_case, write_case_result
from Testing.gui.panel_case_steps import MODULE_FILE, add_ct, fragment_ids, open_panel

HEAVY = ("torch", "scipy", "SimpleITK", "pydicom", "skimage", "cc3d")
COMPUTING = ("networks", "inference", "instances", "pipeline", "voxels", "evaluation")
OPENING = """
import sys
sys.path.insert(0, {root!r})
from Testing.gui.host.boot import start
host = start(views=False)
host.load_module({file!r})
host.open_module("FractureSegmentation")
print("HEAVY", *(set({heavy!r}) & set(sys.modules)))
print("LIBRARY", *(name for name in sys.modules if name.startswith("FractureSegmentationLib.")))
"""


@pytest.fixture(scope="module")
def opening(repository: Path) -> dict[str, list[str]]:
    """What a new process has loaded after it opened the module."""
    script = OPENING.format(root=str(repository), file=str(MODULE_FILE), heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=100
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    return {words[0]: words[1:] for words in lines if words and words[0] in {"HEAVY", "LIBRARY"}}


def test_opening_loads_no_heavy_package(opening: dict[str, list[str]]) -> None:
    assert opening["HEAVY"] == []


def test_opening_loads_nothing_that_computes(opening: dict[str, list[str]]) -> None:
    """Opening is quick because of what it leaves out, whatever else the machine does."""
    rooms = {module.split(".")[1] for module in opening["LIBRARY"]}

    assert not rooms & set(COMPUTING)


def test_a_new_ct_is_chosen_and_segment_can_be_clicked(host: Host) -> None:
    panel = open_panel(host)
    assert panel.ui.segmentButton.toolTip == "Select a CT."

    add_ct(host, make_case())
    host.process_events(0.1)

    assert panel.volume().GetName() == "CT"
    assert panel.ui.segmentButton.enabled


def test_a_single_slice_is_refused_at_once(host: Host) -> None:
    import slicer

    panel = open_panel(host)
    slicer.util.addVolumeFromArray(np.zeros((1, 20, 20), np.int16), name="slice")
    host.process_events(0.1)

    assert "single slice" in panel.ui.segmentButton.toolTip
    assert "single slice" in panel.ui.inputsMessageLabel.text


def test_the_disclaimer_is_there_once(host: Host) -> None:
    import qt

    panel = open_panel(host)
    texts = [str(label.text) for label in panel.parent.findChildren(qt.QLabel)]

    assert texts.count("Not for diagnosis. Review every fragment.") == 1


def test_the_users_choices_outlive_the_scene_and_the_cases_do_not(host: Host) -> None:
    panel = open_panel(host)
    panel.ui.deviceComboBox.setCurrentIndex(panel.ui.deviceComboBox.findData("cpu"))
    panel.ui.objCheckBox.checked = True
    panel.ui.exportFolderPath.currentPath = "/a/folder"
    panel.parameterNode.only = "sacrum"
    panel.refresh()
    assert panel.ui.onlyButton.text == "Sacrum"

    import qt

    from FractureSegmentationPanel.logic.parameters import user_setting

    assert user_setting("device") == "cpu"
    assert user_setting("exportFormats") == "stl,obj"
    assert qt.QSettings().value("FractureSegmentation/exportFolder") == "/a/folder"
    node = panel.parameterNode.parameterNode
    node.SetParameter("only", "")
    host.process_events(0.05)
    assert panel.ui.onlyButton.text == "All that are found"


def test_the_methods_offered_are_those_of_the_library(host: Host) -> None:
    panel = open_panel(host)
    from FractureSegmentationLib.methods.catalogue import METHODS as LIBRARY_METHODS
    from FractureSegmentationPanel.logic.parameters import METHODS

    assert [name for name, _ in METHODS] == [method.name for method in LIBRARY_METHODS]
    assert panel.ui.methodComboBox.count == len(LIBRARY_METHODS)


def test_every_format_of_the_library_has_a_box(host: Host) -> None:
    open_panel(host)
    from FractureSegmentationLib.export.formats import FORMATS
    from FractureSegmentationPanel.sections.plan_export import FORMAT_BOXES

    assert set(FORMATS) <= set(FORMAT_BOXES)


def test_every_widget_that_the_code_names_is_in_the_file() -> None:
    """`self._ui.x`, `ui.x` and `panel.ui.x`, read from the source."""
    import re

    ui_file = MODULE_FILE.parent / "Resources/UI/FractureSegmentation.ui"
    names = {one.get("name") for one in ElementTree.parse(ui_file).iter("widget")}  # noqa: S314  our own file
    for path in (MODULE_FILE, *(MODULE_FILE.parent / "FractureSegmentationPanel").rglob("*.py")):
        named = set(re.findall(r"\b_?ui\.(\w+)\b", path.read_text(encoding="utf-8")))
        assert named <= names, path.name


def test_texts_are_translatable_and_hold_no_formatted_strings() -> None:
    import re

    for path in (MODULE_FILE, *(MODULE_FILE.parent / "FractureSegmentationPanel").rglob("*.py")):
        assert not re.search(r"\b_\(\s*f[\"']", path.read_text(encoding="utf-8")), path.name


def test_icons_of_all_buttons_are_there(host: Host) -> None:
    panel = open_panel(host)

    for name in ("segmentButton", "mergeButton", "undoButton", "createPlanButton", "exportButton"):
        assert not getattr(panel.ui, name).icon.isNull(), name


def test_a_reload_drops_our_modules_and_no_others(host: Host, monkeypatch: Any) -> None:
    import slicer

    panel = open_panel(host)
    assert "FractureSegmentationPanel.sections.correct" in sys.modules
    reloaded: list[bool] = []
    base = slicer.ScriptedLoadableModule.ScriptedLoadableModuleWidget
    monkeypatch.setattr(base, "onReload", lambda _self: reloaded.append(True), raising=False)
    kept = {name: module for name, module in sys.modules.items() if name.startswith("Fracture")}

    try:
        panel.onReload()
        ours = ("FractureSegmentationLib", "FractureSegmentationPanel")
        assert not [name for name in sys.modules if name.split(".")[0] in ours]
        assert "numpy" in sys.modules
        assert reloaded == [True]
    finally:
        sys.modules.update(kept)


def test_the_panel_opens_without_a_main_window(host: Host) -> None:
    host.load_module(MODULE_FILE)
    with host.without_main_window():
        panel = host.app.moduleManager().module("FractureSegmentation").widgetRepresentation()
        panel.enter()
        add_ct(host, make_case())
        host.process_events(0.1)
        import slicer

        widget = slicer.modules.FractureSegmentationWidget
        assert widget.volume() is not None
        assert widget.ui.segmentButton.enabled
        panel.exit()


def test_the_modules_own_self_test_passes(host: Host) -> None:
    host.load_module(MODULE_FILE)
    from FractureSegmentation import FractureSegmentationTest

    suite = unittest.defaultTestLoader.loadTestsFromTestCase(FractureSegmentationTest)
    outcome = unittest.TestResult()
    suite.run(outcome)

    assert outcome.testsRun == 1
    assert not outcome.errors + outcome.failures, (outcome.errors + outcome.failures)[0][1]


def test_a_result_folder_opens_without_its_ct(host: Host, tmp_path: Path) -> None:
    panel = open_panel(host)

    panel.inputs.openResult(write_case_result(make_case(), tmp_path / "result"))
    host.process_events(0.4)

    assert len(fragment_ids(panel)) == 4


def test_a_result_folder_is_asked_for_and_remembered(host: Host, tmp_path: Path) -> None:
    panel = open_panel(host)
    folder = write_case_result(make_case(), tmp_path / "result")
    host.dialogs.answer(str(folder))

    panel.ui.openResultButton.click()

    from FractureSegmentationPanel.logic.parameters import user_setting

    assert user_setting("resultFolder") == str(folder)
    assert len(fragment_ids(panel)) == 4


def test_another_ct_than_that_of_the_result_is_told(host: Host, tmp_path: Path) -> None:
    import slicer

    panel = open_panel(host)
    slicer.util.addVolumeFromArray(np.zeros((20, 20, 20), np.int16), name="other")
    host.process_events(0.1)

    panel.inputs.openResult(write_case_result(make_case(), tmp_path / "result"))

    assert "another CT" in panel.ui.inputsMessageLabel.text
    assert panel.segmentation() is None


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Left hip bone", "left_hip"),
        ("hip_right", "right_hip"),
        ("Sacrum", "sacrum"),
        ("Femur R", "right_femur"),
        ("femur_left", "left_femur"),
        ("Pelvis left", "left_hip"),
        ("hip", None),
        ("left and right femur", None),
        ("liver", None),
    ],
)
def test_bones_are_known_by_the_names_of_their_segments(
    host: Host, name: str, slug: str | None
) -> None:
    open_panel(host)
    from FractureSegmentationPanel.logic.segment_run import bone_of_name

    bone = bone_of_name(name)

    assert (bone.slug if bone else None) == slug


def test_a_bone_segmentation_is_handed_over_on_the_grid_of_the_ct(
    host: Host, tmp_path: Path
) -> None:
    import slicer

    panel = open_panel(host)
    ct = add_ct(host, make_case())
    bones = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bones")
    bones.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    for name, box in (("sacrum", slice(2, 6)), ("hip_left", slice(10, 20))):
        mask = np.zeros(SHAPE, np.uint8)
        mask[box, 5:9, 5:9] = 1
        segment_id = bones.GetSegmentation().AddEmptySegment(name, name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, bones, segment_id, ct)
    from FractureSegmentationLib.bones.from_labels import bones_from_labels
    from FractureSegmentationLib.io.read import read_labels
    from FractureSegmentationPanel.logic.segment_run import write_bones

    write_bones(bones, panel.volume(), tmp_path / "bones.nrrd")

    labels = bones_from_labels(read_labels(tmp_path / "bones.nrrd"), make_case().ct.geometry)
    assert labels.values() == (1, 2)
    assert int((labels.voxels == 1).sum()) == 4 * 4 * 4
    assert (labels.voxels[10:20, 5:9, 5:9] == 2).all()
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 0
