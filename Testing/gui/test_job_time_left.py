"""The time left: right at an even pace, calm at an uneven one, silent when nothing is known."""

from __future__ import annotations

import pytest

from FractureSegmentationPanel.run.events import TimeLeft


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def time_left(watch: Watch) -> TimeLeft:
    return TimeLeft(watch)


def run(
    time_left: TimeLeft, watch: Watch, *, seconds: int, speed: float, start: float = 0.0
) -> float:
    """Report every second at `speed` per second; returns the fraction reached."""
    for second in range(seconds):
        time_left.saw(start + speed * second)
        watch.now += 1.0
    watch.now -= 1.0
    return start + speed * (seconds - 1)


def test_at_an_even_pace_it_is_exact(time_left: TimeLeft, watch: Watch) -> None:
    """1 % per second: 20 s in, at 20 %, 80 s are left."""
    run(time_left, watch, seconds=21, speed=0.01)

    assert time_left.seconds() == pytest.approx(80.0)


def test_it_counts_down_between_two_reports(time_left: TimeLeft, watch: Watch) -> None:
    run(time_left, watch, seconds=21, speed=0.01)

    watch.now += 1.5

    assert time_left.seconds() == pytest.approx(78.5)


def test_nothing_is_said_before_there_is_enough_to_tell(time_left: TimeLeft, watch: Watch) -> None:
    assert time_left.seconds() is None
    time_left.saw(0.0)
    watch.now += 1.0
    time_left.saw(0.5)
    assert time_left.seconds() is None, "one second is too short"
    watch.now += 10.0
    slow = TimeLeft(watch)
    slow.saw(0.0)
    watch.now += 10.0
    slow.saw(0.01)
    assert slow.seconds() is None, "one percent is too little"


def test_one_leap_does_not_halve_the_estimate(time_left: TimeLeft, watch: Watch) -> None:
    """At 20 s the run leaps from 20 % to 50 %. Believing the leap alone would say 17 s."""
    run(time_left, watch, seconds=21, speed=0.01)
    watch.now += 1.0
    time_left.saw(0.5)

    left = time_left.seconds()

    assert left is not None
    assert 35.0 < left < 75.0


def test_a_slower_stage_is_noticed_within_half_a_minute(time_left: TimeLeft, watch: Watch) -> None:
    """2 % per second for 20 s, then 0.5 %: at 55 % the rest takes 90 s, not the first 30 s."""
    reached = run(time_left, watch, seconds=21, speed=0.02)
    watch.now += 1.0
    run(time_left, watch, seconds=31, speed=0.005, start=reached + 0.005)

    left = time_left.seconds()

    assert left is not None
    assert 55.0 < left < 100.0


def test_an_overdue_step_holds_the_countdown(time_left: TimeLeft, watch: Watch) -> None:
    run(time_left, watch, seconds=21, speed=0.01)

    watch.now += 10.0
    held = time_left.seconds()
    watch.now += 10.0

    assert held == pytest.approx(78.0), "two seconds were counted, twice the usual gap"
    assert time_left.seconds() == held


def test_after_a_long_silence_nothing_is_claimed(time_left: TimeLeft, watch: Watch) -> None:
    run(time_left, watch, seconds=21, speed=0.01)

    watch.now += 31.0

    assert time_left.seconds() is None


def test_it_is_never_negative_and_ends_at_zero(time_left: TimeLeft, watch: Watch) -> None:
    reached = run(time_left, watch, seconds=21, speed=0.045)
    for _ in range(20):
        watch.now += 1.0
        time_left.saw(reached)
        left = time_left.seconds()
        assert left is not None
        assert left >= 1.0
    time_left.saw(1.0)

    assert time_left.seconds() == 0.0


def test_many_reports_within_a_moment_count_as_one(time_left: TimeLeft, watch: Watch) -> None:
    """2,000 reports in a burst: the estimate still answers, from the points a moment apart."""
    for number in range(2000):
        time_left.saw(number / 4000)
        watch.now += 0.01

    assert time_left.seconds() == pytest.approx(20.0, rel=0.05)
