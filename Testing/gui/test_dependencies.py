"""What is missing is installed after consent, or the reason why not is told."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from FractureSegmentationPanel.setup import packages
from FractureSegmentationPanel.setup.packages import held_versions, is_installed
from Testing.gui.slicer_packages import Slicer, slicer_before_5_12


@pytest.fixture
def stage(host: Any, slot_errors: Any, monkeypatch: pytest.MonkeyPatch) -> Slicer:
    return slicer_before_5_12(monkeypatch)


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text("# comment\nclick>=8.1\n\nonnxruntime>=1.22\nsafetensors>=0.4.3  # weights\n")
    return file


@pytest.fixture
def ensure(stage: Slicer, requirements: Path) -> Callable[[], Any]:
    from FractureSegmentationPanel.setup import dependencies

    return lambda: dependencies.ensure(requirements, stage.confirm)


def test_where_everything_is_there_nothing_is_asked(
    stage: Slicer, ensure: Callable[[], Any]
) -> None:
    stage.installed.update({"onnxruntime": "1.22.0", "safetensors": "0.4.3"})

    assert ensure() is None
    assert stage.questions == []
    assert stage.done == []


def test_declining_changes_nothing(stage: Slicer, ensure: Callable[[], Any]) -> None:
    stage.answers = [False]

    outcome = ensure()

    assert (outcome.kind, outcome.code) == ("failed", "declined")
    assert "Segment again" in outcome.remedy
    assert stage.done == []


def test_after_consent_only_what_is_missing_is_installed(
    stage: Slicer, ensure: Callable[[], Any]
) -> None:
    stage.answers = [True]

    assert ensure() is None

    (question,) = stage.questions
    assert "onnxruntime>=1.22 (29 MB)\nsafetensors>=0.4.3 (1 MB)" in question
    assert "At most 30 MB" in question
    assert not {"click", "torch"} & set(re.findall(r"\w+", question))
    (done,) = stage.done
    assert done.startswith("pip ['-c', ")
    assert "'onnxruntime>=1.22', 'safetensors>=0.4.3']" in done


def test_pytorch_is_neither_asked_for_nor_needed(
    stage: Slicer, ensure: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "PyTorchUtils")
    stage.answers = [True]

    assert ensure() is None

    assert "torch" not in stage.installed


def test_where_pytorch_is_there_the_other_engine_is_not_installed(
    stage: Slicer, ensure: Callable[[], Any]
) -> None:
    stage.installed.update({"torch": "2.9.0+cu128", "safetensors": "0.4.3"})

    assert ensure() is None
    assert stage.questions == []


def test_a_pytorch_that_is_too_old_does_not_count(stage: Slicer, ensure: Callable[[], Any]) -> None:
    stage.installed.update({"torch": "1.13.1", "safetensors": "0.4.3"})
    stage.answers = [True]

    assert ensure() is None
    assert "onnxruntime" in stage.installed


def test_no_dialog_opens_under_an_hourglass(
    stage: Slicer, requirements: Path, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host looks at the question; the installation of Slicer 5.10 shows nothing but that."""
    import qt
    import slicer

    from FractureSegmentationPanel.setup import dependencies

    cursors: list[Any] = []

    def install(requirements: Any) -> None:
        cursors.append(qt.QApplication.overrideCursor())
        stage.install(requirements)

    monkeypatch.setattr(slicer.util, "pip_install", install)
    host.dialogs.answer("ok")

    assert dependencies.ensure(requirements) is None

    assert len(host.dialogs.shown) == 1
    assert cursors[0] is not None
    assert qt.QApplication.overrideCursor() is None


@pytest.mark.parametrize(
    "error",
    [
        subprocess.CalledProcessError(1, "pip install /secret/path"),
        RuntimeError("no network: /secret/path"),
        OSError(28, "No space left", "/secret/path"),
        ImportError("No module named 'pip'", name="pip"),
    ],
)
def test_an_installation_that_fails_is_told_without_a_path(
    stage: Slicer,
    ensure: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    import slicer

    monkeypatch.setattr(slicer.util, "pip_install", fail)
    stage.answers = [True]

    outcome = ensure()

    assert outcome.code == "installation_failed"
    assert "secret" not in caplog.text + outcome.text
    assert type(error).__name__ in caplog.text


def test_an_installer_that_installs_nothing_is_noticed(
    stage: Slicer, ensure: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    monkeypatch.setattr(slicer.util, "pip_install", lambda *_: None)
    stage.answers = [True]

    assert ensure().code == "installation_failed"


def test_in_testing_mode_nothing_is_installed(
    stage: Slicer, ensure: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, host: Any
) -> None:
    """There every question counts as answered with yes."""
    monkeypatch.setattr(type(host.app), "testingEnabled", lambda _: True)

    assert ensure().code == "missing_packages"
    assert stage.questions == []
    assert stage.done == []


def test_slicers_own_dialog_asks_where_no_other_is_given(
    stage: Slicer, requirements: Path, host: Any
) -> None:
    from FractureSegmentationPanel.setup import dependencies

    host.dialogs.answer("cancel")

    assert dependencies.ensure(requirements).code == "declined"
    assert "safetensors>=0.4.3" in host.dialogs.texts[0]


# Slicer 5.12 and later


def test_slicers_own_installer_is_used_where_it_exists(
    host: Any, slot_errors: Any, requirements: Path
) -> None:
    from FractureSegmentationPanel.setup import dependencies

    host.pip.missing = {"safetensors"}
    questions: list[str] = []

    def confirm(question: str) -> bool:
        questions.append(question)
        return True

    assert dependencies.ensure(requirements, confirm) is None

    assert host.pip.installed == ["safetensors>=0.4.3"]
    assert len(questions) == 1
    assert host.dialogs.shown == [], "the user is not asked twice"


def test_its_failure_is_told(host: Any, slot_errors: Any, requirements: Path) -> None:
    from FractureSegmentationPanel.setup import dependencies

    host.pip.missing = {"click"}
    host.pip.failure = subprocess.CalledProcessError(1, "pip")

    assert dependencies.ensure(requirements, lambda _: True).code == "installation_failed"


# Requirements


@pytest.mark.parametrize(
    ("version", "requirement", "is_enough"),
    [
        ("2.4", "torch>=2.4", True),
        ("2.4.0", "torch>=2.4", True),
        ("2.13.0+cu128", "torch>=2.4", True),
        ("2.3.9", "torch>=2.4", False),
        ("10.0", "torch>=2.4", True),
        ("2.4.0rc1", "torch>=2.4.1", False),
        ("0.1", "torch", True),
        ("", "torch", False),
        (None, "torch", False),
    ],
)
def test_versions_are_compared_number_by_number(
    monkeypatch: pytest.MonkeyPatch, version: str | None, requirement: str, is_enough: bool
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)

    assert is_installed(requirement) is is_enough


@pytest.mark.parametrize("requirement", ["torch==2.4", "torch<3", "torch[cpu]", "-r other.txt", ""])
def test_other_requirements_are_the_programmers_mistake(requirement: str) -> None:
    with pytest.raises(ValueError, match="understood"):
        is_installed(requirement)


class Distribution:
    """An installed package, as far as its metadata is looked at."""

    def __init__(self, name: str | None, version: str | None) -> None:
        self.metadata = {"Name": name}
        self.version = version


def test_all_that_is_installed_is_held_unless_it_is_asked_for_or_of_a_build_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [
        Distribution("numpy", "2.0.2"),
        Distribution("SimpleITK", "2.5.0.dev1+g12ab"),
        Distribution("Typing_Extensions", "4.15.0"),
        Distribution("click", "7.1"),
        Distribution("numpy", "1.26.0"),
        Distribution(None, None),
    ]
    monkeypatch.setattr(packages.importlib.metadata, "distributions", lambda: iter(found))

    assert held_versions(("click>=8.1",)) == "numpy==2.0.2\ntyping-extensions==4.15.0\n"
