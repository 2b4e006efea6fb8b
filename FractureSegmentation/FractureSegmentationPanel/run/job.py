"""A run of `fracseg segment` in a child process: the window stays alive, and Cancel cancels.

`Run` holds what is known of one run, `Job` starts it, reads it and ends it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import qt
import slicer

from FractureSegmentationLib.protocol import CANCEL_LINE, VERSION
from FractureSegmentationPanel.run import outcome as job_outcome
from FractureSegmentationPanel.run.command import child_environment
from FractureSegmentationPanel.run.events import ChildReader, ProgressReport
from FractureSegmentationPanel.run.folder import JobFolder, spellings
from FractureSegmentationPanel.run.outcome import Outcome
from FractureSegmentationPanel.run.tree import ask_tree_to_end, kill_tree

TICK_MS = 100
_QUIT_WAITS_MS = (1500, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHandlers:
    """What to call during a run; all are called on the main thread, at most ten times a second.

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
class CancelTimeouts:
    """Seconds after Cancel, or after the result or error event, until a step to end the run.

    Attributes:
        signal_s: the child should have ended within two seconds; now it gets a signal too.
        kill_s: every process of the run is killed.
        give_up_s: the run counts as over even if the system has not reported its end.
    """

    signal_s: float = 2.2
    kill_s: float = 3.6
    give_up_s: float = 4.6


class Run:
    """One child process and what is known of it.

    Attributes:
        mark: every process of the run has it in its environment.
        pid: of the process that was started; 0 before.
        has_ended: the system has reported its end, or that it did not start.
        failed_to_start: it did not.
        exit_status: of the process that was started.
        progress: what was reported last.
        cancel_requested_at: when it was asked to stop; None if it was not.
        reported_end_at: when it reported its result or error, after which it should end by itself.
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
        self.progress: ProgressReport | None = None
        self.cancel_requested_at: float | None = None
        self.reported_end_at: float | None = None
        self.was_signalled = False
        self.was_killed = False

    def outcome(self) -> Outcome:
        """How it ended, as far as it is known now."""
        if self.cancel_requested_at is not None:
            return job_outcome.cancelled()
        if self.failed_to_start:
            return job_outcome.failed_to_start()
        # A result that was reported is whole, however the child ends afterwards.
        if self.reader.result is not None:
            if self.reader.protocol != VERSION:
                return job_outcome.other_version()
            return job_outcome.done(self.reader.result)
        return self._failure()

    def _failure(self) -> Outcome:
        reader = self.reader
        if reader.error is not None:
            return job_outcome.reported(reader.error)
        if reader.absent_package:
            return job_outcome.package_absent(reader.absent_package)
        if self.exit_status == 0:
            return job_outcome.no_result()
        return job_outcome.crashed(self.exit_status)


def write_line(process: Any, line: str) -> None:
    """Write a line to the stdin of a process."""
    process.write(f"{line}\n".encode())


def content_of(data: Any) -> bytes:
    """The content of a QByteArray, as PythonQt and other bindings give it."""
    return bytes(data.data() if hasattr(data, "data") else data)


class Job:
    """One run at a time of the command line in a child process.

    Args:
        process_factory: makes the process; another one in tests.
        clock: returns the time in seconds.
        timeouts: how long a child that ignores Cancel is left alive.
    """

    def __init__(
        self,
        process_factory: Callable[[], Any] = qt.QProcess,
        clock: Callable[[], float] = time.monotonic,
        timeouts: CancelTimeouts | None = None,
    ) -> None:
        self._process_factory = process_factory
        self._clock = clock
        self._timeouts = timeouts or CancelTimeouts()
        self._run: Run | None = None
        self._is_notifying = False
        self._timer = qt.QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.connect("timeout()", self._on_tick)
        # A process may not be deleted inside its own signals; the last one waits here.
        self._last_process: Any = None

    @property
    def is_running(self) -> bool:
        """Whether a run is going on, also one that is being cancelled."""
        return self._run is not None

    @property
    def is_cancelling(self) -> bool:
        """Whether the run that is going on was asked to stop."""
        return self._run is not None and self._run.cancel_requested_at is not None

    def start(
        self, command: Sequence[str], handlers: JobHandlers, folder: JobFolder | None = None
    ) -> None:
        """Start a run; progress and outcome are reported later, through the handlers.

        Args:
            command: the program and its arguments, see `segment_command`.
            handlers: called with progress and outcome.
            folder: the working folder; it is removed when `handlers.finished` has returned, or
                when Slicer quits. None if there is none.
        """
        if self._run is not None:
            handlers.finished(job_outcome.already_running())
            if folder is not None:
                folder.remove()
            return
        hidden = {} if folder is None else dict.fromkeys(spellings(folder.path), "[...]")
        run = Run(self._process_factory(), handlers, folder, ChildReader(hidden, self._clock))
        self._run = run
        self._connect(run.process)
        self._set_environment(run)
        slicer.app.connect("aboutToQuit()", self.shutdown)
        self._timer.start()
        run.process.start(command[0], list(command[1:]))
        run.pid = int(run.process.processId())

    def cancel(self) -> None:
        """Stop the run: on request, after that by force; over within five seconds."""
        run = self._run
        if run is None or run.cancel_requested_at is not None:
            return
        run.cancel_requested_at = self._clock()
        write_line(run.process, CANCEL_LINE)

    def wait(self) -> None:
        """Keep the window alive until the run is over; for scripts that have nothing else to do."""
        while self._run is not None:
            slicer.app.processEvents()
            time.sleep(0.01)

    def shutdown(self) -> None:
        """End the run now, because Slicer quits or the module is unloaded; takes up to 3 s."""
        run = self._run
        if run is None:
            return
        run.cancel_requested_at = self._clock()
        write_line(run.process, CANCEL_LINE)
        run.process.closeWriteChannel()
        for wait_ms in _QUIT_WAITS_MS:
            if run.has_ended or run.process.waitForFinished(wait_ms):
                break
            kill_tree(run.pid, run.mark)
        kill_tree(0 if run.has_ended else run.pid, run.mark)
        self._conclude(run, job_outcome.cancelled("application_quit"))

    def _connect(self, process: Any) -> None:
        process.connect("readyReadStandardOutput()", self._on_output)
        process.connect("readyReadStandardError()", self._on_output)
        process.connect("finished(int,QProcess::ExitStatus)", self._on_finished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._on_error)

    def _set_environment(self, run: Run) -> None:
        environment = qt.QProcessEnvironment.systemEnvironment()
        for name, value in child_environment(os.environ, run.mark).items():
            environment.insert(name, value)
        run.process.setProcessEnvironment(environment)
        if run.folder is not None:
            run.process.setWorkingDirectory(str(run.folder.path))

    def _on_output(self) -> None:
        if self._run is not None:
            self._read(self._run)

    def _read(self, run: Run) -> None:
        run.reader.read_out(content_of(run.process.readAllStandardOutput()))
        run.reader.read_err(content_of(run.process.readAllStandardError()))
        if run.reported_end_at is None and (run.reader.result or run.reader.error):
            run.reported_end_at = self._clock()

    def _on_finished(self, exit_status: int, _how: object = None) -> None:
        run = self._run
        if run is not None:
            self._read(run)
            run.reader.end()
            run.exit_status = exit_status
            run.has_ended = True

    def _on_error(self, error: object) -> None:
        # Every other error is followed by the signal that the process has finished.
        if self._run is not None and error == qt.QProcess.FailedToStart:
            self._run.failed_to_start = True
            self._run.has_ended = True

    def _on_tick(self) -> None:
        # A handler that shows a question lets further ticks in.
        if self._run is None or self._is_notifying:
            return
        run = self._run
        self._is_notifying = True
        # A handler that fails may not keep a run from ending.
        try:
            self._notify(run)
        finally:
            self._is_notifying = False
            if self._run is run:
                self._advance(run)

    def _notify(self, run: Run) -> None:
        news = run.reader.take()
        for sentence in news.warnings:
            run.handlers.warning(sentence)
        if news.log:
            run.handlers.log(news.log)
        progress = news.progress
        if progress is not None and progress != run.progress and run.cancel_requested_at is None:
            run.progress = progress
            run.handlers.progress(progress.stage, progress.fraction, progress.seconds_left)

    def _advance(self, run: Run) -> None:
        if run.has_ended:
            self._clear_up(run)
        else:
            self._escalate(run)

    def _escalate(self, run: Run) -> None:
        """Signal, then kill a child that should have ended and has not."""
        since = (
            run.cancel_requested_at if run.cancel_requested_at is not None else run.reported_end_at
        )
        if since is None:
            return
        waited = self._clock() - since
        if waited >= self._timeouts.signal_s and not run.was_signalled:
            run.was_signalled = True
            run.process.closeWriteChannel()
            ask_tree_to_end(run.pid, run.mark)
        if waited >= self._timeouts.kill_s and not run.was_killed:
            run.was_killed = True
            kill_tree(run.pid, run.mark)
        if waited >= self._timeouts.give_up_s:
            kill_tree(run.pid, run.mark)
            run.process.kill()
            self._conclude(run, run.outcome())

    def _clear_up(self, run: Run) -> None:
        """The launcher has ended; what it started may not have, and may still hold files."""
        if not run.failed_to_start and kill_tree(0, run.mark):
            if run.reported_end_at is None:
                run.reported_end_at = self._clock()
            if self._clock() - run.reported_end_at < self._timeouts.give_up_s:
                return
        self._conclude(run, run.outcome())

    def _conclude(self, run: Run, outcome: Outcome) -> None:
        self._timer.stop()
        slicer.app.disconnect("aboutToQuit()", self.shutdown)
        self._run = None
        self._last_process = run.process
        try:
            self._notify(run)
        finally:
            self._finish(run, outcome)

    def _finish(self, run: Run, outcome: Outcome) -> None:
        try:
            run.handlers.finished(outcome)
        finally:
            if run.folder is not None:
                run.folder.remove()
