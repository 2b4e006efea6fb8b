"""Models are looked at before a run, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from FractureSegmentationPanel.run.command import RunSettings


@pytest.fixture
def problem(host: Any, slot_errors: Any) -> Callable[..., Any]:
    from FractureSegmentationPanel.setup.weights import weights_problem

    return lambda **settings: weights_problem(RunSettings(**settings))


def test_the_shipped_models_are_whole(problem: Callable[..., Any]) -> None:
    assert problem() is None


def test_a_folder_of_one_users_models_comes_first(
    problem: Callable[..., Any], tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))

    assert problem(bones="threshold") is None


def test_a_model_that_is_not_there_is_named(problem: Callable[..., Any], tmp_path: Path) -> None:
    outcome = problem(bones_model=tmp_path)

    assert (outcome.kind, outcome.code) == ("failed", "missing_weights")
    assert outcome.message == "The model bones-coarse is not installed."
    assert outcome.remedy == "Choose another folder under Advanced, or empty it."


def test_models_that_a_run_does_not_use_do_not_matter(
    problem: Callable[..., Any], tmp_path: Path
) -> None:
    assert problem(bones="threshold", bones_model=tmp_path) is None
    assert problem(bones=tmp_path / "bones.nrrd", bones_model=tmp_path) is None


@pytest.fixture
def model(tiny_models: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (tiny_models / "fracsegmentator-small").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def damage_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def lose_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def garble_description(folder: Path) -> None:
    (folder / "model.json").write_text(json.dumps({"schema": "something else"}))


@pytest.mark.parametrize(
    ("happen", "code"),
    [
        (damage_weights, "damaged_weights"),
        (lose_weights, "missing_weights"),
        (garble_description, "damaged_weights"),
    ],
)
def test_a_damaged_model_is_told_before_anything_is_installed(
    problem: Callable[..., Any], model: Path, happen: Callable[[Path], None], code: str
) -> None:
    assert problem(bones="threshold", model=model) is None
    happen(model)

    outcome = problem(bones="threshold", model=model)

    assert outcome.code == code
    assert str(model) not in outcome.text


def test_a_model_without_a_graph_asks_for_pytorch_where_that_is_missing(
    problem: Callable[..., Any], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from FractureSegmentationPanel.setup import weights

    assert problem(bones="threshold", model=model) is None
    monkeypatch.setattr(weights, "missing", lambda requirements: requirements)

    outcome = problem(bones="threshold", model=model)

    assert outcome.code == "missing_weights"
    assert "needs PyTorch" in outcome.message
    assert "under Advanced" in outcome.remedy
    assert problem() is None, "the shipped ones have it"


def test_the_library_would_look_at_the_same_places(host: Any) -> None:
    from FractureSegmentationLib.methods.catalogue import METHODS
    from FractureSegmentationLib.networks import model_folder as library
    from FractureSegmentationLib.pipeline import models
    from FractureSegmentationPanel.setup import weights

    assert weights.SHIPPED_FOLDER == library.SHIPPED_FOLDER
    assert weights.MODELS_VARIABLE == library.MODELS_VARIABLE
    assert {one.name: one.model for one in METHODS} == weights.METHOD_MODELS
    assert (models.COARSE_MODEL, models.FINE_MODEL) == weights.BONE_MODELS


def test_looking_at_models_loads_no_heavy_package(repository: Path) -> None:
    code = (
        "import sys, types\n"
        "i18n = types.ModuleType('slicer.i18n'); i18n.tr = str\n"
        "sys.modules['slicer'] = types.ModuleType('slicer'); sys.modules['slicer.i18n'] = i18n\n"
        "from FractureSegmentationPanel.run import command, events, folder, outcome, tree\n"
        "from FractureSegmentationPanel.setup import weights\n"
        "assert weights.weights_problem(command.RunSettings()) is None\n"
        "print(*sorted({'torch', 'scipy', 'SimpleITK', 'vtk'} & set(sys.modules)))\n"
    )
    places = [str(repository), str(repository / "FractureSegmentation")]
    path = f"import sys; sys.path[:0] = {places!r}\n"

    told = subprocess.run(
        [sys.executable, "-c", path + code], capture_output=True, text=True, check=False
    )

    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == ""
