"""Whoever started the run goes away, or stops listening: the run ends, and leaves nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from Testing.integration.fault_shell import (
    Case,
    FaultyShell,
    Snapshot,
    snapshot_of,
    start_server,
)

READING = "call FractureSegmentationLib.pipeline.segment:read_ct"
PREVIEW = "open preview.png"
STOP_TIMEOUT_SECONDS = 20.0
"""Far more than the two seconds promised: the machine that runs the tests may be busy."""


def wait_until(is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + STOP_TIMEOUT_SECONDS
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    return is_so()


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that waits to be collected has, too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are seen in /proc")
@pytest.mark.parametrize("place", [READING, PREVIEW])
def test_a_run_ends_when_its_parent_is_killed(
    case: Case,
    tiny_models: Path,
    repository: Path,
    previous: Path,
    tmp_path: Path,
    place: str,
) -> None:
    """The run hangs in a step that looks at nothing, so it has to be cut off."""
    before = snapshot_of(previous)
    (tmp_path / "shell").mkdir()
    parent = start_server(tmp_path / "shell", tiny_models, repository)
    arguments = case.arguments(previous, "--overwrite", "--parent-pipe")
    child = parent.run(arguments, (place, "hang"), stdin="pipe", waits=False)
    assert wait_until(lambda: any(".fracseg-" in path.name for path in tmp_path.iterdir()))
    assert not is_gone(child.pid)

    parent.server.send_signal(signal.SIGKILL)
    parent.server.wait()

    assert wait_until(lambda: is_gone(child.pid))
    assert snapshot_of(previous) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "shell"]
    assert list(parent.scratch.iterdir()) == []


def test_without_stdin_a_run_that_watches_its_parent_ends_at_once(
    shell: FaultyShell, case: Case, tmp_path: Path
) -> None:
    arguments = case.arguments(tmp_path / "out", "--parent-pipe")

    run = shell.run(arguments, (READING, "hang"), stdin="closed")

    assert run.status == 130
    assert run.events[-1]["code"] == "cancelled"
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_stdin_a_run_that_does_not_is_not_disturbed(
    shell: FaultyShell, case: Case, tmp_path: Path
) -> None:
    run = shell.run(case.arguments(tmp_path / "out"), stdin="closed")

    assert run.status == 0
    assert run.stderr == ""


@pytest.mark.parametrize("place", [READING, PREVIEW])
def test_a_run_whose_events_nobody_reads_any_more_stops(
    shell: FaultyShell, case: Case, previous: Path, place: str
) -> None:
    before: Snapshot = snapshot_of(previous.parent)

    run = shell.run(
        case.arguments(previous, "--overwrite"), (place, "stop reading"), stdout="unread"
    )

    assert run.status == 130
    assert run.stderr == ""
    assert snapshot_of(previous.parent) == before
    assert not run.has_orphans


def test_a_result_stands_even_if_nobody_hears_of_it(
    shell: FaultyShell, case: Case, previous: Path
) -> None:
    """The reader leaves while the folder takes its name."""
    run = shell.run(
        case.arguments(previous, "--overwrite"),
        (f"rename-to {previous}", "stop reading"),
        stdout="unread",
    )

    assert run.status == 0
    assert run.stderr == ""
    assert "mark" not in (previous / "report.json").read_text()
    assert [path.name for path in previous.parent.iterdir()] == ["out"]


def test_no_event_can_be_written_from_the_start(
    shell: FaultyShell, case: Case, tmp_path: Path
) -> None:
    run = shell.run(case.arguments(tmp_path / "out"), ("start", "stop reading"), stdout="unread")

    assert run.status == 130
    assert "The program that started the run has gone." in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110
def test_events_into_a_full_disk_end_the_run_as_the_disk_does(
    shell: FaultyShell, case: Case, previous: Path
) -> None:
    before = snapshot_of(previous.parent)

    run = shell.run(case.arguments(previous, "--overwrite"), (READING, "fill stdout"))

    assert run.status == 4
    assert "Traceback" not in run.stderr
    assert snapshot_of(previous.parent) == before
