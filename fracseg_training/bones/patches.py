"""Batches of the bone networks: a pure function of the pool, the seed and the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fracseg_training.bones.coarse_errors import coarse_one_hot
from fracseg_training.bones.config import MIRRORED_CLASS
from fracseg_training.training.augment import (
    AIR_HU,
    change_photometry,
    cut_borders,
    cut_labels,
    cut_patch,
    draw_frame,
)
from fracseg_training.training.sampler import Batch, Centres
from FractureSegmentationLib.inference.intensity import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fracseg_training.bones.config import BoneTrainConfig
    from fracseg_training.bones.pool import PoolVolume
    from FractureSegmentationLib.types import FloatArray, Spacing

_REMEMBERED_VOXELS = 4000
_FLESH_HU = -300


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
        spacing_mm = (config.spacing_mm, config.spacing_mm, config.spacing_mm)
        self._centres = [_centres(volume, spacing_mm) for volume in volumes]

    def batch(self, index: int) -> Batch:
        """The batch of an index."""
        rng = np.random.default_rng([self._config.seed, index])
        pairs = [self._patch(rng) for _ in range(self._config.batch)]
        return Batch(
            torch.stack([inputs for inputs, _ in pairs]),
            torch.stack([classes for _, classes in pairs]),
        )

    def _patch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        config, side = self._config, self._config.spacing_mm
        index = int(rng.integers(len(self._hu)))
        frame = draw_frame(rng, config.augment, config.patch, side, (side, side, side))
        centre = self._centre(index, rng)
        hu = cut_patch(self._hu[index], centre, frame, mode="bilinear", outside=AIR_HU)
        classes = cut_labels(self._bones[index], centre, frame)
        if frame.is_mirrored:
            classes = torch.tensor(MIRRORED_CLASS)[classes]
        hu = change_photometry(hu, rng, config.augment, side)
        hu, classes = cut_borders(hu, classes, rng, config.augment.cut_share)
        channels = torch.from_numpy(normalise(hu.numpy(), config.normalisation))[None]
        if config.sees_coarse_result:
            channels = torch.cat([channels, coarse_one_hot(classes, rng)])
        return channels, classes

    def _centre(self, index: int, rng: np.random.Generator) -> FloatArray:
        bones, body = self._centres[index]
        near_bone = bool(bones) and rng.random() < self._config.bone_share
        around = bones[int(rng.integers(len(bones)))] if near_bone else body
        return around.draw(rng, self._config.centre_jitter_mm)


def _centres(volume: PoolVolume, spacing_mm: Spacing) -> tuple[list[Centres], Centres]:
    """Voxels to centre patches on, evenly chosen: of each bone, and of the whole body."""
    bones = [
        Centres(volume.bones == value, spacing_mm, _REMEMBERED_VOXELS)
        for value in np.unique(volume.bones)
        if value > 0
    ]
    body = np.asarray(volume.hu, np.int16) > _FLESH_HU
    if not body.any():
        body = np.ones(volume.hu.shape, bool)
    return bones, Centres(body, spacing_mm, _REMEMBERED_VOXELS)
