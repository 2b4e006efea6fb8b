"""Stopping a run: from stdin, by signals, and by force."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from FractureSegmentationLib.cli.runner import Stopper, stopped_by_signals, watch_stream
from FractureSegmentationLib.progress import CancelToken


class Leaver:
    """Remembers what it was asked to leave with."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.left = threading.Event()

    def __call__(self, status: int) -> None:
        self.status = status
        self.left.set()


def wait_for(token: CancelToken) -> bool:
    end = time.monotonic() + 5.0
    while not token.is_cancelled and time.monotonic() < end:
        time.sleep(0.01)
    return token.is_cancelled


def test_the_line_cancel_raises_the_token(tmp_path: Path) -> None:
    token = CancelToken()
    stopper = Stopper(token, tmp_path / "out", Leaver(), timeout_seconds=60.0)
    watch_stream(stopper, io.StringIO("hello\n cancel \n"), ends_run=False)
    assert wait_for(token)
    stopper.run_is_over()


@pytest.mark.parametrize("ends_run", [True, False])
def test_the_end_of_the_stream_stops_only_if_that_was_asked_for(
    tmp_path: Path, ends_run: bool
) -> None:
    token = CancelToken()
    stopper = Stopper(token, tmp_path / "out", Leaver(), timeout_seconds=60.0)
    watch_stream(stopper, io.StringIO(""), ends_run=ends_run)
    if ends_run:
        assert wait_for(token)
    else:
        time.sleep(0.2)
        assert not token.is_cancelled
    stopper.run_is_over()


def test_a_run_that_does_not_heed_is_ended_and_its_working_folder_removed(tmp_path: Path) -> None:
    working = tmp_path / f".out.fracseg-{os.getpid()}-abcd01234567"
    working.mkdir()
    (working / "half.nii.gz").write_text("x", encoding="utf-8")
    foreign = tmp_path / ".out.fracseg-1-abcd01234567"
    foreign.mkdir()
    leaver = Leaver()

    Stopper(CancelToken(), tmp_path / "out", leaver, timeout_seconds=0.1).stop()

    assert leaver.left.wait(5.0)
    assert leaver.status == 130
    assert [path.name for path in tmp_path.iterdir()] == [foreign.name]


def test_a_result_that_is_taking_its_name_is_let_finish(tmp_path: Path) -> None:
    working = tmp_path / f".out.fracseg-{os.getpid()}-abcd01234567-old"
    working.mkdir()
    leaver = Leaver()
    stopper = Stopper(CancelToken(), tmp_path / "out", leaver, timeout_seconds=0.05)
    stopper.stop()
    assert not leaver.left.wait(0.3)
    assert working.is_dir()
    stopper.run_is_over()


def test_a_run_that_ends_by_itself_is_left_alone(tmp_path: Path) -> None:
    leaver = Leaver()
    stopper = Stopper(CancelToken(), tmp_path / "out", leaver, timeout_seconds=0.2)
    stopper.stop()
    stopper.run_is_over()
    assert not leaver.left.wait(0.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_raise_the_token_and_the_old_handlers_come_back(
    tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    token = CancelToken()
    stopper = Stopper(token, tmp_path / "out", Leaver(), timeout_seconds=60.0)
    with stopped_by_signals(stopper):
        signal.raise_signal(number)
        assert wait_for(token)
    stopper.run_is_over()
    assert signal.getsignal(number) is before


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="Windows has no such signal")
def test_a_signal_that_asks_for_nothing_does_not_stop_the_run(
    tmp_path: Path,
) -> None:
    """Libraries with worker processes handle SIGCHLD, which arrives whenever a child ends."""
    token = CancelToken()
    stopper = Stopper(token, tmp_path / "out", Leaver())
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        with stopped_by_signals(stopper):
            os.kill(os.getpid(), signal.SIGCHLD)
            time.sleep(0.2)
            is_stopped_by_child = token.is_cancelled
            os.kill(os.getpid(), signal.SIGTERM)
            assert wait_for(token)
    finally:
        signal.signal(signal.SIGCHLD, before)
    stopper.run_is_over()

    assert not is_stopped_by_child


def test_outside_the_main_thread_signals_are_left_alone(tmp_path: Path) -> None:
    stopper = Stopper(CancelToken(), tmp_path / "out", Leaver())
    seen: list[object] = []

    def work() -> None:
        with stopped_by_signals(stopper):
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
