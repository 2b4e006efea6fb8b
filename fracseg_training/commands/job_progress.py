"""How far a list of jobs is, with the time left, on stderr."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from click._termui_impl import ProgressBar


class JobProgress:
    """Draws a bar; where the stream is no terminal, prints a line per job.

    Args:
        total: number of jobs.
        stream: where to; None takes stderr.
        clock: seconds.
    """

    def __init__(
        self,
        total: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._done = total, 0
        self._stream, self._clock = stream or sys.stderr, clock
        self._begin = clock()
        self._bar: ProgressBar[int] | None = None

    def __enter__(self) -> JobProgress:
        self._begin = self._clock()
        if self._stream.isatty():
            self._bar = click.progressbar(
                length=self._total,
                file=self._stream,
                show_eta=True,
                show_pos=True,
                item_show_func=lambda text: text,
            )
            self._bar.render_progress()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def report(self, cases: int) -> None:
        """One more job has ended; `cases` were made so far."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(1, f"{cases} cases")  # type: ignore[arg-type]
            return
        per_job = (self._clock() - self._begin) / self._done
        left = timedelta(seconds=round(per_job * (self._total - self._done)))
        self._stream.write(f"{self._done}/{self._total} done, {cases} cases made, {left} left\n")
        self._stream.flush()
