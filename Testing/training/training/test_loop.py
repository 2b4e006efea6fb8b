"""The loop itself: validation, best weights, interruption, accumulation, several processes."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from phantom_cases import a_case
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_runs import CASES, TINY, a_run

from fracseg_training.fragments.task import FragmentTask
from fracseg_training.training.device import usable_precision
from fracseg_training.training.loop import TrainingRun
from fracseg_training.training.run_folder import RunFolder
from FractureSegmentationLib.errors import InputError, RunCancelledError
from FractureSegmentationLib.networks.weights import load_model

HELD_OUT = [a_case(fragments=2, patient="two"), a_case(fragments=1, patient="two")]


class ScriptedTask(FragmentTask):
    """Scores what it is told to, volume after volume."""

    def __init__(self, *arguments: Any, scores: list[float], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._scores = iter(scores)

    def score(self, network: object, volume: object, device: str) -> dict[str, float]:
        return {"fragment_iou": next(self._scores)}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_whole_bones_are_decoded_and_scored_every_so_many_steps(tmp_path: Path) -> None:
    a_run(tmp_path, replace(TINY, steps=3), validation=HELD_OUT).train(validate_every=2)

    rows = rows_of(tmp_path)
    assert [bool(row["val/fragment_iou"]) for row in rows] == [False, True, True]
    assert 0.0 <= float(rows[1]["val/fragment_iou"]) <= 1.0
    assert float(rows[1]["val/intact_kept"]) in {0.0, 1.0}
    assert (tmp_path / "best.safetensors").exists()


def test_validation_does_not_change_what_is_trained(tmp_path: Path) -> None:
    plain = a_run(tmp_path / "a", replace(TINY, steps=3))
    plain.train()
    watched = a_run(tmp_path / "b", replace(TINY, steps=3), validation=HELD_OUT)
    watched.train(validate_every=1)

    for name, values in plain.averaged.state_dict().items():
        assert torch.equal(values, watched.averaged.state_dict()[name]), name


def test_weights_with_the_highest_score_are_kept_and_exported(tmp_path: Path) -> None:
    """Two volumes at steps 1, 2 and 3: means 0.3, 0.7 and 0.5."""
    scores = [0.2, 0.4, 0.9, 0.5, 0.5, 0.5]
    task = ScriptedTask(CASES, replace(TINY, steps=3), validation=HELD_OUT, scores=scores)
    run = TrainingRun(task, tmp_path)
    seen: dict[int, torch.Tensor] = {}
    run.train(
        validate_every=1,
        on_step=lambda row: seen.update({int(row["step"]): run.averaged.head.weight.clone()}),
    )

    assert run.best == pytest.approx(0.7)
    assert torch.equal(load_file(tmp_path / "best.safetensors")["head.weight"], seen[2])
    with safe_open(tmp_path / "best.safetensors", "pt") as stored:
        assert stored.metadata()["step"] == "2"
    assert RunFolder(tmp_path).export(tmp_path / "best") == 2
    assert RunFolder(tmp_path).export(tmp_path / "last", "last") == 3
    assert load_model(tmp_path / "best")[0].results["validation_score"] == pytest.approx(0.7)


def test_resumed_run_remembers_its_best_score(tmp_path: Path) -> None:
    config = replace(TINY, steps=2)
    first = ScriptedTask(CASES, config, validation=HELD_OUT, scores=[0.8, 0.8])
    TrainingRun(first, tmp_path).train(until=1, validate_every=1)
    later = ScriptedTask(CASES, config, validation=HELD_OUT, scores=[0.1, 0.1])

    run = TrainingRun(later, tmp_path)
    run.train(validate_every=1)

    assert run.best == pytest.approx(0.8)
    assert RunFolder(tmp_path).export(tmp_path / "model") == 1


def test_patient_is_never_trained_and_validated_on() -> None:
    with pytest.raises(ValueError, match="one would be trained and validated on"):
        FragmentTask(CASES, TINY, validation=[a_case(patient="one")])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_saves_and_resumes_exactly(tmp_path: Path, number: int) -> None:
    unbroken = a_run(tmp_path / "a", replace(TINY, steps=4))
    unbroken.train()
    handler = signal.getsignal(number)

    with pytest.raises(RunCancelledError, match="step 2"):
        a_run(tmp_path / "b", replace(TINY, steps=4)).train(
            on_step=lambda row: os.kill(os.getpid(), number) if row["step"] == 2 else None
        )
    resumed = a_run(tmp_path / "b", replace(TINY, steps=4))
    assert resumed.step == 2
    resumed.train()

    assert signal.getsignal(number) is handler
    for name, values in unbroken.network.state_dict().items():
        assert torch.equal(values, resumed.network.state_dict()[name]), name


def test_accumulated_gradients_are_those_of_all_batches(tmp_path: Path) -> None:
    """Two batches per step: the second step sees batches 2 and 3."""
    seen: list[int] = []

    class Watched(FragmentTask):
        def batch(self, index: int) -> Any:
            seen.append(index)
            return super().batch(index)

    TrainingRun(Watched(CASES, replace(TINY, steps=2, accumulate=2)), tmp_path).train()

    assert seen == [0, 1, 2, 3]


def test_batches_prepared_ahead_are_the_same_ones(tmp_path: Path) -> None:
    alone = a_run(tmp_path / "a", replace(TINY, steps=2))
    alone.train()
    helped = a_run(tmp_path / "b", replace(TINY, steps=2), workers=1)
    helped.train()

    for name, values in alone.network.state_dict().items():
        assert torch.equal(values, helped.network.state_dict()[name]), name


def test_run_draws_its_curves_and_writes_tensorboard_events(tmp_path: Path) -> None:
    a_run(tmp_path, replace(TINY, steps=2)).train()

    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "tensorboard").glob("events.out.*"))


def test_precision_is_what_the_device_can_do() -> None:
    assert usable_precision(torch.device("cpu"), "fp16") == "bf16"
    assert usable_precision(torch.device("mps"), "bf16") == "fp32"
    assert usable_precision(torch.device("cpu"), "fp32") == "fp32"


def test_unknown_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no device called 'gpu'"):
        a_run(tmp_path, device="gpu")


_RANK = """
import os, sys
sys.path[:0] = {path!r}
from dataclasses import replace
from pathlib import Path
import torch
from tiny_runs import TINY, a_run
from phantom_cases import a_case
HELD_OUT = [a_case(patient="two", fragments=n) for n in (1, 2)]
torch.set_num_threads(1)
run = a_run(Path({folder!r}), replace(TINY, steps=2), validation=HELD_OUT)
run.train(validate_every=2)
torch.save(run.network.state_dict(), Path({folder!r}) / f"rank{{os.environ['RANK']}}.pt")
torch.distributed.destroy_process_group()
"""


def test_two_processes_end_with_the_same_weights(tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    code = _RANK.format(path=sys.path, folder=str(tmp_path / "run"))
    script.write_text(code)

    launched = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node=2",
            "--rdzv-backend=c10d",
            "--rdzv-endpoint=localhost:0",
            str(script),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert launched.returncode == 0, launched.stderr[-3000:]
    first, second = (
        torch.load(tmp_path / "run" / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    assert all(torch.equal(values, second[name]) for name, values in first.items())
    assert len(rows_of(tmp_path / "run")) == 2
    # Two fractured patches per process and step enter the memory that both share.
    assert int(first["prior.memory.memory_count"]) == 8
