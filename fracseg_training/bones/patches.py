"""Batches of the bone networks: a pure function of the pool, the seed and the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fracseg_training.bones.augment import (
    change_photometry,
    cut_borders,
    cut_patch,
    draw_frame,
)
from fracseg_training.bones.coarse_errors import coarse_one_hot
from FractureSegmentationLib.inference.intensity import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fracseg_training.bones.config import BoneTrainConfig
    from fracseg_training.bones.pool import PoolVolume
    from FractureSegmentationLib.types import FloatArray, MaskArray

_REMEMBERED_VOXELS = 4000
_FLESH_HU = -300


@dataclass(frozen=True, slots=True, eq=False)
class BoneBatch:
    """What one training step sees.

    Attributes:
        inputs: (B, 1 or 6, K, J, I) float32: normalised CT, and the coarse result one-hot.
        target: (B, K, J, I) int64 classes, 0 to 5.
    """

    inputs: Tensor
    target: Tensor


class BonePatches:
    """Draws patches from the volumes of a pool.

    Args:
        volumes: the pool at the stage's spacing.
        config: what a patch is.
    """

    def __init__(self, volumes: Sequence[PoolVolume], config: BoneTrainConfig) -> None:
        self._config = config
        self._hu = [torch.from_numpy(np.ascontiguousarray(volume.hu)) for volume in volumes]
        self._bones = [torch.from_numpy(np.ascontiguousarray(volume.bones)) for volume in volumes]
        self._places = [_places(volume) for volume in volumes]

    def batch(self, step: int) -> BoneBatch:
        """The batch of a step."""
        rng = np.random.default_rng([self._config.seed, step])
        pairs = [self._patch(rng) for _ in range(self._config.batch)]
        return BoneBatch(
            torch.stack([inputs for inputs, _ in pairs]),
            torch.stack([classes for _, classes in pairs]),
        )

    def _patch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        config = self._config
        index = int(rng.integers(len(self._hu)))
        frame = draw_frame(rng, config.augment, config.patch, config.spacing_mm)
        hu, classes = cut_patch(
            self._hu[index], self._bones[index], self._centre(index, rng), frame
        )
        hu = change_photometry(hu, rng, config.augment)
        hu, classes = cut_borders(hu, classes, rng, config.augment.cut_share)
        channels = torch.from_numpy(normalise(hu.numpy(), config.normalisation))[None]
        if config.sees_coarse_result:
            channels = torch.cat([channels, coarse_one_hot(classes, rng)])
        return channels, classes

    def _centre(self, index: int, rng: np.random.Generator) -> FloatArray:
        bones, flesh = self._places[index]
        near_bone = bool(bones) and rng.random() < self._config.bone_share
        of_bone = bones[int(rng.integers(len(bones)))] if near_bone else flesh
        jitter = rng.normal(0.0, 0.5 * self._config.centre_jitter_mm / self._config.spacing_mm, 3)
        centre: FloatArray = of_bone[int(rng.integers(len(of_bone)))] + jitter
        return centre


def _places(volume: PoolVolume) -> tuple[list[FloatArray], FloatArray]:
    """Voxels to centre patches on, evenly chosen: of each bone, and of the whole body."""
    bones = [_some_of(volume.bones == value) for value in np.unique(volume.bones) if value > 0]
    return bones, _some_of(np.asarray(volume.hu, np.int16) > _FLESH_HU)


def _some_of(mask: MaskArray) -> FloatArray:
    inside = np.flatnonzero(mask)
    if not len(inside):
        inside = np.arange(mask.size)
    chosen = inside[:: max(1, len(inside) // _REMEMBERED_VOXELS)]
    return np.stack(np.unravel_index(chosen, mask.shape), axis=1).astype(float)
