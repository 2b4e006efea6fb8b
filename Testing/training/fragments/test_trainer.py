"""The training loop: it learns, it goes on exactly, it survives being killed."""

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
from phantom_cases import a_case

from fracseg_training.fragments.config import PRESETS, TrainConfig
from fracseg_training.fragments.patches import PatchConfig
from fracseg_training.fragments.trainer import LOG_FIELDS, Trainer
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.networks.config import TPCNetConfig

TINY = TrainConfig(
    network=TPCNetConfig(
        features=(8, 8, 16),
        memory_keys=8,
        embedding_dim=8,
        heads=2,
        channel_embedding=8,
        spatial_embedding=8,
        spatial_grid=2,
        fca_tokens=2,
    ),
    patches=PatchConfig(size=16, min_contact_voxels=20),
    steps=6,
    warmup_steps=2,
    precision="fp32",
)
CASES = [a_case(fragments=2), a_case(fragments=1)]


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Every tensor a run ends with, averaged and not."""
    own = {f"own.{k}": v for k, v in trainer.network.state_dict().items()}
    mean = {f"mean.{k}": v for k, v in trainer.averaged.state_dict().items()}
    return own | mean


def assert_same_weights(first: Trainer, second: Trainer) -> None:
    other = weights_of(second)
    for name, tensor in weights_of(first).items():
        assert torch.equal(tensor, other[name]), name


def test_resumed_run_ends_exactly_where_an_unbroken_one_does(tmp_path: Path) -> None:
    unbroken = Trainer(CASES, TINY, tmp_path / "a")
    unbroken.train()
    Trainer(CASES, TINY, tmp_path / "b").train(until=3)

    resumed = Trainer(CASES, TINY, tmp_path / "b")
    assert resumed.step == 3
    resumed.train()

    assert_same_weights(unbroken, resumed)


def test_log_holds_one_row_per_step_even_after_steps_were_repeated(tmp_path: Path) -> None:
    first = Trainer(CASES, TINY, tmp_path)
    first.train()
    (tmp_path / "checkpoint.pt").unlink()

    Trainer(CASES, TINY, tmp_path).train()

    with (tmp_path / "log.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == LOG_FIELDS
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert float(rows[-1]["loss"]) > 0.0


_RUN = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path[:0] = {path!r}
from test_trainer import CASES, TINY
from fracseg_training.fragments.trainer import Trainer
Trainer(CASES, TINY, Path({folder!r})).train(checkpoint_seconds=0.0)
"""


def test_run_killed_without_warning_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code = _RUN.format(path=[str(Path(__file__).parent), *sys.path], folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60.0
    while not (folder / "checkpoint.pt").exists():
        assert time.monotonic() < deadline, "no checkpoint was written"
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    resumed = Trainer(CASES, TINY, folder)
    assert 1 <= resumed.step <= TINY.steps
    torch.set_num_threads(1)
    resumed.train()
    unbroken = Trainer(CASES, TINY, tmp_path / "unbroken")
    unbroken.train()

    assert_same_weights(unbroken, resumed)


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    Trainer(CASES, replace(TINY, steps=1), tmp_path).train()
    wider = replace(TINY, network=replace(TINY.network, features=(8, 16, 16)))

    with pytest.raises(InputError, match="new folder"):
        Trainer(CASES, wider, tmp_path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)

    with pytest.raises(InputError, match="damaged"):
        Trainer(CASES, TINY, tmp_path)


def test_checkpoint_of_another_program_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "checkpoint.pt")

    with pytest.raises(InputError, match="damaged"):
        Trainer(CASES, TINY, tmp_path)


def test_network_learns_to_find_the_contact_of_two_blocks(tmp_path: Path) -> None:
    """Sixty steps on two blocks: the cross-entropy falls to less than half of where it began."""
    config = replace(TINY, steps=60, learning_rate=1e-2, schedule="constant")
    rows: list[dict[str, float]] = []

    Trainer(CASES, config, tmp_path).train(on_step=rows.append)

    first = sum(row["cross_entropy"] for row in rows[:5])
    last = sum(row["cross_entropy"] for row in rows[-5:])
    assert last < 0.5 * first


def test_only_fractured_patches_enter_the_memory_unless_all_are_asked_for(tmp_path: Path) -> None:
    """One step has 2 fractured and 2 healthy patches."""
    fractured = Trainer(CASES, replace(TINY, steps=1), tmp_path / "a")
    fractured.train()
    everything = Trainer(CASES, replace(TINY, steps=1, memory_source="all"), tmp_path / "b")
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
        ),
    )

    trainer = Trainer(CASES, shrunk, tmp_path)
    trainer.train()

    assert trainer.step == 1
    assert all(torch.isfinite(p).all() for p in trainer.network.parameters())


def test_learning_rate_rises_then_falls_to_zero() -> None:
    config = TrainConfig(steps=100, warmup_steps=10, learning_rate=1.0)

    assert config.learning_rate_at(4) == pytest.approx(0.5 * 0.96**0.9)
    assert config.learning_rate_at(50) == pytest.approx(0.5**0.9)
    assert config.learning_rate_at(99) < 0.02
