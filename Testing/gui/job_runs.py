"""Runs of fake children through the host's QProcess, for the tests of the run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from Testing.gui.fake_child import PIDS_VARIABLE, fake_command

SOON_SECONDS = 30.0
"""Far more than anything takes: the machine that runs the tests may be busy."""


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that waits to be collected has, too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@dataclass
class Told:
    """What the handlers of one run were told, and whether its folder stood at the end."""

    progress: list[tuple[str, float, float | None]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    outcomes: list[Any] = field(default_factory=list)
    folder_stood: list[bool] = field(default_factory=list)

    @property
    def outcome(self) -> Any:
        (only,) = self.outcomes
        return only


class Runs:
    """Starts runs and lets the window live while they go on."""

    def __init__(self, host: Any, pids_folder: Path) -> None:
        from FractureSegmentationPanel.run.job import CancelTimeouts, Job

        self.app = host.app
        self.pids_folder = pids_folder
        # As in the product, only brisker.
        self.job = Job(timeouts=CancelTimeouts(signal_s=0.5, kill_s=1.0, give_up_s=3.0))

    def start(self, command: list[str], folder: Any = None) -> Told:
        told = Told()

        def finished(outcome: Any) -> None:
            told.outcomes.append(outcome)
            told.folder_stood.append(folder is not None and folder.path.is_dir())

        self.job.start(command, handlers_of(told, finished), folder)
        return told

    def spin(self, is_so: Callable[[], object], seconds: float = SOON_SECONDS) -> None:
        """Let the window live until something is so."""
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, "it did not happen"
            self.app.processEvents()
            time.sleep(0.002)

    def end(self, steps: str, launcher: str = "") -> Told:
        """A run from its start to its end."""
        told = self.start(fake_command(steps, launcher=launcher))
        self.spin(lambda: told.outcomes)
        return told

    def started(self, steps: str, processes: int, launcher: str = "", folder: Any = None) -> Told:
        """A run of which so many processes are up and have told how far it is."""
        told = self.start(fake_command(steps, launcher=launcher), folder)
        self.spin(lambda: len(self.pids()) == processes and told.progress)
        return told

    def pids(self) -> list[int]:
        """Every process that any run has started."""
        return [int(path.name) for path in self.pids_folder.iterdir()]

    def are_gone(self) -> bool:
        return all(is_gone(pid) for pid in self.pids())


class Heartbeat:
    """Counts beats, one every 10 ms as long as the thread of the window is free for them."""

    def __init__(self) -> None:
        self.beats = 0
        self._timer = after(10, self._beat, repeats=True)

    def _beat(self) -> None:
        self.beats += 1

    def stop(self) -> None:
        self._timer.stop()


def after(milliseconds: int, action: Callable[[], object], *, repeats: bool = False) -> Any:
    """A timer that does something later, or every so often."""
    import qt

    timer = qt.QTimer()
    timer.setSingleShot(not repeats)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", action)
    timer.start()
    _timers.append(timer)
    return timer


_timers: list[Any] = []


def handlers_of(told: Told, finished: Callable[[Any], None]) -> Any:
    from FractureSegmentationPanel.run.job import JobHandlers

    return JobHandlers(
        progress=lambda *news: told.progress.append(news),
        log=told.log.append,
        warning=told.warnings.append,
        finished=finished,
    )


def running(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """For a fixture: runs after which no process and no working folder may be left."""
    scratch, pids = tmp_path / "tmp", tmp_path / "pids"
    scratch.mkdir()
    pids.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv(PIDS_VARIABLE, str(pids))
    some = Runs(host, pids)
    yield some
    some.job.shutdown()
    for timer in _timers:
        timer.stop()
    _timers.clear()
    assert list(scratch.iterdir()) == [], "a working folder is left"
    if Path("/proc").is_dir():
        some.spin(some.are_gone, 5.0)


def folder_with_ct() -> Any:
    """A working folder as a run is given it."""
    from FractureSegmentationPanel.run.folder import JobFolder

    made = JobFolder()
    made.ct.write_bytes(b"voxels")
    return made
