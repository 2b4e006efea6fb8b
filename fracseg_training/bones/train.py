"""How a bone network is trained: what one step computes; `run.py` does the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from fracseg_training.bones.patches import BonePatches
from fracseg_training.training.losses import segmentation_loss
from fracseg_training.training.run import TrainingRun
from FractureSegmentationLib.networks.unet3d import UNet3D

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fracseg_training.bones.config import BoneTrainConfig
    from fracseg_training.bones.pool import PoolVolume

_SIDE_SHARE = 0.2
LOG_FIELDS = ("step", "loss", "cross_entropy", "dice_loss", "bone_dice", "learning_rate", "seconds")


class BoneTrainer(TrainingRun[UNet3D]):
    """Trains one bone network.

    Args:
        volumes: the pool at the stage's spacing.
        config: how.
        folder: where the state of the run lives; a run found there goes on.
        initial: state dict to start a new run from.

    Raises:
        InputError: the run in the folder is damaged or of another network.
    """

    def __init__(
        self,
        volumes: Sequence[PoolVolume],
        config: BoneTrainConfig,
        folder: Path,
        initial: dict[str, Tensor] | None = None,
    ) -> None:
        self._config = config
        self._patches = BonePatches(volumes, config)
        torch.manual_seed(config.seed)
        network = UNet3D(config.network)
        if initial is not None:
            network.load_state_dict(initial)
        super().__init__(network, config, folder, LOG_FIELDS)

    def _take_step(self, step: int) -> dict[str, float]:
        config = self._config
        batch = self._patches.batch(step)
        inputs = batch.inputs.to(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision_bf16):
            logits = self.network(inputs)
        cross_entropy, dice = self._losses(logits, batch.target)
        loss = cross_entropy + dice
        self._descend(loss)
        return {
            "loss": loss.item(),
            "cross_entropy": cross_entropy.item(),
            "dice_loss": dice.item(),
            "bone_dice": _mean_dice(logits, batch.target, merges_sides=config.merges_sides),
        }

    def _losses(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy and Dice; where sides are merged, telling them apart counts little."""
        config = self._config
        weights = torch.tensor(config.class_weights)
        if not config.merges_sides:
            return segmentation_loss(logits, target, weights, only_present=True)
        kinds, kind_target = _without_sides(logits, target)
        cross_entropy, dice = segmentation_loss(
            kinds, kind_target, weights[: kinds.shape[1]], only_present=True
        )
        sides = functional.cross_entropy(logits.float(), target, weight=weights)
        return cross_entropy + _SIDE_SHARE * sides, dice


def _without_sides(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and target of background, sacrum, hip bone and femur, whichever side."""
    logits = logits.float()
    hip = torch.logaddexp(logits[:, 2], logits[:, 3])
    femur = torch.logaddexp(logits[:, 4], logits[:, 5])
    kinds = torch.stack((logits[:, 0], logits[:, 1], hip, femur), dim=1)
    return kinds, torch.tensor([0, 1, 2, 2, 3, 3])[target]


@torch.no_grad()
def _mean_dice(logits: Tensor, target: Tensor, *, merges_sides: bool) -> float:
    """Hard Dice, mean over the bones that occur in the truth of the batch; 1 if none does."""
    if merges_sides:
        logits, target = _without_sides(logits, target)
    predicted = logits.argmax(dim=1)
    scores = []
    for value in range(1, logits.shape[1]):
        truth = target == value
        if truth.any():
            found = predicted == value
            scores.append(2.0 * int((found & truth).sum()) / int(found.sum() + truth.sum()))
    return sum(scores) / len(scores) if scores else 1.0
