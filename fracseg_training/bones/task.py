"""What the bone networks add to the training loop: batches, losses, score, card."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from fracseg_training.bones.config import BONE_SLUGS, CLASSES, KIND_OF_CLASS
from fracseg_training.bones.patches import BonePatches
from fracseg_training.bones.score import bone_dice, bones_of_pool_volume
from fracseg_training.training.losses import (
    mean_hard_dice,
    merge_classes,
    merged_classes_loss,
    segmentation_loss,
)
from fracseg_training.training.run_folder import arrays_checksum, flat_settings
from FractureSegmentationLib.networks.model_spec import ModelSpec
from FractureSegmentationLib.networks.unet3d import UNet3D

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from fracseg_training.bones.config import BoneTrainConfig
    from fracseg_training.bones.pool import PoolVolume
    from fracseg_training.training.sampler import Batch

_SIDE_SHARE = 0.2
_LICENCE = "Apache-2.0"
_TRAINING_DATA = (
    "CTs synthesised from one label map of the TotalSegmentator dataset (CC BY 4.0), and the bones "
    "of three patients of the FracSegNet test data (MIT) embedded in such bodies. No real CT with "
    "soft tissue was used."
)


class BoneTask:
    """Trains one network of the bone cascade.

    Args:
        volumes: the pool at the stage's spacing, without those held out.
        config: how.
        validation: volumes of the pool that are segmented whole and scored.
        initial: state dict to start a new run from.
        initial_sha256: hash of the weights file it is from.
    """

    train_figures = ("loss", "cross_entropy", "dice_loss", "bone_dice")
    kept_figures: tuple[str, ...] = ()
    val_figures = ("bone_dice", *(f"{slug}_dice" for slug in BONE_SLUGS))

    def __init__(
        self,
        volumes: Sequence[PoolVolume],
        config: BoneTrainConfig,
        *,
        validation: Sequence[PoolVolume] = (),
        initial: Mapping[str, Tensor] | None = None,
        initial_sha256: str = "",
    ) -> None:
        self.config = config
        self.class_weights = config.class_weights
        self.validation = validation
        self.kept = nn.Module()
        self._volumes = volumes
        self._initial, self._initial_sha256 = initial, initial_sha256
        self._patches = BonePatches(volumes, config)

    def settings(self) -> dict[str, Any]:
        """Whatever a resumed run must share with the one before."""
        return {
            "task": "bones",
            "stage": self.config.name,
            "validate": [volume.name for volume in self.validation],
            "initial": self._initial_sha256,
        } | flat_settings(asdict(self.config))

    def checksums(self) -> dict[str, str]:
        """Of every volume, by name."""
        return {
            volume.name: arrays_checksum(volume.hu, volume.bones)
            for volume in (*self._volumes, *self.validation)
        }

    def build(self) -> UNet3D:
        """The network with its initial weights."""
        network = UNet3D(self.config.network)
        if self._initial is not None:
            network.load_state_dict(dict(self._initial))
        return network

    def batch(self, index: int) -> Batch:
        """The batch of an index."""
        return self._patches.batch(index)

    def parameter_groups(self, network: UNet3D) -> list[dict[str, Any]]:
        """One group."""
        return [{"params": list(network.parameters())}]

    def loss(self, output: Tensor, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy and Dice; where sides are merged, telling them apart counts little."""
        del step
        target = batch.target
        weights = torch.tensor(self.class_weights, device=target.device)
        logits, classes = output, CLASSES
        if self.config.merges_sides:
            cross_entropy, dice = merged_classes_loss(
                output, target, weights, KIND_OF_CLASS, _SIDE_SHARE
            )
            logits, target = merge_classes(output.detach(), target, KIND_OF_CLASS)
            classes = logits.shape[1]
        else:
            cross_entropy, dice = segmentation_loss(output, target, weights, only_present=True)
        loss = cross_entropy + dice
        return loss, {
            "loss": float(loss.detach()),
            "cross_entropy": float(cross_entropy.detach()),
            "dice_loss": float(dice.detach()),
            "bone_dice": mean_hard_dice(logits, target, range(1, classes)),
        }

    def after_batch(
        self,
        network: UNet3D,
        output: Tensor,
        batch: Batch,
        gather: Callable[[Tensor, int], Tensor],
    ) -> None:
        """A U-Net keeps nothing of a batch."""

    def measure(self, network: UNet3D) -> dict[str, float]:
        """Nothing was kept."""
        del network
        return {}

    def score(self, network: UNet3D, volume: PoolVolume, device: str) -> dict[str, float]:
        """Dice of every bone of one whole volume, and their mean."""
        found = bones_of_pool_volume(volume, network, self.config, device)
        scores = bone_dice(found, volume.bones)
        figures = {f"{slug}_dice": score for slug, score in scores.items()}
        if scores:
            figures["bone_dice"] = sum(scores.values()) / len(scores)
        return figures

    def spec(self) -> ModelSpec:
        """The card of the model."""
        config = self.config
        return ModelSpec(
            name=f"bones-{config.name}",
            task="bones",
            method="cascade",
            network="unet3d",
            config=config.network.to_dict(),
            bones=BONE_SLUGS,
            spacing_mm=(config.spacing_mm, config.spacing_mm, config.spacing_mm),
            normalisation=asdict(config.normalisation),
            channels=("background", *BONE_SLUGS),
            licence=_LICENCE,
            training_data=_TRAINING_DATA,
        )
