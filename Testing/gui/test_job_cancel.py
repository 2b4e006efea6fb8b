"""Cancel, crash and quit: no process, no folder and no false word is left."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.gui.fake_child import fake_command
from Testing.gui.job_runs import Runs, Told, folder_with_ct, running


@pytest.fixture
def runs(
    host: Any, slot_errors: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runs]:
    yield from running(host, tmp_path, monkeypatch)


@pytest.fixture
def folder(runs: Runs) -> Any:
    return folder_with_ct()


def cancelled_after(runs: Runs, told: Told) -> float:
    """Seconds from Cancel to the outcome."""
    begin = time.monotonic()
    runs.job.cancel()
    runs.job.cancel()
    assert runs.job.is_cancelling
    runs.spin(lambda: told.outcomes)
    assert (told.outcome.kind, told.outcome.code) == ("cancelled", "cancelled")
    return time.monotonic() - begin


def test_a_child_that_heeds_cancel_is_gone_at_once(runs: Runs, folder: Any) -> None:
    told = runs.started("started,progress=0.1,hang", processes=1, folder=folder)

    cancelled_after(runs, told)
    assert not folder.path.exists()


@pytest.mark.parametrize("launcher", ["", "forwards", "keeps"])
def test_a_deaf_child_with_a_helper_is_ended(runs: Runs, folder: Any, launcher: str) -> None:
    """It heeds neither the word, nor the end of stdin, nor the signal."""
    steps = "deaf,started,helper,progress=0.1,hang"
    processes = 3 if launcher else 2
    told = runs.started(steps, processes=processes, launcher=launcher, folder=folder)

    seconds = cancelled_after(runs, told)

    # A launcher dies of the signal that a deaf child ignores, and the child is killed with it.
    assert seconds > (0.5 if launcher else 1.0)
    assert runs.are_gone()
    assert not folder.path.exists()


def test_with_the_timeouts_of_the_product_cancel_takes_less_than_five_seconds(
    runs: Runs, folder: Any
) -> None:
    from FractureSegmentationPanel.run.job import CancelTimeouts, Job

    runs.job, defaults = Job(), CancelTimeouts()
    told = runs.started("deaf,started,helper,progress=0.1,hang", processes=2, folder=folder)

    seconds = cancelled_after(runs, told)

    assert defaults.signal_s < defaults.kill_s < defaults.give_up_s < 5.0
    assert seconds > 3.0
    assert runs.are_gone()


def test_behind_a_launcher_that_keeps_stdin_a_willing_child_is_asked_by_signal(
    runs: Runs,
) -> None:
    told = runs.started("started,progress=0.1,hang", processes=2, launcher="keeps")

    assert cancelled_after(runs, told) > 0.5
    assert runs.are_gone()


def test_nothing_is_told_of_the_progress_after_cancel(runs: Runs) -> None:
    told = runs.started("deaf,started,steps=400", processes=1)
    runs.job.cancel()
    count = len(told.progress)
    runs.spin(lambda: told.outcomes)

    assert len(told.progress) == count


def test_cancel_wins_over_a_result_that_comes_at_the_same_time(runs: Runs) -> None:
    told = runs.started("deaf,started,progress=0.9,sleep=0.3,result", processes=1)

    cancelled_after(runs, told)

    assert told.outcome.result is None


def test_what_a_launcher_leaves_behind_is_ended_with_the_run(runs: Runs) -> None:
    """The launcher is killed by someone else; the interpreter and its helper live on."""
    told = runs.start(fake_command("deaf,started,helper,progress=0.1,hang", launcher="keeps"))
    runs.spin(lambda: len(runs.pids()) == 3 and told.progress)
    launcher = int(runs.job._run.process.processId())
    os.kill(launcher, 9)
    runs.spin(lambda: told.outcomes)

    assert told.outcome.code == "crashed"
    assert runs.are_gone()


def test_a_child_that_has_told_its_result_and_hangs_at_its_end_is_ended(runs: Runs) -> None:
    told = runs.end("deaf,started,result,hang")

    assert told.outcome.kind == "done"
    assert runs.are_gone()


def test_cancel_without_a_run_does_nothing(runs: Runs) -> None:
    runs.job.cancel()
    runs.job.shutdown()

    assert not runs.job.is_running


def test_quitting_ends_the_run_and_clears_up(runs: Runs, folder: Any) -> None:
    told = runs.started("deaf,started,helper,progress=0.1,hang", processes=2, folder=folder)

    runs.app.aboutToQuit.emit()

    assert (told.outcome.kind, told.outcome.code) == ("cancelled", "application_quit")
    assert not folder.path.exists()
    runs.spin(runs.are_gone)


def test_after_a_run_quitting_is_not_its_concern(runs: Runs) -> None:
    told = runs.end("started,result")

    runs.app.aboutToQuit.emit()

    assert told.outcome.kind == "done"
