"""A run of `fracseg segment` in a child process: the window stays alive, and Cancel cancels."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer

from FractureSegmentationLib.protocol import CANCEL_LINE
from FractureSegmentationPanel import job_outcome
from FractureSegmentationPanel.job_command import child_environment
from FractureSegmentationPanel.job_events import ChildReader
from FractureSegmentationPanel.job_folder import JobFolder, spellings
from FractureSegmentationPanel.job_outcome import Outcome
from FractureSegmentationPanel.job_run import JobHandlers, Patience, Run, content_of, write_line
from FractureSegmentationPanel.job_tree import ask_tree_to_end, kill_tree

TICK_MS = 100
_QUIT_WAITS_MS = (1500, 1000)


class Job:
    """One run at a time of the command line in a child process.

    Args:
        process_factory: makes the process; another one in tests.
        clock: tells the time in seconds.
        patience: how long a child that does not heed Cancel is left alive.
    """

    def __init__(
        self,
        process_factory: Callable[[], Any] = qt.QProcess,
        clock: Callable[[], float] = time.monotonic,
        patience: Patience | None = None,
    ) -> None:
        self._process_factory = process_factory
        self._clock = clock
        self._patience = patience or Patience()
        self._run: Run | None = None
        self._is_telling = False
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
        return self._run is not None and self._run.asked_at is not None

    def start(
        self, command: Sequence[str], handlers: JobHandlers, folder: JobFolder | None = None
    ) -> None:
        """Start a run; it is told of later, through the handlers.

        Args:
            command: the program and its arguments, see `segment_command`.
            handlers: whom to tell.
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
        if run is None or run.asked_at is not None:
            return
        run.asked_at = self._clock()
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
        run.asked_at = self._clock()
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
        if run.told_last_at is None and (run.reader.result or run.reader.error):
            run.told_last_at = self._clock()

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
        if self._run is None or self._is_telling:
            return
        run = self._run
        self._is_telling = True
        # A handler that fails may not keep a run from ending.
        try:
            self._tell_news(run)
        finally:
            self._is_telling = False
            if self._run is run:
                self._advance(run)

    def _tell_news(self, run: Run) -> None:
        news = run.reader.take()
        for sentence in news.warnings:
            run.handlers.warning(sentence)
        if news.log:
            run.handlers.log(news.log)
        told = news.progress
        if told is not None and told != run.progress and run.asked_at is None:
            run.progress = told
            run.handlers.progress(told.stage, told.fraction, told.seconds_left)

    def _advance(self, run: Run) -> None:
        if run.has_ended:
            self._clear_up(run)
        else:
            self._insist(run)

    def _insist(self, run: Run) -> None:
        """Take harder means against a child that was to end and has not."""
        since = run.asked_at if run.asked_at is not None else run.told_last_at
        if since is None:
            return
        waited = self._clock() - since
        if waited >= self._patience.heed and not run.was_signalled:
            run.was_signalled = True
            run.process.closeWriteChannel()
            ask_tree_to_end(run.pid, run.mark)
        if waited >= self._patience.die and not run.was_killed:
            run.was_killed = True
            kill_tree(run.pid, run.mark)
        if waited >= self._patience.give_up:
            kill_tree(run.pid, run.mark)
            run.process.kill()
            self._conclude(run, run.outcome())

    def _clear_up(self, run: Run) -> None:
        """The launcher has ended; what it started may not have, and may still hold files."""
        if not run.failed_to_start and kill_tree(0, run.mark):
            if run.told_last_at is None:
                run.told_last_at = self._clock()
            if self._clock() - run.told_last_at < self._patience.give_up:
                return
        self._conclude(run, run.outcome())

    def _conclude(self, run: Run, outcome: Outcome) -> None:
        self._timer.stop()
        slicer.app.disconnect("aboutToQuit()", self.shutdown)
        self._run = None
        self._last_process = run.process
        try:
            self._tell_news(run)
        finally:
            self._finish(run, outcome)

    def _finish(self, run: Run, outcome: Outcome) -> None:
        try:
            run.handlers.finished(outcome)
        finally:
            if run.folder is not None:
                run.folder.remove()
