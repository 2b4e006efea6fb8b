"""What a run takes of the processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from FractureSegmentationLib.inference import processor
from FractureSegmentationLib.inference.processor import inference_threads, wait_passively


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (3, 2), (16, 15)])
def test_of_three_or_more_cores_one_is_left_to_others(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(processor, "usable_cores", lambda: cores)

    assert inference_threads() == threads


@pytest.mark.parametrize(("text", "threads"), [("5", 5), ("4,2", 4), ("many", 7), ("0", 7)])
def test_the_number_that_the_user_has_set_counts(
    monkeypatch: pytest.MonkeyPatch, text: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    monkeypatch.setattr(processor, "usable_cores", lambda: 8)

    assert inference_threads() == threads


def test_how_threads_wait_is_set_unless_the_user_has_set_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "environ", {"OMP_WAIT_POLICY": "ACTIVE"})

    wait_passively()

    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert os.environ["KMP_BLOCKTIME"] == "0"


@pytest.mark.skipif(sys.platform == "win32", reason="niceness is of POSIX")
def test_a_run_of_low_priority_and_what_it_starts_come_second(repository: Path) -> None:
    code = (
        "import os, subprocess, sys\n"
        "from FractureSegmentationLib.inference.processor import lower_priority\n"
        "before = os.nice(0)\n"
        "lower_priority()\n"
        "child = [sys.executable, '-c', 'import os; print(os.nice(0))']\n"
        "print(before, os.nice(0), subprocess.check_output(child, text=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(repository)}

    printed = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)

    before, after, child = map(int, printed.split())
    assert after == child == min(before + 10, 19)
