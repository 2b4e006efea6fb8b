"""Progress: what a listener hears, and where Cancel takes effect."""

from __future__ import annotations

import threading

import pytest

from FractureSegmentationLib.errors import RunCancelledError
from FractureSegmentationLib.progress import CancelToken, Event, Progress


def test_a_stage_tells_its_share_of_the_whole_run() -> None:
    heard: list[Event] = []
    progress = Progress(listener=heard.append)

    progress.enter("bones", 0.2, 0.6)
    progress.report(0.5)
    progress.report(1.0)

    assert [event.value for event in heard] == pytest.approx([0.2, 0.4, 0.6])
    assert {(event.kind, event.stage) for event in heard} == {("progress", "bones")}


@pytest.mark.parametrize(("fraction", "value"), [(-0.5, 0.2), (1.5, 0.6)])
def test_a_stage_never_leaves_its_share(fraction: float, value: float) -> None:
    heard: list[Event] = []
    progress = Progress(listener=heard.append, span=(0.2, 0.6))

    progress.report(fraction)

    assert heard[-1].value == pytest.approx(value)


def test_warnings_are_heard_and_kept_for_the_report_and_details_are_not() -> None:
    heard: list[Event] = []
    progress = Progress(listener=heard.append)
    progress.enter("read", 0.0, 0.1)

    progress.log("312 slices")
    progress.warn("Slices are 5 mm thick.")

    assert heard[1:] == [
        Event(kind="log", stage="read", message="312 slices"),
        Event(kind="warning", stage="read", message="Slices are 5 mm thick."),
    ]
    assert progress.warnings == ["Slices are 5 mm thick."]


def test_two_runs_do_not_share_warnings_or_cancel() -> None:
    first, second = Progress(), Progress()

    first.warn("only here")
    first.token.cancel()

    assert second.warnings == []
    assert not second.token.is_cancelled
    second.report(0.5)


def test_a_cancelled_run_stops_at_its_next_report_and_says_nothing_more() -> None:
    heard: list[Event] = []
    progress = Progress(listener=heard.append)
    progress.token.cancel()

    with pytest.raises(RunCancelledError) as stop:
        progress.report(0.5)

    assert heard == []
    assert (stop.value.code, stop.value.exit_status) == ("cancelled", 130)


def test_a_stage_does_not_begin_after_cancel() -> None:
    token = CancelToken()
    token.cancel()

    with pytest.raises(RunCancelledError):
        Progress(token=token).enter("bones", 0.0, 0.5)


def test_another_thread_can_cancel() -> None:
    token = CancelToken()
    token.raise_if_cancelled()

    thread = threading.Thread(target=token.cancel)
    thread.start()
    thread.join(timeout=5.0)

    assert token.is_cancelled
