"""The events of a child process, read from its output without Qt; and the time a run still takes.

The protocol is that of `FractureSegmentationLib/protocol.py`. Whatever else a child writes (its
packages print what they like, in any encoding, in parts of lines) becomes log text.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_LOG_LINES = 300
LONGEST_LOG_LINE = 2000
_TAIL_LINES = 60
_ABSENT_PACKAGE = re.compile(r"No module named '([\w.]+)'")
LONGEST_LINE_BYTES = 1 << 20
# Of the estimate of the time left.
_RECENT_SECONDS = 30.0
_MOST_POINTS = 24
_LEAST_POINTS = 4
_CLOSEST_SECONDS = 0.25
_LEAST_ELAPSED_SECONDS = 3.0
_LEAST_DONE = 0.02
_SILENT_SECONDS = 30.0
_INERTIA = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReport:
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
class ErrorReport:
    """The failure that a child reported as its last event."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What arrived since it was last taken; bounded, however much the child wrote."""

    progress: ProgressReport | None
    log: str
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Log:
    """The latest lines that were not shown yet."""

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
        clock: returns the time in seconds.

    Attributes:
        result: the result event, once it came.
        error: the failure, once it was reported.
        protocol: the version of the protocol that the child speaks; None before it said so.
    """

    def __init__(
        self,
        hidden: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.result: dict[str, Any] | None = None
        self.error: ErrorReport | None = None
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
        names = [match for line in self._tail for match in _ABSENT_PACKAGE.findall(line)]
        return names[-1] if names else ""

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

    def _progress(self) -> ProgressReport | None:
        if self._fraction is None:
            return None
        left = self._time_left.seconds()
        return ProgressReport(
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
        self._stage = self._text_in(event, "stage")
        self._time_left.saw(self._fraction)

    def _take_log(self, event: dict[str, Any]) -> None:
        self._add_log(self._text_in(event, "message"))

    def _take_warning(self, event: dict[str, Any]) -> None:
        message = self._text_in(event, "message")
        # Every bone may raise the same warning; once is enough.
        if message and message not in self._warned:
            self._warned.add(message)
            self._warnings.append(message)

    def _take_result(self, event: dict[str, Any]) -> None:
        self.result = event

    def _take_error(self, event: dict[str, Any]) -> None:
        self.error = ErrorReport(
            code=self._text_in(event, "code") or "failed",
            message=self._text_in(event, "message"),
            remedy=self._text_in(event, "remedy"),
        )

    def _text_in(self, event: dict[str, Any], key: str) -> str:
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


class LineSplitter:
    """Cuts bytes that arrive in any portions into lines of text.

    A line without an end that grows beyond `LONGEST_LINE_BYTES` is given in parts.
    """

    def __init__(self) -> None:
        self._partial = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete, without their ends; bad UTF-8 is replaced."""
        *complete, rest = data.split(b"\n")
        if complete:
            complete[0] = bytes(self._partial) + complete[0]
            self._partial.clear()
        self._partial += rest
        if len(self._partial) > LONGEST_LINE_BYTES:
            complete.append(bytes(self._partial))
            self._partial.clear()
        return [_text(line) for line in complete]

    def rest(self) -> list[str]:
        """What came after the last line end, once there will be no more."""
        partial = bytes(self._partial)
        self._partial.clear()
        return [_text(partial)] if partial else []


def parse_event(line: str) -> dict[str, Any] | None:
    """The event of a line; None if it is any other text."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and isinstance(value.get("event"), str):
        return value
    return None


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")


class TimeLeft:
    """Estimates the time left, without believing any single leap.

    The speed is the middle (geometric mean) of two: the median of the slopes between the recent
    points, which follows the current stage and ignores leaps, and the mean speed of the whole run,
    which is slow to change. The end is then moved only part of the way to where they put it.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, float] | None = None
        self._points: deque[tuple[float, float]] = deque(maxlen=_MOST_POINTS)
        self._end: float | None = None

    def saw(self, fraction: float) -> None:
        """Note that this part of the run, 0 to 1, is done now."""
        now = self._clock()
        if self._first is None:
            self._first = (now, fraction)
        if self._points and now - self._points[-1][0] < _CLOSEST_SECONDS:
            self._points[-1] = (self._points[-1][0], fraction)
            return
        self._points.append((now, fraction))
        speed = self._speed()
        if speed is None:
            return
        end = now + (1.0 - fraction) / speed
        self._end = end if self._end is None else _INERTIA * self._end + (1.0 - _INERTIA) * end

    def seconds(self) -> float | None:
        """Seconds left; None at the start, and when nothing was heard for long."""
        if self._end is None or not self._points:
            return None
        now = self._clock()
        heard, fraction = self._points[-1]
        gaps = [b - a for (a, _), (b, _) in itertools.pairwise(self._points)]
        usual_gap = statistics.median(gaps) if gaps else 0.0
        if now - heard > max(_SILENT_SECONDS, 4.0 * usual_gap):
            return None
        if fraction >= 1.0:
            return 0.0
        # A step that is overdue holds the countdown instead of running it down to nothing.
        counted = min(now, heard + max(2.0 * usual_gap, 1.0))
        return max(self._end - counted, 1.0)

    def _speed(self) -> float | None:
        """Fraction per second; None before there is enough to estimate it."""
        (begin, from_fraction), (now, fraction) = self._first or (0.0, 0.0), self._points[-1]
        if now - begin < _LEAST_ELAPSED_SECONDS or fraction - from_fraction < _LEAST_DONE:
            return None
        mean = (fraction - from_fraction) / (now - begin)
        recent = [point for point in self._points if now - point[0] <= _RECENT_SECONDS]
        if len(recent) < _LEAST_POINTS:
            return mean
        slopes = [
            (after - before) / (later - earlier)
            for (earlier, before), (later, after) in itertools.combinations(recent, 2)
        ]
        # Standing still for half the time is no reason to expect that it never ends.
        return math.sqrt(mean * max(statistics.median(slopes), 0.1 * mean))
