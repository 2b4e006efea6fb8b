"""What is known of one run of the child process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from FractureSegmentationLib.protocol import VERSION
from FractureSegmentationPanel import job_outcome
from FractureSegmentationPanel.job_events import ChildReader, ProgressTold
from FractureSegmentationPanel.job_folder import JobFolder
from FractureSegmentationPanel.job_outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHandlers:
    """Whom a run tells what; all are called on the main thread, at most ten times a second.

    Attributes:
        progress: stage, fraction of the whole run (0 to 1), seconds left or None.
        log: lines for the log.
        warning: one sentence for the user to see.
        finished: how it ended; called once, last. The working folder is removed when it returns.
    """

    progress: Callable[[str, float, float | None], None]
    log: Callable[[str], None]
    warning: Callable[[str], None]
    finished: Callable[[Outcome], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds after Cancel, or after the last event, until harder means are taken.

    Attributes:
        heed: the child has promised to end within two seconds; then it is told by a signal too.
        die: every process of the run is killed.
        give_up: the run counts as over even if the system has not told its end.
    """

    heed: float = 2.2
    die: float = 3.6
    give_up: float = 4.6


class Run:
    """One child process and what is known of it.

    Attributes:
        mark: every process of the run has it in its environment.
        pid: of the process that was started; 0 before.
        has_ended: the system has told its end, or that it did not start.
        failed_to_start: it did not.
        exit_status: of the process that was started.
        progress: what was told last.
        asked_at: when it was asked to stop; None if it was not.
        told_last_at: when it told its last event, after which it should end by itself.
        was_signalled: it was asked by signal, too.
        was_killed: all its processes were ended by force.
    """

    def __init__(
        self, process: Any, handlers: JobHandlers, folder: JobFolder | None, reader: ChildReader
    ) -> None:
        self.process = process
        self.handlers = handlers
        self.folder = folder
        self.reader = reader
        self.mark = secrets.token_hex(8)
        self.pid = 0
        self.has_ended = False
        self.failed_to_start = False
        self.exit_status = 0
        self.progress: ProgressTold | None = None
        self.asked_at: float | None = None
        self.told_last_at: float | None = None
        self.was_signalled = False
        self.was_killed = False

    def outcome(self) -> Outcome:
        """How it ended, as far as it is known now."""
        if self.asked_at is not None:
            return job_outcome.cancelled()
        if self.failed_to_start:
            return job_outcome.failed_to_start()
        # A result that was told is whole, whatever happens to the child's last breath.
        if self.reader.result is not None:
            if self.reader.protocol != VERSION:
                return job_outcome.other_version()
            return job_outcome.done(self.reader.result)
        return self._failure()

    def _failure(self) -> Outcome:
        reader = self.reader
        if reader.error is not None:
            return job_outcome.told(reader.error)
        if reader.absent_package:
            return job_outcome.package_absent(reader.absent_package)
        if self.exit_status == 0:
            return job_outcome.no_result()
        return job_outcome.crashed(self.exit_status)


def write_line(process: Any, line: str) -> None:
    """Tell a process something on its stdin."""
    process.write(f"{line}\n".encode())


def content_of(data: Any) -> bytes:
    """The content of a QByteArray, as PythonQt and other bindings give it."""
    return bytes(data.data() if hasattr(data, "data") else data)
