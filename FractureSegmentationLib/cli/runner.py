"""Runs what a command does so that it can be stopped, and tells how it ended."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from FractureSegmentationLib import protocol
from FractureSegmentationLib.cli.stop import Stopper, stopped_by_signals, watch_stream
from FractureSegmentationLib.errors import FracSegError, RunCancelledError, as_problem
from FractureSegmentationLib.progress import CancelToken

Tell = Callable[[], None]
Work = Callable[[CancelToken], Tell]


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
        work: done with a token that it looks at; what it returns tells the result.
        frame: how.

    Returns:
        The exit status.

    Raises:
        FracSegError: the work failed, and the failure was not told as an event.
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
            tell = work(token)
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
        tell()
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
