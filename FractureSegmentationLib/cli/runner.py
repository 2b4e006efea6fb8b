"""Running a command so that it can be stopped, and the progress bar of a terminal.

Ctrl+C, SIGTERM, a line on stdin or the death of the parent raise the run's cancel token, which the
run looks at between two steps. A step that takes too long (a long computation does not look at
anything) is cut off by ending the process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from FractureSegmentationLib import protocol
from FractureSegmentationLib.errors import FracSegError, RunCancelledError, as_problem
from FractureSegmentationLib.io.temporary import remove_scratch, remove_working_folders
from FractureSegmentationLib.progress import CancelToken
from FractureSegmentationLib.protocol import CANCEL_LINE

if TYPE_CHECKING:
    from FractureSegmentationLib.progress import Event


Report = Callable[[], None]
Work = Callable[[CancelToken], Report]


STOP_TIMEOUT_SECONDS = 1.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CELLS = 30


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFrame:
    """How a run is watched and stopped.

    Attributes:
        style: auto, json or none.
        out: beside it lie the working folders that are removed when the process has to be ended.
        parent_pipe: whether the end of stdin stops the run.
        kept: what is left after cancelling, in one sentence.
        before_leaving: called before the process is ended by force.
        at_end: called when the run is over, however it went.
    """

    style: str
    out: Path
    parent_pipe: bool
    kept: str = "Nothing was written."
    before_leaving: Callable[[], None] = _nothing
    at_end: Callable[[], None] = _nothing


def run_stoppable(work: Work, frame: RunFrame) -> int:
    """Do the work; Ctrl+C, SIGTERM, `cancel` on stdin and the parent's death stop it.

    Args:
        work: done with a token that it looks at; what it returns reports the result.
        frame: how.

    Returns:
        The exit status.

    Raises:
        FracSegError: the work failed, and the failure was not sent as an event.
    """
    is_json = frame.style == "json"
    if is_json:
        protocol.send(protocol.started_event())
    token = CancelToken()
    stopper = Stopper(token, frame.out, _leaver(frame))
    if is_json or frame.parent_pipe:
        watch_stream(stopper, ends_run=frame.parent_pipe)
    try:
        with stopped_by_signals(stopper):
            report = work(token)
    except Exception as error:
        is_bug = not isinstance(error, (FracSegError, MemoryError))
        if is_bug and (not is_json or os.environ.get("FRACSEG_DEBUG")):
            raise
        problem = _cancelled(frame) if isinstance(error, RunCancelledError) else as_problem(error)
        if not is_json:
            raise problem from error
        protocol.send(protocol.error_event(problem))
        return problem.exit_status
    finally:
        stopper.run_is_over()
        frame.at_end()
    # The result is there, whether or not somebody still listens.
    with contextlib.suppress(RunCancelledError):
        report()
    return 0


def _cancelled(frame: RunFrame) -> RunCancelledError:
    return RunCancelledError("The run was cancelled.", frame.kept)


def _leaver(frame: RunFrame) -> Callable[[int], None]:
    """Ends the process from another thread, after the last word of the protocol."""

    def leave(status: int) -> None:
        frame.before_leaving()
        if frame.style == "json":
            with contextlib.suppress(OSError, RunCancelledError):
                protocol.send(protocol.error_event(_cancelled(frame)))
        else:
            sys.stderr.write(f"\nCancelled. {frame.kept}\n")
            sys.stderr.flush()
        os._exit(status)

    return leave


class Stopper:
    """Raises a token once, and ends the process if the run does not heed it.

    Args:
        token: what the run looks at.
        out: the result folder; working folders of this process beside it are removed before the
            process is ended.
        leave: ends the process with an exit status; called from another thread.
        timeout_seconds: how long the run may take to heed the token.
    """

    def __init__(
        self,
        token: CancelToken,
        out: Path,
        leave: Callable[[int], None],
        timeout_seconds: float = STOP_TIMEOUT_SECONDS,
    ) -> None:
        self._token = token
        self._out = out
        self._leave = leave
        self._timeout_seconds = timeout_seconds
        self._is_over = threading.Event()

    def stop(self) -> None:
        """Ask the run to stop; a second call changes nothing."""
        if not self._token.is_cancelled:
            self._token.cancel()
            threading.Thread(target=self._insist, daemon=True).start()

    def run_is_over(self) -> None:
        """The run has ended by itself; the process is left alone from now on."""
        self._is_over.set()

    def _insist(self) -> None:
        while not self._is_over.wait(self._timeout_seconds):
            if remove_working_folders(self._out.absolute().parent, os.getpid()):
                remove_scratch()
                self._leave(130)
                return


@contextlib.contextmanager
def stopped_by_signals(stopper: Stopper) -> Iterator[None]:
    """Let Ctrl+C and SIGTERM stop the run, also while the main thread is deep in a computation.

    Python's own handlers wait for the main thread; the byte that the system writes to a socket for
    every signal does not. In any other thread than the main one nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    previous = {number: signal.signal(number, _ignore) for number in _SIGNALS}
    old_descriptor = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_stop_on_byte, args=(ours, stopper), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(old_descriptor)
        for number, handler in previous.items():
            signal.signal(number, handler)
        theirs.close()


def watch_stream(stopper: Stopper, stream: TextIO | None = None, *, ends_run: bool) -> None:
    """Stop the run on the line `cancel`, from a thread of its own.

    Args:
        stopper: stops the run.
        stream: what is read; None takes stdin.
        ends_run: whether the end of the stream stops the run too.
    """
    # A process that is started without stdin has none to read: that is its end.
    source = stream or sys.stdin or ()

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in source:
                if line.strip() == CANCEL_LINE:
                    stopper.stop()
                    return
        if ends_run:
            stopper.stop()

    threading.Thread(target=watch, daemon=True).start()


def _stop_on_byte(stream: socket.socket, stopper: Stopper) -> None:
    with stream:
        # The byte is the signal's number: that of a child which ended, say, stops nothing.
        while number := stream.recv(1):
            if number[0] in _SIGNALS:
                stopper.stop()


def _ignore(number: int, frame: object) -> None:
    """A Python handler must be there for the wake-up byte to be written."""
    del number, frame


class TerminalBar:
    """Draws one line that is drawn over again, on stderr; where that is no terminal, stages only.

    Args:
        stream: where to draw; None takes stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._stage = ""

    def on_event(self, event: Event) -> None:
        """Draw what happened."""
        if event.kind == "progress":
            if self._is_terminal:
                filled = round(_CELLS * event.value)
                bar = "#" * filled + "." * (_CELLS - filled)
                self._write(f"\r[{bar}] {100 * event.value:3.0f} %  {event.stage:<10}")
            elif event.stage != self._stage:
                self._write(f"{event.stage} ...\n")
            self._stage = event.stage
        elif event.kind == "warning":
            self._clear()
            self._write(f"Warning: {event.message}\n")

    def finish(self) -> None:
        """Leave the terminal at the start of a clean line."""
        self._clear()

    def _clear(self) -> None:
        if self._is_terminal:
            self._write("\r" + " " * (_CELLS + 22) + "\r")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
