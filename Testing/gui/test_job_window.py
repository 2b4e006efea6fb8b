"""The window lives while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.gui.fake_child import fake_command
from Testing.gui.job_runs import Heartbeat, Runs, after, folder_with_ct, running


@pytest.fixture
def runs(
    host: Any, slot_errors: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runs]:
    yield from running(host, tmp_path, monkeypatch)


@pytest.fixture
def folder(runs: Runs) -> Any:
    return folder_with_ct()


def test_the_window_is_never_blocked_by_a_run_that_floods_it(runs: Runs, folder: Any) -> None:
    """From the start over 40,000 lines of text and a cancel that is not heeded to the end."""
    import qt

    heart, loop = Heartbeat(), qt.QEventLoop()
    told = runs.start(fake_command("deaf,started,helper,flood=20000,progress=0.2,hang"), folder)
    after(1500, runs.job.cancel)
    watch = after(20, lambda: loop.quit() if told.outcomes else None, repeats=True)
    loop.exec_()
    watch.stop()
    heart.stop()

    assert told.outcome.kind == "cancelled"
    assert heart.beats > 10
    assert sum(len(text) for text in told.log) < 2_000_000


def test_waiting_in_a_script_keeps_the_window_alive(runs: Runs) -> None:
    heart = Heartbeat()
    told = runs.start(fake_command("started,sleep=0.5,result"))
    runs.job.wait()
    heart.stop()

    assert told.outcome.kind == "done"
    assert heart.beats > 10
