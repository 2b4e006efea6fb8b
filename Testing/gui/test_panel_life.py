"""The panel's life in a Slicer that goes on: reload, unload, effects of other extensions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from Testing.gui.host.host import Host
from Testing.gui.panel_case import PanelCase, make_case, write_case_result
from Testing.gui.panel_case_steps import MODULE_FILE, add_ct, open_panel, panel_with_result

UI_FILES = sorted(MODULE_FILE.parent.rglob("*.ui"))
REGISTERED = "effectRegistered(QString)"


@pytest.fixture(scope="module")
def case() -> PanelCase:
    return make_case()


@pytest.fixture(scope="module")
def result(case: PanelCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case_result(case, tmp_path_factory.mktemp("life") / "result")


@pytest.mark.parametrize("path", UI_FILES, ids=lambda path: path.name)
def test_flags_in_ui_files_are_sets(path: Path) -> None:
    """Qt 5 keeps the last key of `<enum>A|B</enum>`; Qt 6 cannot read it."""
    root = ElementTree.parse(path).getroot()  # noqa: S314  our own file

    flags = [one.text for one in root.iter("enum") if "|" in (one.text or "")]

    assert not flags, "write <set> for flags"


def test_a_signal_with_arguments_goes_to_a_function_of_ours() -> None:
    """A C++ slot that takes fewer arguments than its signal has raises under PythonQt."""
    call = re.compile(r"\.connect\(\s*(\S+\(.*?\)\"|\w+),\s*([\w.]+)")
    ours = ("self.on", "self._on", "self.shutdown", "partial")
    found = []
    for path in (MODULE_FILE, *(MODULE_FILE.parent / "FractureSegmentationPanel").rglob("*.py")):
        for signal, slot in call.findall(path.read_text(encoding="utf-8")):
            if not signal.endswith('()"') and not slot.startswith(ours):
                found.append(f"{path.name}: {signal} -> {slot}")
    assert not found


def test_an_effect_that_is_registered_later_is_taken_in(
    host: Host, case: PanelCase, result: Path
) -> None:
    import slicer

    panel = panel_with_result(host, case, result)
    panel.ui.editorCollapsibleButton.collapsed = False
    updates: list[bool] = []
    widget = panel.correct.editor.widget
    real = widget.updateEffectList
    widget.updateEffectList = lambda: (updates.append(True), real())

    slicer.qSlicerSegmentEditorEffectFactory.instance().effectRegistered.emit("Local threshold")

    assert updates == [True]
    assert not host.slot_errors.report()


def test_the_factory_of_effects_forgets_a_panel_that_is_gone(
    host: Host, case: PanelCase, result: Path
) -> None:
    import slicer

    panel = panel_with_result(host, case, result)
    panel.ui.editorCollapsibleButton.collapsed = False
    host.unload_module("FractureSegmentation")
    host.process_events(0.1)

    factory = slicer.qSlicerSegmentEditorEffectFactory.instance()
    factory.effectRegistered.emit("Local threshold")

    assert not host.slot_errors.report()
    assert not factory.disconnect(REGISTERED)


def test_after_a_reload_the_panel_knows_that_it_is_open(host: Host, case: PanelCase) -> None:
    import slicer

    old = open_panel(host)
    old.onReload()
    panel: Any = slicer.modules.FractureSegmentationWidget
    assert panel is not old
    assert panel.isOpen
    assert not old.correct._shortcuts.keys
    if host.window is not None:
        assert panel.correct._shortcuts.keys

    host.close_scene()
    assert panel.parameterNode is not None
    add_ct(host, case)
    host.process_events(0.1)

    assert panel.volume().GetName() == "CT"
    assert panel.ui.segmentButton.enabled


def test_a_panel_outside_the_application_is_not_open(host: Host) -> None:
    import slicer

    open_panel(host)
    from FractureSegmentation import FractureSegmentationWidget

    panel = FractureSegmentationWidget(slicer.qMRMLWidget())

    assert not panel.isOpen


def test_entering_again_and_again_makes_one_connection(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection of the parameter node wrapper is ever taken off its node."""
    host.load_module(MODULE_FILE)
    from FractureSegmentationPanel.logic.parameters import FractureSegmentationParameterNode

    made: list[Any] = []
    real = FractureSegmentationParameterNode.connectParametersToGui

    def connect(self: Any, mapping: Any) -> int:
        made.append(mapping)
        return int(real(self, mapping))

    monkeypatch.setattr(FractureSegmentationParameterNode, "connectParametersToGui", connect)
    for _ in range(10):
        panel = host.open_module("FractureSegmentation")
        host.close_module()

    assert len(made) == 1
    assert set(made[0]) == {
        "inputVolume", "bonesSegmentation", "outputSegmentation", "showsSurfaces", "exportsMoved"
    }  # fmt: skip
    assert panel.logic.getParameterNode() is panel.logic.getParameterNode()


def test_a_closed_scene_is_not_shown_by_widgets_that_are_gone(host: Host, case: PanelCase) -> None:
    panel = open_panel(host)
    node = panel.parameterNode.parameterNode
    add_ct(host, case)
    host.process_events(0.1)
    host.close_scene()
    host.unload_module("FractureSegmentation")
    host.process_events(0.1)

    node.SetParameter("showsSurfaces", "false")
    host.close_scene()
    host.scene.RemoveNode(node)

    assert not host.slot_errors.report()


def test_the_settings_of_a_closed_scene_are_the_defaults_again(host: Host) -> None:
    panel = open_panel(host)
    panel.ui.exportMovedCheckBox.checked = False
    assert not panel.parameterNode.exportsMoved

    host.close_scene()

    assert panel.parameterNode.exportsMoved
    assert panel.ui.exportMovedCheckBox.checked
    panel.ui.exportMovedCheckBox.checked = False
    assert not panel.parameterNode.exportsMoved


@pytest.mark.parametrize("is_open", [True, False])
def test_the_ct_of_a_loaded_scene_is_shown(
    host: Host, case: PanelCase, tmp_path: Path, is_open: bool
) -> None:
    import slicer

    panel = open_panel(host)
    add_ct(host, case, "Pelvis")
    host.process_events(0.1)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    host.close_scene()
    if not is_open:
        host.close_module()

    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    host.open_module("FractureSegmentation")
    host.process_events(0.1)

    assert panel.volume().GetName() == "Pelvis"
    assert panel.ui.inputVolumeSelector.currentNode() is panel.volume()
