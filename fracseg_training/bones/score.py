"""How well bone networks do on a CT with known bones."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import torch

from fracseg_training.bones.coarse_errors import coarse_one_hot
from fracseg_training.bones.config import BONE_SLUGS
from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.bones.cascade import BoneStage, bones_by_cascade
from FractureSegmentationLib.bones.sides import assign_sides, likeliest_bones
from FractureSegmentationLib.inference.intensity import normalise
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.orient import canonical_order
from FractureSegmentationLib.voxels.resample import nearest_labels, resample_volume

if TYPE_CHECKING:
    from torch import nn

    from fracseg_training.bones.config import BoneTrainConfig
    from fracseg_training.bones.pool import PoolVolume
    from FractureSegmentationLib.types import LabelArray

_OVERLAP = 0.25


def coarse_bones(ct: Volume, network: nn.Module, config: BoneTrainConfig) -> LabelVolume:
    """What the coarse network alone says of a CT: no cleaning, every window.

    Args:
        ct: the CT, any orientation.
        network: a coarse network.
        config: what it was trained with.

    Returns:
        Mask values on the CT's grid.
    """
    canonical = canonical_order(ct.geometry).volume(ct)
    spacing = (config.spacing_mm, config.spacing_mm, config.spacing_mm)
    small = resample_volume(canonical, canonical.geometry.resampled(spacing), order=1)
    channels = normalise(small.voxels, config.normalisation)[None]
    plan = WindowPlan(
        patch=config.patch, overlap=_OVERLAP, padding=(config.normalisation.outside_value,)
    )
    everywhere = np.ones(small.geometry.shape, bool)
    probabilities = Predictor(network, plan, device="cpu").predict(channels, everywhere, Progress())
    classes = probabilities.argmax(axis=0).astype(np.uint8)
    return nearest_labels(LabelVolume(voxels=classes, geometry=small.geometry), ct.geometry)


def bones_of_pool_volume(
    volume: PoolVolume, network: nn.Module, config: BoneTrainConfig, device: str
) -> LabelArray:
    """What a network of one stage says of a volume of its pool, every window, sides as the product.

    The fine stage sees the truth with the errors of a coarse result, the same ones every time.

    Args:
        volume: at the stage's spacing.
        network: of that stage.
        config: what it is trained with.
        device: where it runs.

    Returns:
        (K, J, I) mask values.
    """
    channels = normalise(volume.hu, config.normalisation)[None]
    padding: tuple[float, ...] = (config.normalisation.outside_value,)
    if config.sees_coarse_result:
        rng = np.random.default_rng(zlib.crc32(volume.name.encode()))
        # The errors are made on blocks of 2 x 2 x 2 voxels.
        even = np.pad(volume.bones, [(0, n % 2) for n in volume.bones.shape])
        coarse = coarse_one_hot(torch.from_numpy(even.astype(np.int64)), rng).numpy()
        k, j, i = volume.bones.shape
        channels = np.concatenate([channels, coarse[:, :k, :j, :i]])
        padding += (0.0,) * len(BONE_SLUGS)
    plan = WindowPlan(patch=config.patch, overlap=_OVERLAP, padding=padding)
    predictor = Predictor(
        network, plan, device=device, precision="fp32" if device == "cpu" else None
    )
    probabilities = predictor.predict(channels, np.ones(volume.hu.shape, bool))
    side = config.spacing_mm
    return assign_sides(likeliest_bones(probabilities, BONE_SLUGS), (side, side, side))


def cascade_bones(
    ct: Volume,
    coarse: tuple[nn.Module, BoneTrainConfig],
    fine: tuple[nn.Module, BoneTrainConfig],
) -> LabelVolume:
    """What both networks together say of a CT, the way the product runs them.

    Args:
        ct: the CT, any orientation.
        coarse: the coarse network and what it was trained with.
        fine: the fine one.

    Returns:
        Mask values on the CT's grid.

    Raises:
        NoBoneError: nothing was found.
    """
    return bones_by_cascade(ct, _stage(*coarse), _stage(*fine), "cpu", Progress())


def _stage(network: nn.Module, config: BoneTrainConfig) -> BoneStage:
    return BoneStage(
        network=network,
        bones=BONE_SLUGS,
        spacing_mm=(config.spacing_mm, config.spacing_mm, config.spacing_mm),
        normalisation=config.normalisation,
        patch=config.patch,
        channels=config.network.in_channels,
    )


def bone_dice(found: LabelArray, truth: LabelArray) -> dict[str, float]:
    """Dice of every bone that occurs in the truth.

    Args:
        found: (K, J, I) mask values.
        truth: (K, J, I) mask values.
    """
    scores: dict[str, float] = {}
    for slug in BONE_SLUGS:
        value = bone_named(slug).mask_value
        inside, hit = truth == value, found == value
        if inside.any():
            both = np.count_nonzero(inside & hit)
            total = np.count_nonzero(inside) + np.count_nonzero(hit)
            scores[slug] = 2.0 * int(both) / int(total)
    return scores
