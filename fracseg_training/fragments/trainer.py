"""How TPC-Net is trained: what one step computes; `run.py` does the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fracseg_training.fragments.patches import PatchSource
from fracseg_training.training.losses import LossParts, total_loss
from fracseg_training.training.run import TrainingRun
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.networks.tpc_net import TPCNet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fracseg_training.data.cases import Case
    from fracseg_training.fragments.config import TrainConfig
    from fracseg_training.fragments.patches import Batch

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


class Trainer(TrainingRun[TPCNet]):
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
        super().__init__(network, config, folder, LOG_FIELDS)

    def _take_step(self, step: int) -> dict[str, float]:
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
        self._descend(loss.total)
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
