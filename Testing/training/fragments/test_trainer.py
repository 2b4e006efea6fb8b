"""A run of TPC-Net: it learns, it resumes exactly, it survives being killed."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_runs import TINY, a_run

from fracseg_training.fragments.config import PRESETS, TrainConfig
from fracseg_training.training.loop import TrainingRun
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.networks.tpc_net import TPCNet


def weights_of(trainer: TrainingRun[TPCNet]) -> dict[str, torch.Tensor]:
    """Every tensor a run ends with, averaged and not."""
    own = {f"own.{k}": v for k, v in trainer.network.state_dict().items()}
    mean = {f"mean.{k}": v for k, v in trainer.averaged.state_dict().items()}
    return own | mean


def assert_same_weights(first: TrainingRun[TPCNet], second: TrainingRun[TPCNet]) -> None:
    other = weights_of(second)
    for name, tensor in weights_of(first).items():
        assert torch.equal(tensor, other[name]), name


def test_resumed_run_ends_exactly_where_an_unbroken_one_does(tmp_path: Path) -> None:
    unbroken = a_run(tmp_path / "a")
    unbroken.train()
    a_run(tmp_path / "b").train(until=3)

    resumed = a_run(tmp_path / "b")
    assert resumed.step == 3
    resumed.train()

    assert_same_weights(unbroken, resumed)


def test_log_holds_one_row_per_step_even_after_steps_were_repeated(tmp_path: Path) -> None:
    first = a_run(tmp_path)
    first.train()
    (tmp_path / "checkpoint.pt").unlink()

    a_run(tmp_path).train()

    with (tmp_path / "log.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        "step",
        "train/loss",
        "train/cross_entropy",
        "train/dice_loss",
        "train/contrast",
        "train/contact_dice",
        "train/bank_rank",
        "train/probe_auc_0",
        "train/probe_auc_1",
        "train/probe_auc_2",
        "train/cosine",
        "learning_rate",
        "seconds",
    ]
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert float(rows[-1]["train/loss"]) > 0.0


_RUN = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path[:0] = {path!r}
from tiny_runs import a_run
a_run(Path({folder!r})).train(checkpoint_seconds=0.0)
"""


def test_run_killed_without_warning_resumes_from_its_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code = _RUN.format(path=sys.path, folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60.0
    while not (folder / "checkpoint.pt").exists():
        assert time.monotonic() < deadline, "no checkpoint was written"
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    resumed = a_run(folder)
    assert 1 <= resumed.step <= TINY.steps
    torch.set_num_threads(1)
    resumed.train()
    unbroken = a_run(tmp_path / "unbroken")
    unbroken.train()

    assert_same_weights(unbroken, resumed)


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    a_run(tmp_path, replace(TINY, steps=1)).train()
    wider = replace(TINY, network=replace(TINY.network, features=(8, 16, 16)))

    with pytest.raises(InputError, match="features was"):
        a_run(tmp_path, wider)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    a_run(tmp_path).train(until=1)
    (tmp_path / "checkpoint.pt").write_bytes(content)

    with pytest.raises(InputError, match="damaged"):
        a_run(tmp_path)


def test_checkpoint_of_another_program_is_refused(tmp_path: Path) -> None:
    a_run(tmp_path).train(until=1)
    torch.save([torch.zeros(1)], tmp_path / "checkpoint.pt")

    with pytest.raises(InputError, match="damaged"):
        a_run(tmp_path)


def test_network_learns_to_find_the_contact_of_two_blocks(tmp_path: Path) -> None:
    """Sixty steps on two blocks: the cross-entropy falls to less than half of where it began."""
    config = replace(TINY, steps=60, learning_rate=1e-2, schedule="constant")
    rows: list[dict[str, float]] = []

    a_run(tmp_path, config).train(on_step=rows.append)

    first = sum(row["train/cross_entropy"] for row in rows[:5])
    last = sum(row["train/cross_entropy"] for row in rows[-5:])
    assert last < 0.5 * first


def test_only_fractured_patches_enter_the_memory_unless_all_are_asked_for(tmp_path: Path) -> None:
    """One step has 2 fractured and 2 healthy patches."""
    fractured = a_run(tmp_path / "a", replace(TINY, steps=1))
    fractured.train()
    everything = a_run(tmp_path / "b", replace(TINY, steps=1, memory_source="all"))
    everything.train()

    assert int(fractured.network.state_dict()["prior.memory.memory_count"]) == 2
    assert int(everything.network.state_dict()["prior.memory.memory_count"]) == 4


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_trains_a_step_when_shrunk(name: str, tmp_path: Path) -> None:
    preset = PRESETS[name]
    shrunk = replace(
        preset,
        steps=1,
        precision="fp32",
        patches=TINY.patches,
        network=replace(
            TINY.network,
            use_memory=preset.network.use_memory,
            use_contrastive=preset.network.use_contrastive,
            use_fca=preset.network.use_fca,
            use_channel_attention=preset.network.use_channel_attention,
            use_spatial_attention=preset.network.use_spatial_attention,
            masked_descriptors=preset.network.masked_descriptors,
            normalised_memory=preset.network.normalised_memory,
            centred_embeddings=preset.network.centred_embeddings,
            embedding_scales=(1, 2) if preset.network.embedding_scales else (),
        ),
    )

    trainer = a_run(tmp_path, shrunk)
    trainer.train()

    assert trainer.step == 1
    assert all(torch.isfinite(p).all() for p in trainer.network.parameters())


def test_learning_rate_rises_then_falls_to_zero() -> None:
    config = TrainConfig(steps=100, warmup_steps=10, learning_rate=1.0)

    assert config.learning_rate_at(4) == pytest.approx(0.5 * 0.96**0.9)
    assert config.learning_rate_at(50) == pytest.approx(0.5**0.9)
    assert config.learning_rate_at(99) < 0.02
