"""The training loop of a bone network.

A run lives in one folder: `checkpoint.pt`, from which it goes on exactly, and `log.csv`, one row
per step.
"""

from __future__ import annotations

import copy
import csv
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fracseg_training.cascade.patches import BonePatches
from fracseg_training.losses import segmentation_loss
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.networks.unet3d import UNet3D

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fracseg_training.cascade.config import BoneTrainConfig
    from fracseg_training.cascade.pool import PoolVolume

_SIDE_SHARE = 0.2
LOG_FIELDS = ("step", "loss", "cross_entropy", "dice_loss", "bone_dice", "learning_rate", "seconds")


class BoneTrainer:
    """Trains one bone network.

    Args:
        volumes: the pool at the stage's spacing.
        config: how.
        folder: where the state of the run lives; a run found there goes on.
    """

    def __init__(
        self, volumes: Sequence[PoolVolume], config: BoneTrainConfig, folder: Path
    ) -> None:
        self._config = config
        self._patches = BonePatches(volumes, config)
        self._checkpoint = folder / "checkpoint.pt"
        self._log = folder / "log.csv"
        torch.manual_seed(config.seed)
        self.network = UNet3D(config.network)
        # PyTorch's type stubs do not know this keyword.
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network).eval()
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if self._checkpoint.exists():
            self._resume()

    def train(
        self,
        *,
        until: int | None = None,
        checkpoint_seconds: float = 180.0,
        clock: Callable[[], float] = time.monotonic,
        on_step: Callable[[dict[str, float]], None] | None = None,
    ) -> None:
        """Train up to the last step, with a checkpoint every so many seconds and at the end.

        Args:
            until: stop after this step instead; the schedule stays that of the whole run.
            checkpoint_seconds: longest time between two checkpoints.
            clock: seconds; read around every step.
            on_step: called with the log row of every step.
        """
        self._trim_log()
        last = self._config.steps if until is None else min(until, self._config.steps)
        saved = clock()
        while self.step < last:
            began = clock()
            row = self._one_step()
            row["seconds"] = clock() - began
            self._append(row)
            if on_step is not None:
                on_step(row)
            if clock() - saved > checkpoint_seconds:
                self.save()
                saved = clock()
        self.save()

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        partial = self._checkpoint.with_suffix(".partial")
        torch.save(
            {
                "step": self.step,
                "network": self.network.state_dict(),
                "averaged": self.averaged.state_dict(),
                "optimiser": self._optimiser.state_dict(),
            },
            partial,
        )
        partial.replace(self._checkpoint)

    def _one_step(self) -> dict[str, float]:
        config = self._config
        batch = self._patches.batch(self.step)
        rate = config.learning_rate_at(self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        inputs = batch.inputs.to(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision_bf16):
            logits = self.network(inputs)
        cross_entropy, dice = self._losses(logits, batch.target)
        loss = cross_entropy + dice
        torch.autograd.backward([loss])
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._average()
        self.step += 1
        return {
            "step": self.step,
            "loss": loss.item(),
            "cross_entropy": cross_entropy.item(),
            "dice_loss": dice.item(),
            "bone_dice": _mean_dice(logits, batch.target, merges_sides=config.merges_sides),
            "learning_rate": rate,
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

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self._config.ema_decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1.0 - keep)

    def _resume(self) -> None:
        try:
            state: dict[str, Any] = torch.load(
                self._checkpoint, map_location="cpu", weights_only=True
            )
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.step = int(state["step"])
        except (RuntimeError, KeyError, ValueError, EOFError, OSError) as error:
            raise InputError(
                "The checkpoint in the run's folder does not fit this network.",
                "Train into a new folder, or with the settings the run was started with.",
            ) from error

    def _trim_log(self) -> None:
        """Drop the rows after the checkpoint: those steps are taken again."""
        rows: list[list[str]] = []
        if self._log.exists():
            with self._log.open(newline="") as stream:
                rows = [row for row in csv.reader(stream) if row and row[0].isdigit()]
        kept = [row for row in rows if int(row[0]) <= self.step]
        with self._log.open("w", newline="") as stream:
            csv.writer(stream).writerows([list(LOG_FIELDS), *kept])

    def _append(self, row: dict[str, float]) -> None:
        with self._log.open("a", newline="") as stream:
            csv.writer(stream).writerow(
                [row["step"], *(f"{row[name]:.6g}" for name in LOG_FIELDS[1:])]
            )


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
