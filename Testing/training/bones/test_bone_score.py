from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fracseg_training.bones.config import COARSE
from fracseg_training.bones.score import bone_dice, coarse_bones
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import Volume


class BrightIsLeftHip(nn.Module):
    """A network that calls every voxel above about 700 HU left hip bone."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, K, J, I) normalised HU to (B, 6, K, J, I) logits."""
        logits = torch.zeros((len(x), 6, *x.shape[2:]))
        logits[:, 2] = (x[:, 0] - (700.0 - 150.0) / 300.0) * 10.0
        return logits


def test_dice_counts_each_bone_of_the_truth() -> None:
    truth = np.array([[[1, 1, 2, 2, 0, 0]]])
    found = np.array([[[1, 0, 2, 2, 2, 5]]])

    assert bone_dice(found, truth) == pytest.approx({"sacrum": 2 / 3, "left_hip": 4 / 5})


def test_coarse_bones_lie_where_they_are_in_the_ct_whatever_its_axes() -> None:
    hu = np.zeros((16, 24, 24), np.int16)
    hu[4:12, 4:12, 2:10] = 1200
    flipped = Geometry(
        shape=(16, 24, 24),
        spacing_mm=(3.0, 3.0, 3.0),
        direction=((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0)),
    )
    config = replace(COARSE, patch=(16, 16, 16))

    found = coarse_bones(Volume(voxels=hu, geometry=flipped), BrightIsLeftHip(), config)

    assert np.array_equal(found.voxels == 2, hu > 0)
    assert found.geometry == flipped
