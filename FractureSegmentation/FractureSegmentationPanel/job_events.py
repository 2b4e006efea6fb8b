"""What a child process tells, read without Qt.

The protocol is that of `FractureSegmentationLib/protocol.py`. Whatever else a child writes (its
packages print what they like, in any encoding, in parts of lines) becomes log text.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from FractureSegmentationPanel.job_lines import LineSplitter, parse_event
from FractureSegmentationPanel.job_time_left import TimeLeft

MOST_LOG_LINES = 300
LONGEST_LOG_LINE = 2000
_TAIL_LINES = 60
_ABSENT_PACKAGE = re.compile(r"No module named '([\w.]+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressTold:
    """How far a run is.

    Attributes:
        stage: read, bones, fragments or write.
        fraction: of the whole run, 0 to 1; never falls.
        seconds_left: whole seconds; None where nothing sensible can be said.
    """

    stage: str
    fraction: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTold:
    """The failure that a child told as its last event."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What was told since it was last asked for; however much, it is little to show."""

    progress: ProgressTold | None
    log: str
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Log:
    """The newest lines that were not shown yet."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_LOG_LINES))
    left_out: int = 0

    def add(self, line: str) -> None:
        self.left_out += len(self.lines) == self.lines.maxlen
        self.lines.append(line[:LONGEST_LOG_LINE])

    def take(self) -> str:
        gap = [f"[... {self.left_out} lines]"] if self.left_out else []
        text = "\n".join([*gap, *self.lines])
        self.lines.clear()
        self.left_out = 0
        return text


class ChildReader:
    """Collects what a child writes and gives it in portions that a window can show.

    Args:
        hidden: texts that are replaced before anything is given on, e.g. the path of the working
            folder.
        clock: tells the time in seconds.

    Attributes:
        result: the result event, once it came.
        error: the failure, once it was told.
        protocol: the version of the protocol that the child speaks; None before it said so.
    """

    def __init__(
        self,
        hidden: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.result: dict[str, Any] | None = None
        self.error: ErrorTold | None = None
        self.protocol: int | None = None
        self._hidden = {text: shown for text, shown in (hidden or {}).items() if text}
        self._time_left = TimeLeft(clock)
        self._out, self._err = LineSplitter(), LineSplitter()
        self._log = _Log()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._warnings: list[str] = []
        self._warned: set[str] = set()
        self._stage = ""
        self._fraction: float | None = None

    @property
    def absent_package(self) -> str:
        """The package that the child could not import, as Python's last words say it; or ""."""
        found = [match for line in self._tail for match in _ABSENT_PACKAGE.findall(line)]
        return found[-1] if found else ""

    def read_out(self, data: bytes) -> None:
        """Take bytes of the child's stdout."""
        for line in self._out.feed(data):
            self._take_line(line)

    def read_err(self, data: bytes) -> None:
        """Take bytes of the child's stderr, which is log text only."""
        for line in self._err.feed(data):
            self._add_log(line)

    def end(self) -> None:
        """Take what stands in a last line without an end."""
        for line in self._out.rest():
            self._take_line(line)
        for line in self._err.rest():
            self._add_log(line)

    def take(self) -> News:
        """What there is to show now."""
        warnings = tuple(self._warnings)
        self._warnings.clear()
        return News(progress=self._progress(), log=self._log.take(), warnings=warnings)

    def _progress(self) -> ProgressTold | None:
        if self._fraction is None:
            return None
        left = self._time_left.seconds()
        return ProgressTold(
            stage=self._stage,
            fraction=self._fraction,
            seconds_left=None if left is None else float(round(left)),
        )

    def _take_line(self, line: str) -> None:
        event = parse_event(line)
        if event is None:
            self._add_log(line)
            return
        take = {
            "started": self._take_started,
            "progress": self._take_progress,
            "log": self._take_log,
            "warning": self._take_warning,
            "result": self._take_result,
            "error": self._take_error,
        }.get(event["event"])
        if take is not None:
            take(event)

    def _take_started(self, event: dict[str, Any]) -> None:
        version = event.get("protocol")
        self.protocol = version if isinstance(version, int) else 0

    def _take_progress(self, event: dict[str, Any]) -> None:
        value = event.get("value")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return
        if not math.isfinite(value):
            return
        self._fraction = max(min(float(value), 1.0), self._fraction or 0.0)
        self._stage = self._said(event, "stage")
        self._time_left.saw(self._fraction)

    def _take_log(self, event: dict[str, Any]) -> None:
        self._add_log(self._said(event, "message"))

    def _take_warning(self, event: dict[str, Any]) -> None:
        message = self._said(event, "message")
        # A bone after the other tells the same; once is enough.
        if message and message not in self._warned:
            self._warned.add(message)
            self._warnings.append(message)

    def _take_result(self, event: dict[str, Any]) -> None:
        self.result = event

    def _take_error(self, event: dict[str, Any]) -> None:
        self.error = ErrorTold(
            code=self._said(event, "code") or "failed",
            message=self._said(event, "message"),
            remedy=self._said(event, "remedy"),
        )

    def _said(self, event: dict[str, Any], key: str) -> str:
        value = event.get(key)
        return self._shown(value) if isinstance(value, str) else ""

    def _add_log(self, line: str) -> None:
        if line.strip():
            shown = self._shown(line)
            self._log.add(shown)
            self._tail.append(shown)

    def _shown(self, text: str) -> str:
        for secret, shown in self._hidden.items():
            text = text.replace(secret, shown)
        return text
