"""How TPC-Net is trained: what one step computes; `run.py` does the rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fracseg_training.losses import LossParts, total_loss
from fracseg_training.patches import PatchSource
from fracseg_training.run import TrainingRun
from FractureSegmentationLib.networks.tpc_net import TPCNet
from FractureSegmentationLib.representations import bicm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fracseg_training.cases import Case
    from fracseg_training.patches import Batch
    from fracseg_training.train_config import TrainConfig

LOG_FIELDS = (
    "step",
    "loss",
    "cross_entropy",
    "dice_loss",
    "contrast",
    "contact_dice",
    "learning_rate",
    "seconds",
)
_CONTACT = bicm.CHANNELS.index("contact")


class Trainer:
    """Trains one network.

    Args:
        cases: what to train on; held-out patients are already left out.
        config: how.
        folder: where the state of the run lives; a run found there goes on.
        initial: state dict to start a new run from, e.g. of a network trained on simulations.

    Raises:
        InputError: the run in the folder is damaged or of another network.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        config: TrainConfig,
        folder: Path,
        initial: dict[str, Tensor] | None = None,
    ) -> None:
        self._config = config
        self._source = PatchSource(cases, config.patches, config.seed)
        torch.manual_seed(config.seed)
        network = TPCNet(config.network)
        if initial is not None:
            network.load_state_dict(initial)
        self._run = TrainingRun(network, config, folder, LOG_FIELDS)

    @property
    def network(self) -> TPCNet:
        """The network in training."""
        return self._run.network

    @property
    def averaged(self) -> TPCNet:
        """The moving average of its weights: what is saved as the model."""
        return self._run.averaged

    @property
    def step(self) -> int:
        """Steps taken."""
        return self._run.step

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
        self._run.train(
            self._one_step,
            until=until,
            checkpoint_seconds=checkpoint_seconds,
            clock=clock,
            on_step=on_step,
        )

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        self._run.save()

    def _one_step(self, step: int) -> dict[str, float]:
        config = self._config
        batch = self._source.batch(step)
        # Dropout-free networks need no generator; the seed still fixes any draw a layer makes.
        torch.manual_seed(hash((config.seed, step)) & 0x7FFFFFFF)
        inputs = batch.inputs.to(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            output = self.network(inputs)
        loss = total_loss(
            output.logits,
            output.auxiliary,
            batch.target,
            output.contrastive if config.network.use_contrastive else None,
            batch.is_fractured,
            torch.tensor(config.class_weights),
        )
        self._run.descend(loss.total)
        if config.network.use_memory:
            self._remember(output.embeddings.detach().float(), batch)
        return _logged(loss) | {"contact_dice": _contact_dice(output.logits, batch)}

    def _remember(self, embeddings: Tensor, batch: Batch) -> None:
        enters = batch.is_fractured
        if self._config.memory_source == "all":
            enters = torch.ones_like(enters)
        self.network.update_memory(embeddings, enters)


def _logged(loss: LossParts) -> dict[str, float]:
    return {
        "loss": float(loss.total.detach()),
        "cross_entropy": float(loss.cross_entropy.detach()),
        "dice_loss": float(loss.dice.detach()),
        "contrast": float(loss.contrast.detach()),
    }


@torch.no_grad()
def _contact_dice(logits: Tensor, batch: Batch) -> float:
    """Hard Dice of the contact class over the batch: the first figure to watch."""
    predicted = logits.detach().argmax(dim=1) == _CONTACT
    truth = batch.target == _CONTACT
    total = int(predicted.sum() + truth.sum())
    return 2.0 * int((predicted & truth).sum()) / total if total else 1.0
