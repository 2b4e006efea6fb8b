"""`kill -9` at every stage of a run: nothing half is ever seen, and the next start tidies up."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path

import pytest

from Testing.integration.fault_shell import Case, FaultyShell, snapshot_of

PIPELINE = "FractureSegmentationLib.pipeline.segment"
PLACES = {
    "reading": f"call {PIPELINE}:read_ct",
    "bones": f"call {PIPELINE}:find_bones",
    "the network": "call FractureSegmentationLib.networks.tpc_net:TPCNet.forward",
    "recovery": "call FractureSegmentationLib.pipeline.fragments:labels_to_grid",
    "fragments.nii.gz": "image fragments.nii.gz",
    "fragments.seg.nrrd": "image fragments.seg.nrrd",
    "bones.nii.gz": "image bones.nii.gz",
    "contact.nrrd": "image contact.nrrd",
    "a surface": "open .stl",
    "the preview": "open preview.png",
    "the report": "open report.json",
}


def tidy_up(shell: FaultyShell, case: Case, out: Path) -> None:
    """The next start, which itself comes to nothing."""
    missing = ["segment", str(case.folder / "missing.nii.gz"), str(out), "--overwrite"]
    run = shell.run([*missing, "--bones", str(case.bones), "--progress", "json"])
    assert run.status == 2
    assert run.events[-1]["message"] == "The CT was not found."


@pytest.mark.parametrize("place", PLACES)
def test_a_run_killed_before_it_publishes_leaves_the_previous_result_as_it_was(
    shell: FaultyShell, case: Case, previous: Path, place: str
) -> None:
    before = snapshot_of(previous)

    run = shell.run(case.arguments(previous, "--overwrite"), (PLACES[place], "kill"))

    assert run.status == -signal.SIGKILL
    assert not run.has_orphans
    assert snapshot_of(previous) == before
    (working,) = (path for path in previous.parent.iterdir() if path != previous)
    assert stat.S_IMODE(working.stat().st_mode) == 0o700
    tidy_up(shell, case, previous)
    assert [path.name for path in previous.parent.iterdir()] == ["out"]
    assert snapshot_of(previous) == before
    assert list(shell.scratch.iterdir()) == []


@pytest.mark.parametrize("place", ["reading", "the network", "contact.nrrd", "the report"])
def test_a_first_run_that_is_killed_leaves_no_result_at_all(
    shell: FaultyShell, case: Case, tmp_path: Path, place: str
) -> None:
    out = tmp_path / "new" / "out"

    run = shell.run(case.arguments(out), (PLACES[place], "kill"))

    assert run.status == -signal.SIGKILL
    assert not out.exists()
    tidy_up(shell, case, out)
    assert not out.exists()
    # The folder above it was made by the killed run; it is empty and may as well stay.
    assert [path for path in tmp_path.rglob("*") if path.name != "new"] == []


def test_killed_before_the_previous_result_steps_aside(
    shell: FaultyShell, case: Case, previous: Path
) -> None:
    before = snapshot_of(previous)
    run = shell.run(case.arguments(previous, "--overwrite"), (f"rename {previous}", "kill"))

    assert run.status == -signal.SIGKILL
    assert snapshot_of(previous) == before
    tidy_up(shell, case, previous)
    assert snapshot_of(previous.parent) == {f"out/{k}": v for k, v in before.items()} | {
        "out": None
    }


def test_killed_between_the_two_renames_the_previous_result_comes_back_at_the_next_start(
    shell: FaultyShell, case: Case, previous: Path
) -> None:
    before = snapshot_of(previous)

    run = shell.run(case.arguments(previous, "--overwrite"), (f"rename-to {previous}", "kill"))

    assert run.status == -signal.SIGKILL
    assert not previous.exists()
    tidy_up(shell, case, previous)
    assert [path.name for path in previous.parent.iterdir()] == ["out"]
    assert snapshot_of(previous) == before


def test_killed_after_publishing_the_new_result_is_whole_and_the_old_one_goes(
    shell: FaultyShell, case: Case, previous: Path
) -> None:
    before = snapshot_of(previous)

    run = shell.run(case.arguments(previous, "--overwrite"), ("rmtree -old", "kill"))

    assert run.status == -signal.SIGKILL
    after = snapshot_of(previous)
    assert after.keys() == before.keys()
    assert "mark" not in json.loads((previous / "report.json").read_text())
    tidy_up(shell, case, previous)
    assert [path.name for path in previous.parent.iterdir()] == ["out"]
    assert snapshot_of(previous) == after


def test_a_run_after_a_killed_one_replaces_the_result(
    shell: FaultyShell, case: Case, previous: Path
) -> None:
    shell.run(case.arguments(previous, "--overwrite"), (PLACES["contact.nrrd"], "kill"))

    run = shell.run(case.arguments(previous, "--overwrite"))

    assert run.status == 0
    assert run.events[-1]["event"] == "result"
    assert [path.name for path in previous.parent.iterdir()] == ["out"]
    assert "mark" not in json.loads((previous / "report.json").read_text())


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_leftovers_that_are_links_are_not_followed(
    shell: FaultyShell, case: Case, previous: Path
) -> None:
    """Somebody puts a link where the killed run's working folder was."""
    shell.run(case.arguments(previous, "--overwrite"), (PLACES["reading"], "kill"))
    (working,) = (path for path in previous.parent.iterdir() if path != previous)
    working.rmdir()
    treasure = previous.parent.parent / f"{previous.parent.name}-treasure"
    treasure.mkdir()
    (treasure / "thesis.txt").write_text("mine")
    working.symlink_to(treasure)

    tidy_up(shell, case, previous)

    assert (treasure / "thesis.txt").read_text() == "mine"
