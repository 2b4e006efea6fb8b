from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fracseg_training.bones.config import COARSE, FINE, BoneTrainConfig
from fracseg_training.bones.pool import PoolVolume
from fracseg_training.bones.task import BoneTask
from fracseg_training.training.export import without_class_weights
from fracseg_training.training.loop import TrainingRun
from fracseg_training.training.run_folder import RunFolder
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.networks.config import UNet3DConfig
from FractureSegmentationLib.networks.unet3d import UNet3D
from FractureSegmentationLib.networks.weights import load_model

TINY = replace(
    COARSE,
    network=UNet3DConfig(features=(4, 8)),
    patch=(16, 16, 16),
    batch=1,
    steps=6,
    warmup_steps=1,
)


def a_pool() -> list[PoolVolume]:
    bones = np.zeros((30, 30, 30), np.uint8)
    bones[8:20, 8:20, 4:12], bones[8:20, 8:20, 18:26] = 3, 2
    hu = np.where(bones > 0, 500, 0).astype(np.int16)
    return [PoolVolume(name="0000", hu=hu, bones=bones)]


def a_run(folder: Path, config: BoneTrainConfig = TINY) -> TrainingRun[UNet3D]:
    return TrainingRun(BoneTask(a_pool(), config), folder)


def weights(trainer: TrainingRun[UNet3D]) -> torch.Tensor:
    parameters = [*trainer.network.parameters(), *trainer.averaged.parameters()]
    return torch.cat([p.detach().flatten() for p in parameters])


def test_an_interrupted_run_goes_on_exactly(tmp_path: Path) -> None:
    whole = a_run(tmp_path / "whole")
    whole.train()
    first = a_run(tmp_path / "parts")
    first.train(until=3)
    resumed = a_run(tmp_path / "parts")
    assert resumed.step == 3
    resumed.train()

    assert torch.equal(weights(whole), weights(resumed))


def test_the_log_has_one_row_per_step_also_after_a_crash(tmp_path: Path) -> None:
    trainer = a_run(tmp_path)
    trainer.train(until=2)
    with (tmp_path / "log.csv").open("a", newline="") as stream:
        csv.writer(stream).writerow(["3", *["0"] * 6])
    a_run(tmp_path).train(until=4)

    with (tmp_path / "log.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == [
        "step",
        "train/loss",
        "train/cross_entropy",
        "train/dice_loss",
        "train/bone_dice",
        "learning_rate",
        "seconds",
    ]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3", "4"]
    assert float(rows[3][1]) > 0.0


def test_checkpoints_are_written_by_the_clock(tmp_path: Path) -> None:
    times = iter(range(0, 100_000, 100))
    trainer = a_run(tmp_path)
    seen: list[bool] = []
    trainer.train(
        until=2,
        checkpoint_seconds=150.0,
        clock=lambda: float(next(times)),
        on_step=lambda _: seen.append((tmp_path / "checkpoint.pt").exists()),
    )

    assert seen == [False, True]


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    losses: list[float] = []
    config = replace(TINY, steps=40, batch=2, learning_rate=1e-2)

    a_run(tmp_path, config).train(on_step=lambda row: losses.append(row["train/loss"]))

    assert np.mean(losses[-10:]) < 0.85 * np.mean(losses[:5])


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    a_run(tmp_path).train(until=1)
    other = replace(TINY, network=UNet3DConfig(features=(4, 16)))

    with pytest.raises(InputError, match="features was"):
        a_run(tmp_path, other)


def test_no_model_is_made_of_a_damaged_checkpoint(tmp_path: Path) -> None:
    a_run(tmp_path).train(until=1)
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")

    with pytest.raises(InputError, match="damaged"):
        RunFolder(tmp_path).export(tmp_path / "model")


def test_a_run_becomes_a_model_that_the_library_loads(tmp_path: Path) -> None:
    trainer = a_run(tmp_path / "run")
    trainer.train(until=2)

    step = RunFolder(tmp_path / "run").export(tmp_path / "model")
    spec, loaded = load_model(tmp_path / "model")

    assert step == 2
    assert spec.name == "bones-coarse"
    assert spec.channels == (
        "background",
        "sacrum",
        "left_hip",
        "right_hip",
        "left_femur",
        "right_femur",
    )
    assert spec.spacing_mm == (3.0, 3.0, 3.0)
    assert spec.normalisation["low_hu"] == -250.0
    mine = dict(without_class_weights(trainer.averaged, TINY.class_weights).state_dict())
    for name, values in loaded.state_dict().items():
        assert torch.allclose(values, mine[name], atol=2e-3)


def test_a_folder_without_a_run_has_no_network(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training run"):
        RunFolder(tmp_path).export(tmp_path / "model")


@pytest.mark.parametrize("stage", [COARSE, FINE])
def test_whole_volumes_are_segmented_and_every_bone_scored(
    stage: BoneTrainConfig, tmp_path: Path
) -> None:
    network = UNet3DConfig(in_channels=stage.network.in_channels, features=(4, 8))
    config = replace(stage, network=network, patch=(16, 16, 16), batch=1, steps=1)
    held_out = [replace(a_pool()[0], name="0001")]
    task = BoneTask(a_pool(), config, validation=held_out)

    TrainingRun(task, tmp_path).train()

    with (tmp_path / "log.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert 0.0 <= float(row["val/bone_dice"]) <= 1.0
    assert row["val/left_hip_dice"]
    assert not row["val/sacrum_dice"]
