"""A scripted module in the host: loading, opening, closing, reloading, and leaving no trace."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.gui.host.host import Host

DEMO = Path(__file__).parent / "host" / "demo" / "HostDemo.py"


@pytest.fixture
def module(host: Host) -> Any:
    return host.load_module(DEMO)


@pytest.fixture
def panel(host: Host, module: Any) -> Any:
    return host.open_module("HostDemo")


def add_volume(name: str = "CT") -> Any:
    import numpy as np
    import slicer

    node = slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16))
    node.SetName(name)
    return node


def test_only_the_modules_folder_is_importable_and_comes_last(host: Host) -> None:
    before = list(sys.path)

    host.load_module(DEMO)

    assert sys.path == [*before, str(DEMO.parent)]
    assert "HostDemoParts.greeting" in sys.modules


def test_the_module_is_found_where_scripts_look(host: Host, module: Any) -> None:
    import slicer

    assert slicer.modules.hostdemo is module
    assert slicer.app.moduleManager().module("HostDemo") is module
    assert slicer.util.modulePath("HostDemo") == str(DEMO)
    assert slicer.moduleNames.HostDemo == "HostDemo"
    assert module.title == "Host demo"
    assert module.categories == ["Examples"]


def test_startup_is_completed_once_for_each_load(host: Host, module: Any) -> None:
    import slicer

    assert slicer.modules.HostDemoInstance.startups == 1


def test_the_panel_is_built_when_it_is_opened_first(host: Host, module: Any) -> None:
    import slicer

    assert not hasattr(slicer.modules, "HostDemoWidget")

    panel = host.open_module("HostDemo")

    assert slicer.modules.HostDemoWidget is panel
    assert slicer.util.getModuleWidget("HostDemo") is panel
    assert panel.parent.isEntered


def test_enter_and_exit_follow_the_open_module(host: Host, panel: Any) -> None:
    host.close_module()
    host.open_module("HostDemo")
    host.open_module("HostDemo")

    assert panel.events == ["enter", "exit", "enter"]


def test_a_click_reaches_the_module(panel: Any) -> None:
    add_volume()
    panel.ui.volumeSelector.setCurrentNodeIndex(0)
    assert panel.ui.applyButton.enabled

    panel.ui.applyButton.click()

    assert panel.ui.statusLabel.text == "done"


def test_a_failing_slot_is_noticed(host: Host, panel: Any) -> None:
    panel.ui.failButton.click()

    assert "the slot failed" in host.slot_errors.report()
    host.slot_errors.clear()


def test_closing_the_scene_resets_the_parameters(host: Host, panel: Any) -> None:
    panel.parameters.inputVolume = add_volume()
    panel.parameters.note = "old case"

    host.close_scene()

    assert panel.parameters.note == ""
    assert panel.ui.noteLine.text == ""
    assert panel.ui.volumeSelector.currentNode() is None
    assert not panel.ui.applyButton.enabled


def test_a_hidden_panel_waits_until_it_is_entered_again(host: Host, panel: Any) -> None:
    host.close_module()

    host.close_scene()

    assert panel.parameters is None


def test_reload_runs_the_file_again(host: Host, panel: Any) -> None:
    import slicer

    host.close_module()
    host.open_module("HostDemo")

    panel.onReload()

    fresh = slicer.modules.HostDemoWidget
    assert fresh is not panel
    assert type(fresh) is not type(panel)
    assert panel.events[-1] == "cleanup"
    assert fresh.parent is panel.parent
    assert fresh.parent.isEntered
    assert fresh.events == []
    assert slicer.util.getModuleWidget("HostDemo") is fresh


def test_without_a_main_window_the_panel_still_works(host: Host, module: Any) -> None:
    import slicer

    with host.without_main_window():
        assert slicer.util.mainWindow() is None
        assert slicer.app.layoutManager() is None
        widget = slicer.util.getNewModuleWidget("HostDemo")
        assert widget.ui.applyButton is not None
        widget.cleanup()

    if host.window is not None:
        assert slicer.util.mainWindow() is host.window


def test_a_scene_comes_back_from_a_bundle(host: Host, panel: Any, tmp_path: Path) -> None:
    import slicer

    volume = add_volume("Pelvis")
    panel.parameters.inputVolume = volume
    panel.parameters.threshold = 250.0
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    host.close_scene()
    assert panel.parameters.threshold == 1.0

    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.initialize()

    assert panel.ui.thresholdSlider.value == 250.0
    assert panel.ui.volumeSelector.currentNode().GetName() == "Pelvis"


class OtherScene:
    """What another test of this process puts under the same names."""


@pytest.fixture
def other(host: Host) -> Iterator[OtherScene]:
    import slicer

    host.leave()
    marker = OtherScene()
    slicer.mrmlScene = slicer.modules = slicer.app = marker
    sys.modules["qt"] = marker
    yield marker
    del slicer.mrmlScene, slicer.modules, slicer.app, sys.modules["qt"]


def test_what_others_put_into_slicer_comes_back(host: Host, other: OtherScene) -> None:
    import slicer

    host.enter()
    assert slicer.mrmlScene is host.scene
    assert sys.modules["qt"] is not other
    host.leave()

    assert slicer.mrmlScene is slicer.modules is slicer.app is other
    assert sys.modules["qt"] is other


def test_leaving_takes_back_all_names_and_files(host: Host) -> None:
    import slicer

    host.leave()
    names, path, hook = set(vars(slicer)), list(sys.path), sys.excepthook
    host.enter()
    host.load_module(DEMO)
    host.open_module("HostDemo")
    host.leave()

    assert set(vars(slicer)) == names
    assert sys.path == path
    assert sys.excepthook is hook
    assert not {"qt", "ctk", "HostDemo", "HostDemoParts", "slicer.i18n"} & set(sys.modules)


def test_a_package_that_a_module_reloads_is_given_back(host: Host, tmp_path: Path) -> None:
    package = tmp_path / "reloaded_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "early.py").write_text("")
    (package / "late.py").write_text("")
    host.leave()
    sys.path.append(str(tmp_path))
    import reloaded_package.early as original

    host.enter()
    for name in ("reloaded_package.early", "reloaded_package"):
        del sys.modules[name]
    import reloaded_package.late

    assert sys.modules["reloaded_package"] is reloaded_package
    host.leave()

    try:
        assert sys.modules["reloaded_package.early"] is original
        assert "reloaded_package.late" not in sys.modules
        assert not hasattr(sys.modules["reloaded_package"], "late")
    finally:
        sys.path.remove(str(tmp_path))
        for name in ("reloaded_package.early", "reloaded_package"):
            del sys.modules[name]
