"""The command line and the environment of the child, in each way the library can be installed."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import FractureSegmentationLib
from FractureSegmentationPanel.run import command as job_command
from FractureSegmentationPanel.run.command import (
    RunSettings,
    child_environment,
    python_executable,
    segment_command,
)


def make_program(folder: Path, name: str) -> Path:
    program = folder / (f"{name}.bat" if os.name == "nt" else name)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_slicers_own_python_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = make_program(tmp_path, "PythonSlicer")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert Path(python_executable()) == program


def test_outside_slicer_it_is_the_python_that_runs_this(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert python_executable() == sys.executable


def test_slicer_is_never_started_in_place_of_its_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/opt/Slicer/bin/SlicerApp-real")

    with pytest.raises(FileNotFoundError):
        python_executable()


def test_the_plain_command_asks_for_events_and_watches_its_parent() -> None:
    command = segment_command(Path("/w/ct.nrrd"), Path("/w/result"), RunSettings())

    assert command[1:7] == [
        "-u",
        "-m",
        "FractureSegmentationLib.cli.main",
        "segment",
        *command[5:7],
    ]
    assert [Path(text) for text in command[5:7]] == [Path("/w/ct.nrrd"), Path("/w/result")]
    assert command[-3:] == ["--progress", "json", "--parent-pipe"]
    assert command[command.index("--engine") + 1] == "auto"
    assert "--low-priority" in command
    assert "--only" not in command
    assert "--model" not in command


def test_every_setting_reaches_the_command() -> None:
    settings = RunSettings(
        bones=Path("/w/bones.nrrd"),
        only=("left_hip", "sacrum"),
        model=Path("/m o d/fragments"),
        bones_model=Path("/m o d/bones"),
        device="cuda:1",
    )

    command = segment_command(Path("/w/ct.nrrd"), Path("/w/result"), settings)

    options = dict(itertools.pairwise(command))
    assert Path(options["--bones"]) == Path("/w/bones.nrrd")
    assert options["--only"] == "left_hip,sacrum"
    assert options["--method"] == "fracsegmentator"
    assert Path(options["--model"]) == Path("/m o d/fragments")
    assert Path(options["--bones-model"]) == Path("/m o d/bones")
    assert options["--device"] == "cuda:1"


def test_the_command_line_accepts_the_command() -> None:
    """Read by the real option parser, up to the file that is not there.

    Without the last option: the end of this test's stdin would end the test.
    """
    from click.testing import CliRunner

    from FractureSegmentationLib.cli.main import fracseg

    settings = RunSettings(only=("left_hip",), device="cpu")
    command = segment_command(Path("/missing/ct.nrrd"), Path("/missing/out"), settings)
    start = command.index("segment")

    told = CliRunner().invoke(fracseg, command[start:-1])

    assert '"event": "started"' in told.output
    assert '"code": "bad_input"' in told.output


def test_the_librarys_place_is_handed_on_after_what_was_there() -> None:
    root = str(Path(FractureSegmentationLib.__file__).resolve().parent.parent)

    added = child_environment({"PYTHONPATH": os.pathsep.join(["/a", "/b"])}, "m")

    assert added["PYTHONPATH"] == os.pathsep.join(["/a", "/b", root])
    assert added["FRACSEG_RUN"] == "m"


def test_a_place_that_is_known_is_not_added_twice() -> None:
    root = str(Path(FractureSegmentationLib.__file__).resolve().parent.parent)

    assert "PYTHONPATH" not in child_environment({"PYTHONPATH": root}, "m")


def test_a_library_among_the_installed_packages_needs_no_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = Path(sysconfig.get_path("purelib")) / "FractureSegmentationLib" / "__init__.py"
    monkeypatch.setattr(job_command.FractureSegmentationLib, "__file__", str(package))

    assert "PYTHONPATH" not in child_environment({}, "m")


@pytest.mark.parametrize("layout", ["installed beside the module", "source tree"])
def test_the_child_finds_the_library_that_only_the_module_knows(
    tmp_path: Path, repository: Path, layout: str
) -> None:
    """The module's folder alone is on the path of the parent; the child starts elsewhere."""
    if layout == "source tree":
        root, module_folder = repository, repository / "FractureSegmentation"
    else:
        root = module_folder = tmp_path / "qt-scripted-modules"
        root.mkdir()
        for source in (
            repository / "FractureSegmentationLib",
            repository / "FractureSegmentation" / "FractureSegmentationPanel",
        ):
            (root / source.name).symlink_to(source, target_is_directory=True)
    code = (
        f"import sys; sys.path[:0] = [{str(module_folder)!r}, {str(root)!r}]\n"
        "import os, subprocess\n"
        "from FractureSegmentationPanel.run.command import child_environment\n"
        "environment = {**os.environ, **child_environment(os.environ, 'm')}\n"
        "command = [sys.executable, '-m', 'FractureSegmentationLib.cli.main', '--version']\n"
        "sys.exit(subprocess.run(command, env=environment).returncode)\n"
    )
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"fracseg, version {FractureSegmentationLib.__version__}"


def test_a_file_in_the_childs_folder_is_not_imported_in_place_of_a_package(
    tmp_path: Path,
) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('the wrong click')\n")
    environment = {**os.environ, **child_environment(os.environ, "m")}

    done = subprocess.run(
        [sys.executable, "-m", "FractureSegmentationLib.cli.main", "--version"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    if sys.version_info >= (3, 11):
        assert "the wrong click" not in done.stderr
        assert done.returncode == 0
