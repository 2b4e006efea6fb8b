"""PyTorch is offered, asked about once, and never a condition of a run."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Testing.gui.panel_case import make_case
from Testing.gui.panel_case_steps import add_ct, click, let_child_do, open_panel, run_to_end
from Testing.gui.slicer_packages import Slicer, TorchUtilsLogic, slicer_before_5_12


@pytest.fixture
def stage(host: Any, slot_errors: Any, monkeypatch: pytest.MonkeyPatch) -> Slicer:
    return slicer_before_5_12(monkeypatch)


@pytest.fixture
def install(stage: Slicer) -> Callable[[], Any]:
    from FractureSegmentationPanel.setup.pytorch import install_pytorch

    return lambda: install_pytorch(stage.confirm)


def test_where_it_is_there_nothing_is_asked(stage: Slicer, install: Callable[[], Any]) -> None:
    stage.installed["torch"] = "2.9.0"

    assert install() is None
    assert stage.questions == []


def test_one_question_tells_what_it_is_good_for_and_how_large_it_is(
    stage: Slicer, install: Callable[[], Any]
) -> None:
    stage.answers = [True]

    assert install() is None

    (question,) = stage.questions
    assert "NVIDIA" in question
    assert "3 GB" in question
    assert stage.done == ["torch>=2.4"]


def test_declining_changes_nothing(stage: Slicer, install: Callable[[], Any]) -> None:
    stage.answers = [False]

    outcome = install()

    assert outcome.code == "declined"
    assert "works without it" in outcome.text
    assert stage.done == []


def test_it_is_not_loaded_into_the_application(stage: Slicer, install: Callable[[], Any]) -> None:
    stage.answers = [True]

    assert install() is None

    assert "torch" not in sys.modules


def test_what_another_extension_has_loaded_stays(
    stage: Slicer, install: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = types.ModuleType("torch")
    monkeypatch.setitem(sys.modules, "torch", theirs)
    stage.installed["torch"] = "1.13.1"
    stage.answers = [True]

    assert install() is None

    assert sys.modules["torch"] is theirs


def test_a_newer_extension_without_these_options_is_called_without_them(
    stage: Slicer, install: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def install_torch(self: Any) -> None:
        stage.installed["torch"] = "2.13.0"
        stage.done.append("torch")

    monkeypatch.setattr(TorchUtilsLogic, "installTorch", install_torch)
    stage.answers = [True]

    assert install() is None
    assert stage.done == ["torch"]


@pytest.mark.parametrize(
    "error",
    [
        subprocess.CalledProcessError(1, "pip install /secret/path"),
        OSError(28, "No space left", "/secret/path"),
        ImportError("No module named 'light_the_torch'", name="light_the_torch"),
    ],
)
def test_an_installation_that_fails_is_told_without_a_path(
    stage: Slicer,
    install: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(TorchUtilsLogic, "installTorch", fail)
    stage.answers = [True]

    outcome = install()

    assert outcome.code == "installation_failed"
    assert "secret" not in caplog.text + outcome.text
    assert type(error).__name__ in caplog.text
    assert sys.modules.get("torch", "absent") == "absent"


def test_in_testing_mode_nothing_is_installed(
    stage: Slicer, install: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, host: Any
) -> None:
    monkeypatch.setattr(type(host.app), "testingEnabled", lambda _: True)

    assert install().code == "missing_packages"
    assert stage.questions == stage.done == []


# The PyTorch extension


@pytest.fixture
def without_extension(stage: Slicer, host: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delitem(sys.modules, "PyTorchUtils")
    return host.app.extensionsManagerModel()


def test_without_the_extension_it_comes_first_and_slicer_has_to_be_restarted(
    stage: Slicer, install: Callable[[], Any], without_extension: Any, host: Any
) -> None:
    stage.answers = [True]

    outcome = install()

    assert outcome.code == "restart_needed"
    assert "Save your work" in outcome.remedy
    assert without_extension.isExtensionInstalled("PyTorch")
    assert without_extension.interactive, "as it was before"
    assert len(stage.questions) == 1
    assert host.dialogs.shown == [], "the extensions manager does not ask again"
    assert stage.done == [], "nothing else is installed on this occasion"


def test_before_the_restart_it_is_not_offered_again(
    stage: Slicer, install: Callable[[], Any], without_extension: Any
) -> None:
    without_extension.interactive = False
    without_extension.installExtensionFromServer("PyTorch", False)

    assert install().code == "restart_needed"
    assert stage.questions == []


def test_a_server_that_cannot_be_reached_is_told_with_the_way_to_get_it(
    stage: Slicer, install: Callable[[], Any], without_extension: Any
) -> None:
    without_extension._reachable = False
    stage.answers = [True]

    outcome = install()

    assert outcome.code == "missing_pytorch_extension"
    assert "Extensions Manager" in outcome.remedy


def test_a_slicer_without_extensions_is_no_crash(
    stage: Slicer,
    install: Callable[[], Any],
    without_extension: Any,
    monkeypatch: pytest.MonkeyPatch,
    host: Any,
) -> None:
    monkeypatch.setattr(type(host.app), "extensionsManagerModel", lambda _: None)

    assert install().code == "missing_pytorch_extension"
    assert stage.questions == []


# The panel


@pytest.fixture
def panel(stage: Slicer, host: Any) -> Any:
    panel = open_panel(host)
    add_ct(host, make_case())
    host.process_events(0.05)
    return panel


def message(panel: Any) -> str:
    return str(panel.ui.runMessageLabel.text)


def test_the_panel_offers_it_until_it_is_there(stage: Slicer, panel: Any, host: Any) -> None:
    assert not panel.ui.pytorchButton.isHidden()
    host.dialogs.answer("ok")

    click(host, panel.ui.pytorchButton)

    assert message(panel) == "PyTorch is installed. The next segmentation uses it."
    assert panel.ui.pytorchButton.isHidden()


def test_the_user_is_asked_once_from_the_extension_to_pytorch(
    stage: Slicer, panel: Any, host: Any, without_extension: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.dialogs.answer("ok")

    click(host, panel.ui.pytorchButton)
    assert "restart Slicer" in message(panel)
    assert not panel.ui.pytorchButton.isHidden()

    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = TorchUtilsLogic  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)  # after the restart
    click(host, panel.ui.pytorchButton)

    assert stage.done == ["torch>=2.4"]
    assert len(host.dialogs.shown) == 1


def test_what_was_declined_is_asked_again_when_it_is_clicked_again(
    stage: Slicer, panel: Any, host: Any
) -> None:
    host.dialogs.answer("cancel", "ok")

    click(host, panel.ui.pytorchButton)
    assert "works without it" in message(panel)
    click(host, panel.ui.pytorchButton)

    assert stage.done == ["torch>=2.4"]


def test_a_first_run_asks_for_the_small_packages_alone(
    stage: Slicer, panel: Any, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = let_child_do(monkeypatch, "started,error=no_bone")
    host.dialogs.answer("ok")

    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)

    assert len(asked) == 1
    (question,) = host.dialogs.texts
    assert "onnxruntime" in question
    assert "torch" not in question.lower()


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_graphics_card_without_pytorch_is_explained_before_anything_is_installed(
    stage: Slicer, panel: Any, host: Any, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    asked = let_child_do(monkeypatch, "started,hang")
    panel.ui.deviceComboBox.setCurrentIndex(panel.ui.deviceComboBox.findData(device))

    click(host, panel.ui.segmentButton)

    assert "install PyTorch under Advanced" in message(panel)
    assert not asked
    assert stage.done == []


def test_a_whole_run_by_the_command_line_needs_no_pytorch(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    from FractureSegmentationLib.mrml.nodes import REPORT, object_of

    pytest.importorskip("onnxruntime")
    broken = tmp_path / "path" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('absent')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    case = make_case()
    panel = open_panel(host)
    volume = add_ct(host, case)
    bones = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bones")
    bones.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = bones.GetSegmentation().AddEmptySegment("", "left hip")
    hip = (case.labels.voxels > 50).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(hip, bones, segment_id, volume)
    panel.parameterNode.bonesSegmentation = bones
    host.process_events(0.1)

    click(host, panel.ui.segmentButton)
    run_to_end(host, panel, seconds=200.0)

    assert message(panel).startswith("Done"), panel.ui.logTextEdit.plainText
    report = object_of(panel.segmentation(), REPORT)
    assert report["engine"]["name"] == "onnxruntime"
