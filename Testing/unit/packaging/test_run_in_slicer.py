"""The command that runs the self tests in a downloaded Slicer, with a program that plays Slicer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from Testing.slicer.run_in_slicer import self_tests

PLAYED = """#!{python}
import json, pathlib, sys
log = pathlib.Path(__file__).with_name("calls.jsonl")
with log.open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
sys.exit(1 if "'{failing}'" in sys.argv[-1] else 0)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script is no program here")


def played_slicer(folder: Path, failing: str = "none") -> Path:
    program = folder / "Slicer"
    program.write_text(PLAYED.format(python=sys.executable, failing=failing), encoding="utf-8")
    program.chmod(0o755)
    return program


def run_tests(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(repository / "Testing/slicer/run_in_slicer.py"), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def calls(slicer: Path) -> list[list[str]]:
    lines = slicer.with_name("calls.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_self_test_is_run_once(repository: Path, tmp_path: Path) -> None:
    slicer = played_slicer(tmp_path)
    files = {file.stem for file in (repository / "Testing/slicer").glob("FractureSegmentation*.py")}

    done = run_tests(repository, slicer)

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all passed\n")
    assert len(calls(slicer)) == len(files) + 1
    assert {test.name for test in self_tests()} == {"FractureSegmentation", *files}


def test_the_module_is_found_and_the_settings_of_the_user_are_not_used(
    repository: Path, tmp_path: Path
) -> None:
    slicer = played_slicer(tmp_path)

    run_tests(repository, slicer, "FractureSegmentation")

    [call] = calls(slicer)
    assert {"--testing", "--disable-settings", "--ignore-slicerrc"} <= set(call)
    folder = call[call.index("--additional-module-paths") + 1]
    assert Path(folder) == repository / "FractureSegmentation"
    compile(call[-1], "--python-code", "exec")


def test_scripting_is_tested_without_a_main_window(repository: Path, tmp_path: Path) -> None:
    slicer = played_slicer(tmp_path)

    run_tests(repository, slicer)

    without = [call[-1] for call in calls(slicer) if "--no-main-window" in call]
    assert len(without) == 1
    assert "FractureSegmentationScripting" in without[0]


def test_a_failing_self_test_is_named_and_fails_the_command(
    repository: Path, tmp_path: Path
) -> None:
    slicer = played_slicer(tmp_path, failing="FractureSegmentationScene")

    done = run_tests(repository, slicer)

    assert done.returncode == 1
    assert done.stdout.endswith("failed: FractureSegmentationScene\n")
    assert len(calls(slicer)) == len(self_tests())


def test_an_unknown_name_or_no_slicer_is_bad_usage(repository: Path, tmp_path: Path) -> None:
    assert run_tests(repository).returncode == 2
    assert run_tests(repository, played_slicer(tmp_path), "Nonsense").returncode == 2
