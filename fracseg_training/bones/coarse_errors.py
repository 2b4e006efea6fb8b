"""The truth as the coarse network would have found it: displaced, frayed, with holes and ghosts.

The fine network is trained on these instead of on real coarse results, so that both can be
trained at the same time and the fine one never learns to trust the coarse one too much.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fracseg_training.bones.config import CLASSES

_FACTOR = 2
_BLANK_SHARE = 0.03
_BALL_SHARE = 0.25
_DISPLACEMENT_VOXELS = 0.9


def coarse_one_hot(classes: Tensor, rng: np.random.Generator) -> Tensor:
    """What the coarse network might say of a patch.

    Args:
        classes: (K, J, I) int64 true labels at the fine spacing, every side even.
        rng: source of the errors.

    Returns:
        (5, K, J, I) float32, one channel per bone, constant over 2 x 2 x 2 blocks.
    """
    if rng.random() < _BLANK_SHARE:
        return torch.zeros((CLASSES - 1, *classes.shape))
    k, j, i = (int(v) for v in rng.integers(0, _FACTOR, 3))
    coarse = classes[k::_FACTOR, j::_FACTOR, i::_FACTOR]
    coarse = _with_balls(_displaced(coarse, rng), rng)
    one_hot = functional.one_hot(coarse, CLASSES).permute(3, 0, 1, 2)[1:].float()
    return functional.interpolate(one_hot[None], scale_factor=_FACTOR, mode="nearest")[0]


def _displaced(labels: Tensor, rng: np.random.Generator) -> Tensor:
    """Every voxel takes the label of one nearby: shifted as a whole and frayed at the border."""
    shift = rng.normal(0.0, 0.6, 3)
    amount = rng.uniform(0.0, 2.0 * _DISPLACEMENT_VOXELS)
    grown = 1.0 + rng.normal(0.0, 0.03)
    indices = []
    for axis, count in enumerate(labels.shape):
        cells = [max(2, n // 5) for n in labels.shape]
        coarse = torch.from_numpy(rng.standard_normal(cells, dtype=np.float32))
        field = functional.interpolate(
            coarse[None, None], size=tuple(labels.shape), mode="trilinear", align_corners=True
        )[0, 0]
        shape = [1, 1, 1]
        shape[axis] = count
        middle = (count - 1) / 2.0
        steps = (torch.arange(count, dtype=torch.float32) - middle) * grown + middle
        place = steps.reshape(shape) + field * float(amount) + float(shift[axis])
        indices.append(place.round().long().clamp(0, count - 1))
    return labels[indices[0], indices[1], indices[2]]


def _with_balls(labels: Tensor, rng: np.random.Generator) -> Tensor:
    """Now and then a hole, a ghost, or a region under another bone's name."""
    labels = labels.clone()
    for _ in range(3):
        if rng.random() >= _BALL_SHARE:
            continue
        radius = rng.uniform(2.0, 8.0)
        axes = [
            torch.arange(n, dtype=torch.float32) - float(rng.uniform(0, n)) for n in labels.shape
        ]
        k, j, i = torch.meshgrid(*axes, indexing="ij")
        ball = k * k + j * j + i * i < float(radius**2)
        value = int(rng.integers(0, CLASSES))
        if rng.random() < 0.5:
            ball &= labels > 0
        labels[ball] = value
    return labels
