"""The command line as a whole: lists, loads, refuses, and leaves with the right status."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from FractureSegmentationLib.cli import main as module
from FractureSegmentationLib.cli.main import COMMANDS, LazyGroup, fracseg, main, run
from FractureSegmentationLib.errors import (
    DamagedWeightsError,
    FracSegError,
    InputError,
    NoBoneError,
    RunCancelledError,
)


def a_failing_command(error: BaseException) -> click.Command:
    @click.command()
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FracSegError("A.", "B."), 1),
        (InputError("A.", "B."), 2),
        (NoBoneError("A.", "B."), 3),
        (DamagedWeightsError("A.", "B."), 4),
        (RunCancelledError("A.", "B."), 130),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("patient JOHN"), 1),
        (click.UsageError("wrong"), 2),
    ],
)
def test_every_failure_has_its_exit_status_and_no_traceback(
    error: BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: a_failing_command(error))
    assert run(["fail"]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert "JOHN" not in printed.err
    if isinstance(error, FracSegError):
        assert printed.err == "Error: A. B.\n"


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["magic"]) == 2
    assert "magic" in capsys.readouterr().err


def test_help_lists_every_command_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["--help"])
    assert leaving.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, entry in COMMANDS.items():
        assert f"{name} {entry.summary}" in text


@pytest.mark.parametrize("name", ["segment", "info"])
def test_every_command_loads_and_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0
    assert "Usage: fracseg" in capsys.readouterr().out


def test_a_command_of_an_installed_package_is_found_by_its_entry_point(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    point = importlib.metadata.EntryPoint("extra", "click:Command", module.TRAINING_GROUP)

    class Loadable:
        name = "extra"

        def load(self) -> click.Command:
            return click.Command("extra", callback=lambda: click.echo("ran"))

    assert point.group == module.TRAINING_GROUP
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [Loadable()])
    assert run(["extra"]) == 0
    assert capsys.readouterr().out == "ran\n"
    assert "extra" in fracseg.list_commands(click.Context(fracseg))


LEAVING = """
import atexit, sys
from FractureSegmentationLib.cli import main

class Library:
    def __del__(self):
        sys.stderr.write("unloaded. ")
        sys.stderr.flush()

loaded = Library()

def run(args):
    atexit.register(lambda: sys.stderr.write("cleaned up. "))
    sys.stdout.write("told.")
    return STATUS

main.run = run
main.main([])
"""


@pytest.mark.parametrize(("status", "told"), [(130, "cleaned up. "), (0, "cleaned up. unloaded. ")])
def test_a_cancelled_process_ends_without_unloading_what_is_loaded(
    repository: Path, status: int, told: str
) -> None:
    process = subprocess.run(
        [sys.executable, "-c", LEAVING.replace("STATUS", str(status))],
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert process.returncode == status
    assert process.stdout == "told."
    assert process.stderr == told
