"""What is missing is installed after consent, or the reason why not is told."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from FractureSegmentationPanel.setup import packages
from FractureSegmentationPanel.setup.packages import (
    HELD_PACKAGES,
    TORCH,
    held_versions,
    is_installed,
    read_requirements,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Slicer:
    """A Slicer whose packages a test decides on; what is asked and done is kept in order."""

    def __init__(self) -> None:
        self.installed: dict[str, str] = {"torch": "2.9.0", "click": "8.1.7"}
        self.done: list[str] = []
        self.answers: list[bool] = []
        self.questions: list[str] = []

    def version(self, name: str) -> str:
        if name not in self.installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return self.installed[name]

    def confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self.answers.pop(0)

    def install(self, requirements: Any, **options: Any) -> None:
        self.done.append(f"pip {requirements} {sorted(options)}")
        for requirement in requirements:
            if not requirement.startswith("-") and "/" not in requirement:
                self.installed[requirement.partition(">=")[0]] = "99.0"


class TorchUtilsLogic:
    """As the extension of 2024: loads PyTorch at the end."""

    slicer: Slicer

    def installTorch(  # noqa: N802  the extension's spelling
        self,
        askConfirmation: bool = False,  # noqa: N803
        torchVersionRequirement: str | None = None,  # noqa: N803
    ) -> Any:
        assert not askConfirmation, "the user has been asked already"
        self.slicer.done.append(f"torch{torchVersionRequirement}")
        self.slicer.installed["torch"] = "2.13.0+cu128"
        import torch

        return torch


@pytest.fixture
def stage(host: Any, slot_errors: Any, monkeypatch: pytest.MonkeyPatch) -> Slicer:
    """Slicer 5.10: without slicer.packaging, with the PyTorch extension."""
    import slicer

    some = Slicer()
    TorchUtilsLogic.slicer = some
    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = TorchUtilsLogic  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setattr(importlib.metadata, "version", some.version)
    monkeypatch.setattr(slicer.util, "pip_install", some.install)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    return some


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text("# comment\nclick>=8.1\n\nsafetensors>=0.4.3  # weights\n")
    return file


@pytest.fixture
def ensure(stage: Slicer, requirements: Path) -> Callable[[], Any]:
    from FractureSegmentationPanel.setup import dependencies

    return lambda: dependencies.ensure(requirements, stage.confirm)


def test_where_everything_is_there_nothing_is_asked(
    stage: Slicer, ensure: Callable[[], Any]
) -> None:
    stage.installed["safetensors"] = "0.4.3"

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

    assert "safetensors>=0.4.3" in stage.questions[0]
    assert "click" not in stage.questions[0]
    (done,) = stage.done
    assert done.startswith("pip ['-c', ")
    assert "'safetensors>=0.4.3'" in done


def test_one_question_covers_packages_and_pytorch(stage: Slicer, ensure: Callable[[], Any]) -> None:
    del stage.installed["torch"]
    stage.answers = [True]

    assert ensure() is None

    assert len(stage.questions) == 1
    assert TORCH in stage.questions[0]
    assert stage.done[1:] == ["torch>=2.4"]


def test_pytorch_is_not_loaded_into_the_application(
    stage: Slicer, ensure: Callable[[], Any]
) -> None:
    del stage.installed["torch"]
    stage.answers = [True]

    assert ensure() is None

    assert "torch" not in sys.modules


def test_pytorch_that_another_extension_has_loaded_stays(
    stage: Slicer, ensure: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = types.ModuleType("torch")
    monkeypatch.setitem(sys.modules, "torch", theirs)
    stage.installed["torch"] = "1.13.1"
    stage.answers = [True]

    assert ensure() is None

    assert sys.modules["torch"] is theirs


def test_a_newer_extension_without_these_options_is_called_without_them(
    stage: Slicer, ensure: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def install_torch(self: Any) -> None:
        stage.installed["torch"] = "2.13.0"
        stage.done.append("torch")

    monkeypatch.setattr(TorchUtilsLogic, "installTorch", install_torch)
    stage.installed = {"click": "8.2", "safetensors": "0.5"}
    stage.answers = [True]

    assert ensure() is None
    assert stage.done == ["torch"]


@pytest.mark.parametrize(
    "error",
    [
        subprocess.CalledProcessError(1, "pip install /secret/path"),
        RuntimeError("no network: /secret/path"),
        OSError(28, "No space left", "/secret/path"),
        ImportError("No module named 'light_the_torch'", name="light_the_torch"),
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

    monkeypatch.setattr(TorchUtilsLogic, "installTorch", fail)
    del stage.installed["torch"]
    stage.answers = [True]

    outcome = ensure()

    assert outcome.code == "installation_failed"
    assert "secret" not in caplog.text + outcome.text
    assert type(error).__name__ in caplog.text
    assert sys.modules.get("torch", "absent") == "absent"


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


# The PyTorch extension


@pytest.fixture
def without_extension(stage: Slicer, host: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delitem(sys.modules, "PyTorchUtils")
    del stage.installed["torch"]
    return host.app.extensionsManagerModel()


def test_without_the_extension_it_is_offered_and_slicer_has_to_be_restarted(
    stage: Slicer, ensure: Callable[[], Any], without_extension: Any
) -> None:
    stage.answers = [True]

    outcome = ensure()

    assert outcome.code == "restart_needed"
    assert "Save your work" in outcome.remedy
    assert without_extension.isExtensionInstalled("PyTorch")
    assert stage.done == [], "nothing else is installed on this occasion"


def test_before_the_restart_it_is_not_offered_again(
    stage: Slicer, ensure: Callable[[], Any], without_extension: Any
) -> None:
    without_extension.installExtensionFromServer("PyTorch", False)

    assert ensure().code == "restart_needed"
    assert stage.questions == []


def test_declining_the_extension_is_told_with_the_way_to_get_it(
    stage: Slicer, ensure: Callable[[], Any], without_extension: Any
) -> None:
    stage.answers = [False]

    outcome = ensure()

    assert outcome.code == "missing_pytorch_extension"
    assert "Extensions Manager" in outcome.remedy
    assert not without_extension.isExtensionInstalled("PyTorch")


def test_a_server_that_cannot_be_reached_is_told(
    stage: Slicer, ensure: Callable[[], Any], without_extension: Any
) -> None:
    without_extension._reachable = False
    stage.answers = [True]

    assert ensure().code == "missing_pytorch_extension"


def test_a_slicer_without_extensions_is_no_crash(
    stage: Slicer,
    ensure: Callable[[], Any],
    without_extension: Any,
    monkeypatch: pytest.MonkeyPatch,
    host: Any,
) -> None:
    monkeypatch.setattr(type(host.app), "extensionsManagerModel", lambda _: None)

    assert ensure().code == "missing_pytorch_extension"
    assert stage.questions == []


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


def test_the_requirements_are_those_of_the_library(repository: Path) -> None:
    """The module's own file and the constant, against pyproject.toml."""
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    declared = set(project["dependencies"])
    file = repository / "FractureSegmentation" / "Resources" / "requirements.txt"
    bundled = {"numpy", "pydicom", "scipy", "SimpleITK", "vtk"}

    asked = {TORCH, *read_requirements(file)}

    assert asked == {one for one in declared if one.partition(">=")[0] not in bundled}
    assert bundled <= set(HELD_PACKAGES)


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


def test_slicers_own_packages_are_held_unless_they_are_builds_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = {"numpy": "2.0.2", "SimpleITK": "2.5.0.dev1+g12ab", "scipy": "1.13.1"}

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(packages.importlib.metadata, "version", version)

    assert held_versions() == "numpy==2.0.2\nscipy==1.13.1\n"
