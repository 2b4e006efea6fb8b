"""What the child is given, and the real command line in its place."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.gui.fake_child import fake_command
from Testing.gui.job_runs import Runs, Told, folder_with_ct, handlers_of, running
from Testing.tiny_cases import write_tiny_case


@pytest.fixture
def runs(
    host: Any, slot_errors: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runs]:
    yield from running(host, tmp_path, monkeypatch)


@pytest.fixture
def folder(runs: Runs) -> Any:
    return folder_with_ct()


def test_the_child_runs_in_its_folder_and_can_put_a_result_there(
    runs: Runs, folder: Any, tmp_path: Path
) -> None:
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    (prepared / "report.json").write_text("{}")
    found: list[list[str]] = []

    def finished(outcome: Any) -> None:
        found.append(sorted(path.name for path in folder.result.iterdir()))

    steps = f"started,copy={prepared},result"
    command = fake_command(steps, "segment", str(folder.ct), str(folder.result))
    runs.job.start(command, handlers_of(Told(), finished), folder)
    runs.spin(lambda: found)

    assert found == [["report.json"]]


def test_the_path_of_the_working_folder_is_in_no_log(runs: Runs, folder: Any) -> None:
    told = runs.start(fake_command(f"started,log=Reading {folder.ct},result"), folder)
    runs.spin(lambda: told.outcomes)

    assert told.log == [f"Reading [...]{os.sep}ct.nrrd"]


@pytest.fixture
def python_slicer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A launcher on the path, as in Slicer; only the panel knows where the library is."""
    if shutil.which("sh") is None:
        pytest.skip("there is no shell to stand for PythonSlicer")
    program = tmp_path / "bin" / "PythonSlicer"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return program


@pytest.fixture
def real_command(
    python_slicer: Path, folder: Any, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The command for a cube of bone, its mask and a network of a few weights."""
    from FractureSegmentationLib.io.read import read_ct, read_labels
    from FractureSegmentationLib.io.sitk import write_volume
    from FractureSegmentationPanel.run.command import RunSettings, segment_command

    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))
    made = write_tiny_case(folder.path / "made")
    write_volume(folder.ct, read_ct(made).volume)
    write_volume(folder.bones, read_labels(made.with_name("bones.nii.gz")))
    settings = RunSettings(bones=folder.bones, only=("left_hip",), device="cpu")
    return segment_command(folder.ct, folder.result, settings)


def test_the_real_command_line_segments_a_ct(
    runs: Runs, folder: Any, real_command: list[str], python_slicer: Path
) -> None:
    told, found = Told(), set[str]()

    def finished(outcome: Any) -> None:
        told.outcomes.append(outcome)
        found.update(path.name for path in folder.result.iterdir())

    runs.job.start(real_command, handlers_of(told, finished), folder)
    runs.spin(lambda: told.outcomes, 100.0)

    assert real_command[0] == str(python_slicer)
    assert told.outcome.kind == "done", (told.outcome, told.log)
    assert told.outcome.result["fragment_count"] >= 1
    assert {"fragments.seg.nrrd", "contact.nrrd", "report.json"} <= found
    assert "meshes" not in found
    assert told.progress[-1][:2] == ("write", 1.0)
    assert not folder.path.exists()


def test_the_real_command_line_heeds_cancel(
    runs: Runs, folder: Any, real_command: list[str]
) -> None:
    told = runs.start(real_command, folder)
    runs.spin(lambda: told.progress, 100.0)

    runs.job.cancel()
    runs.spin(lambda: told.outcomes)

    assert told.outcome.kind == "cancelled"
    assert told.folder_stood == [True]
    assert not folder.path.exists()


def test_the_real_command_line_says_what_is_wrong(
    runs: Runs, folder: Any, python_slicer: Path
) -> None:
    """The CT is none."""
    from FractureSegmentationPanel.run.command import RunSettings, segment_command

    command = segment_command(folder.ct, folder.result, RunSettings(device="cpu"))
    told = runs.start(command, folder)
    runs.spin(lambda: told.outcomes, 100.0)

    assert (told.outcome.kind, told.outcome.code) == ("failed", "bad_input"), told.log
    assert told.outcome.message
