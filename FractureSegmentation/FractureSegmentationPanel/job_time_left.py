"""How long a run still takes, from how far it was at which time."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections import deque
from collections.abc import Callable

_RECENT_SECONDS = 30.0
_MOST_POINTS = 24
_LEAST_POINTS = 4
_CLOSEST_SECONDS = 0.25
_LEAST_ELAPSED_SECONDS = 3.0
_LEAST_DONE = 0.02
_SILENT_SECONDS = 30.0
_INERTIA = 0.6


class TimeLeft:
    """Estimates the time left, without believing any single leap.

    The speed is the middle (geometric mean) of two: the median of the slopes between the recent
    points, which follows the current stage and ignores leaps, and the mean speed of the whole run,
    which is slow to change. The end is then moved only part of the way to where they put it.

    Args:
        clock: tells the time in seconds.
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
        """Fraction per second; None before there is enough to tell."""
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
