"""Stopping a run on request: Ctrl+C, SIGTERM, a line on stdin, or the death of the parent.

A request raises the run's cancel token, which the run looks at between two steps. A step that takes
too long (a long computation does not look at anything) is cut off by ending the process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from FractureSegmentationLib.io.leftovers import remove_working_folders
from FractureSegmentationLib.io.scratch import remove_scratch
from FractureSegmentationLib.progress import CancelToken
from FractureSegmentationLib.protocol import CANCEL_LINE

PATIENCE_SECONDS = 1.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopper:
    """Raises a token once, and ends the process if the run does not heed it.

    Args:
        token: what the run looks at.
        out: the result folder; working folders of this process beside it are removed before the
            process is ended.
        leave: ends the process with an exit status; called from another thread.
        patience_seconds: how long the run may take to heed the token.
    """

    def __init__(
        self,
        token: CancelToken,
        out: Path,
        leave: Callable[[int], None],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._token = token
        self._out = out
        self._leave = leave
        self._patience_seconds = patience_seconds
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
        while not self._is_over.wait(self._patience_seconds):
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
