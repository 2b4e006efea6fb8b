from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from fracseg_training.bones.config import COARSE, FINE, BoneTrainConfig
from fracseg_training.bones.patches import BonePatches
from fracseg_training.bones.pool import PoolVolume
from FractureSegmentationLib.networks.config import UNet3DConfig

TINY = replace(COARSE, network=UNet3DConfig(features=(4, 8)), patch=(16, 16, 20), batch=2)
TINY_FINE = replace(
    FINE, network=UNet3DConfig(in_channels=6, features=(4, 8)), patch=(16, 16, 16), batch=1
)


def a_pool() -> list[PoolVolume]:
    bones = np.zeros((30, 30, 30), np.uint8)
    bones[8:20, 8:20, 4:12], bones[8:20, 8:20, 18:26] = 3, 2
    hu = np.where(bones > 0, 500, 0).astype(np.int16)
    return [PoolVolume(name="0000", hu=hu, bones=bones)]


def batches(config: BoneTrainConfig, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    batch = BonePatches(a_pool(), config).batch(step)
    return batch.inputs, batch.target


def test_a_batch_depends_on_the_seed_and_the_step_alone() -> None:
    inputs, target = batches(TINY, 3)
    again, again_target = batches(TINY, 3)

    assert torch.equal(inputs, again)
    assert torch.equal(target, again_target)
    assert not torch.equal(inputs, batches(TINY, 4)[0])


def test_the_coarse_stage_sees_the_normalised_ct_alone() -> None:
    inputs, target = batches(TINY, 0)

    assert inputs.shape == (2, 1, 16, 16, 20)
    assert target.shape == (2, 16, 16, 20)
    assert float(inputs.min()) >= (-250.0 - 150.0) / 300.0 - 1e-5
    assert float(inputs.max()) <= (1250.0 - 150.0) / 300.0 + 1e-5


def test_the_fine_stage_sees_one_more_channel_per_bone() -> None:
    inputs, _ = batches(TINY_FINE, 0)

    assert inputs.shape == (1, 6, 16, 16, 16)
    assert set(inputs[:, 1:].unique().tolist()) <= {0.0, 1.0}


def test_most_patches_hold_bone() -> None:
    held = [bool(batches(TINY, step)[1].any()) for step in range(20)]

    assert sum(held) >= 15
