"""How runs of child processes end, and what is told of them on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.gui.fake_child import GPU_MEMORY, RESULT, fake_command
from Testing.gui.job_runs import Runs, Told, folder_with_ct, handlers_of, running


@pytest.fixture
def runs(
    host: Any, slot_errors: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runs]:
    yield from running(host, tmp_path, monkeypatch)


@pytest.fixture
def folder(runs: Runs) -> Any:
    return folder_with_ct()


def test_a_run_tells_stage_fraction_warnings_log_and_its_result(runs: Runs) -> None:
    told = runs.end("started,stage=bones,progress=0.3,sleep=0.3,log=Reading,warning=Thick,result")

    assert told.outcome.kind == "done"
    assert told.outcome.result == RESULT
    assert told.outcome.text == ""
    assert told.progress[0] == ("bones", 0.3, None)
    assert told.warnings == ["Thick"]
    assert told.log == ["Reading"]
    assert not runs.job.is_running


def test_every_word_of_a_fast_run_is_told_before_its_end(runs: Runs) -> None:
    told = runs.end("started,warning=First,progress=1.0,log=Last,result")

    assert told.warnings == ["First"]
    assert told.log == ["Last"]
    assert told.progress == [("read", 1.0, None)]


def test_the_time_left_is_told_and_falls(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 steps of at least 50 ms, by a clock that goes five times as fast: 10 s or more in all."""
    monkeypatch.setattr(runs.job, "_clock", lambda: 5.0 * time.monotonic())

    told = runs.end("started,steps=40,result")

    fractions = [fraction for _, fraction, _ in told.progress]
    known = [left for _, _, left in told.progress if left is not None]
    assert fractions == sorted(fractions)
    assert len(known) > 5
    assert known[-1] < known[0]
    assert all(left == round(left) for left in known)


def test_noise_in_any_encoding_is_log_text_and_disturbs_nothing(runs: Runs) -> None:
    told = runs.end("started,noise,halves,result")

    log = "\n".join(told.log)
    assert told.outcome.kind == "done"
    assert "caf� {not json}" in log
    assert "ITK says ��" in log
    assert ("bones", 0.25) in {(stage, fraction) for stage, fraction, _ in told.progress}


def test_a_gpu_without_enough_memory_is_told_and_the_run_goes_on(runs: Runs) -> None:
    told = runs.end("started,gpu_memory,gpu_memory,result")

    assert told.warnings == [GPU_MEMORY]
    assert told.outcome.kind == "done"


@pytest.mark.parametrize(
    ("code", "word_of_remedy"),
    [
        ("no_bone", "other bones"),
        ("missing_weights", "Extensions Manager"),
        ("damaged_weights", "Extensions Manager"),
        ("environment", "Use --model."),
        ("bad_input", "Use --model."),
        ("failed", "log"),
    ],
)
def test_a_failure_that_the_child_tells_is_passed_on(
    runs: Runs, code: str, word_of_remedy: str
) -> None:
    outcome = runs.end(f"started,error={code}").outcome

    assert (outcome.kind, outcome.code) == ("failed", code)
    assert outcome.message == f"A made-up {code}."
    assert word_of_remedy in outcome.remedy
    assert outcome.result is None


@pytest.mark.parametrize(
    ("steps", "code", "word"),
    [
        ("started,progress=0.5,crash", "crashed", "unexpectedly"),
        ("exit=3", "crashed", "status 3"),
        ("absent=torch", "missing_packages", "torch"),
        ("started,progress=1.0", "no_result", "without a result"),
        ("future,result", "other_version", "does not fit"),
    ],
)
def test_an_end_without_a_word_has_a_clear_outcome(
    runs: Runs, steps: str, code: str, word: str
) -> None:
    outcome = runs.end(steps).outcome

    assert (outcome.kind, outcome.code) == ("failed", code)
    assert word in outcome.message
    assert outcome.remedy


def test_a_crash_behind_a_launcher_is_a_crash(runs: Runs) -> None:
    assert runs.end("started,crash", launcher="forwards").outcome.code == "crashed"


def test_a_program_that_is_not_there_has_an_outcome(runs: Runs, folder: Any) -> None:
    told = runs.start(["/no/such/PythonSlicer", "-u"], folder)
    runs.spin(lambda: told.outcomes)

    assert told.outcome.code == "failed_to_start"
    assert not folder.path.exists()


def test_a_second_click_leaves_the_first_run_alone(runs: Runs, folder: Any) -> None:
    from FractureSegmentationPanel.run.folder import JobFolder

    first = runs.started("started,progress=0.1,sleep=0.5,result", processes=1, folder=folder)
    second_folder = JobFolder()
    second = runs.start(fake_command("started,result"), second_folder)

    assert second.outcome.code == "already_running"
    assert not second_folder.path.exists()
    assert folder.path.exists()
    runs.spin(lambda: first.outcomes)
    assert first.outcome.kind == "done"


def test_runs_follow_each_other_also_from_within_the_end_of_one(runs: Runs) -> None:
    kinds: list[str] = []

    def again(outcome: Any) -> None:
        kinds.append(outcome.kind)
        if len(kinds) < 3:
            runs.job.start(fake_command("started,result"), handlers)

    handlers = handlers_of(Told(), again)
    runs.job.start(fake_command("started,result"), handlers)
    runs.spin(lambda: len(kinds) == 3)

    assert kinds == ["done"] * 3


def test_the_working_folder_stands_until_the_result_was_taken(runs: Runs, folder: Any) -> None:
    told = runs.start(fake_command("started,result"), folder)
    runs.spin(lambda: told.outcomes)

    assert told.folder_stood == [True]
    assert not folder.path.exists()


def test_a_handler_that_fails_keeps_no_run_from_ending(
    runs: Runs, folder: Any, slot_errors: Any
) -> None:
    from FractureSegmentationPanel.run.job import JobHandlers

    ends: list[Any] = []

    def fail(*_: object) -> None:
        raise RuntimeError("a bug of the panel")

    def fail_at_the_end(outcome: Any) -> None:
        ends.append(outcome)
        fail()

    handlers = JobHandlers(progress=fail, log=fail, warning=fail, finished=fail_at_the_end)
    runs.job.start(fake_command("started,progress=0.1,log=a,sleep=0.4,result"), handlers, folder)
    runs.spin(lambda: ends)

    assert ends[0].kind == "done"
    assert not folder.path.exists()
    assert not runs.job.is_running
    assert slot_errors, "and the bug is seen"
    slot_errors.clear()
