"""Compare the speed of two ways to the same result, and the rows that report it."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = Callable[[], float]

First = TypeVar("First")
Second = TypeVar("Second")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paired(Generic[First, Second]):
    """What two ways returned, and how long each took.

    Attributes:
        first: what the first way returned the last time.
        second: what the second way returned the last time.
        first_seconds: median time of the first way.
        second_seconds: median time of the second way.
        ratio: median over the pairs of first time / second time: above 1 the second is faster.
    """

    first: First
    second: Second
    first_seconds: float
    second_seconds: float
    ratio: float


def paired(
    first: Callable[[], First],
    second: Callable[[], Second],
    *,
    repeats: int,
    clock: Clock = time.process_time,
) -> Paired[First, Second]:
    """Run two ways in turn, A B A B, and compare each pair.

    Whatever slows the machine down for a while slows both halves of a pair, so the ratio of
    a pair is steadier than either time.

    Args:
        first: one way.
        second: the other way.
        repeats: number of pairs, at least one.
        clock: returns the time in seconds.

    Raises:
        ValueError: there is no pair to run.
    """
    if repeats < 1:
        raise ValueError(f"at least one pair is needed, got {repeats}")
    firsts: list[float] = []
    seconds: list[float] = []
    for _ in range(repeats):
        begin = clock()
        first_result = first()
        between = clock()
        second_result = second()
        end = clock()
        firsts.append(between - begin)
        seconds.append(end - between)
    pairs = zip(firsts, seconds, strict=True)
    return Paired(
        first=first_result,
        second=second_result,
        first_seconds=statistics.median(firsts),
        second_seconds=statistics.median(seconds),
        ratio=statistics.median(a / max(b, 1e-9) for a, b in pairs),
    )


def clock_for(threads: int) -> Clock:
    """Processor time where one thread works, for other programs do not count in it; else a watch.

    Args:
        threads: threads that work at the same time.
    """
    return time.process_time if threads == 1 else time.perf_counter


def peak_mebibytes(run: Callable[[], object]) -> float:
    """The most memory that numpy and Python held at once during a run, beyond what was held before.

    Args:
        run: what is measured; memory that PyTorch takes for itself is not seen.
    """
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedSettings:
    """How the speed is measured.

    Attributes:
        data: folder that holds `real`.
        threads: of the networks.
        repeats: pairs per ratio.
        uses_network_maps: recover from the maps of the shipped weights; else from true ones with
            noise, which takes no network.

    Raises:
        ValueError: a count is below one.
    """

    data: Path
    threads: int = 1
    repeats: int = 3
    uses_network_maps: bool = False

    def __post_init__(self) -> None:
        if min(self.threads, self.repeats) < 1:
            raise ValueError(f"threads and repeats must be at least 1, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRow:
    """One line of the table.

    Attributes:
        name: what is compared.
        measured: figures with their units.
        target: what was asked for; empty where the figure only informs.
        is_met: None where there is no target.
    """

    name: str
    measured: str
    target: str = ""
    is_met: bool | None = None

    def line(self) -> str:
        """The row as a line of text."""
        verdict = {None: "", True: "met", False: "MISSED"}[self.is_met]
        asked = f"  [{self.target}: {verdict}]" if self.target else ""
        return f"{self.name}: {self.measured}{asked}"
