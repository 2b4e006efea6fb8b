"""How well bone networks do on a CT with known bones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fracseg_training.bones.config import BONE_SLUGS
from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.bones.cascade import BoneStage, bones_by_cascade
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
