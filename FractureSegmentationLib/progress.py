"""What a run reports to its caller while it works, and how the caller stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from FractureSegmentationLib.errors import RunCancelledError

EventKind = Literal["progress", "log", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: progress, log or warning.
        stage: the pipeline stage it belongs to, e.g. "bones".
        value: how much of the whole run is done, 0 to 1 (progress only).
        message: one sentence (log and warning), without patient data.
    """

    kind: EventKind
    stage: str = ""
    value: float = 0.0
    message: str = ""


class CancelToken:
    """A flag that one thread raises and the run looks at between two steps."""

    def __init__(self) -> None:
        self._raised = threading.Event()

    def cancel(self) -> None:
        """Ask the run to stop at its next look."""
        self._raised.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether the run was asked to stop."""
        return self._raised.is_set()

    def raise_if_cancelled(self) -> None:
        """Stop here if asked to.

        Raises:
            RunCancelledError: somebody called `cancel`.
        """
        if self.is_cancelled:
            raise RunCancelledError("The run was cancelled.", "Nothing was written.")


def _ignore(_: Event) -> None:
    """The listener of a run that nobody watches."""


@dataclass(slots=True)
class Progress:
    """The channel from a run to its caller; every call is also a point where Cancel takes effect.

    Attributes:
        listener: called with every event.
        token: what the caller raises to stop the run.
        span: the part of the whole run that the current stage fills, as (begin, end).
        warnings: the sentences warned of so far, for the report.
    """

    listener: Callable[[Event], None] = _ignore
    token: CancelToken = field(default_factory=CancelToken)
    span: tuple[float, float] = (0.0, 1.0)
    stage: str = ""
    warnings: list[str] = field(default_factory=list)

    def enter(self, stage: str, begin: float, end: float) -> None:
        """Begin a stage that fills [begin, end] of the run."""
        self.stage, self.span = stage, (begin, end)
        self.report(0.0)

    def report(self, fraction: float) -> None:
        """Say how much of the current stage is done, 0 to 1.

        Raises:
            RunCancelledError: the caller asked to stop.
        """
        self.token.raise_if_cancelled()
        begin, end = self.span
        value = begin + (end - begin) * min(max(fraction, 0.0), 1.0)
        self.listener(Event(kind="progress", stage=self.stage, value=value))

    def log(self, message: str) -> None:
        """Log a detail."""
        self.listener(Event(kind="log", stage=self.stage, message=message))

    def warn(self, message: str) -> None:
        """Report something the user should see; it also enters the report."""
        self.warnings.append(message)
        self.listener(Event(kind="warning", stage=self.stage, message=message))
