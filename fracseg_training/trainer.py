"""The training loop of TPC-Net: one page from cases to a model folder.

A run lives in one folder: `checkpoint.pt`, from which it goes on exactly, and `log.csv`, one row
per step. Killing the process at any moment costs at most the steps since the last checkpoint.
"""

from __future__ import annotations

import copy
import csv
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fracseg_training.losses import LossParts, total_loss
from fracseg_training.patches import PatchSource
from FractureSegmentationLib.errors import InputError
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


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps its state."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The state from which the run goes on."""
        return self.path / "checkpoint.pt"

    @property
    def log(self) -> Path:
        """One CSV row per step, see `LOG_FIELDS`."""
        return self.path / "log.csv"


class Trainer:
    """Trains one network.

    Args:
        cases: what to train on; held-out patients are already left out.
        config: how.
        folder: where the state of the run lives; a run found there goes on.
        initial: state dict to start a new run from, e.g. of a network trained on simulations.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        config: TrainConfig,
        folder: Path,
        initial: dict[str, Tensor] | None = None,
    ) -> None:
        self._config = config
        self._run = RunFolder(folder)
        self._source = PatchSource(cases, config.patches, config.seed)
        torch.manual_seed(config.seed)
        network = TPCNet(config.network)
        if initial is not None:
            network.load_state_dict(initial)
        self.network: TPCNet = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network).eval()
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if self._run.checkpoint.exists():
            self._resume()

    def train(
        self,
        *,
        checkpoint_seconds: float = 180.0,
        clock: Callable[[], float] = time.monotonic,
        on_step: Callable[[dict[str, float]], None] | None = None,
    ) -> None:
        """Train up to the last step, with a checkpoint every so many seconds and at the end.

        Args:
            checkpoint_seconds: longest time between two checkpoints.
            clock: seconds; read once per step.
            on_step: called with the log row of every step.
        """
        self._trim_log()
        saved = clock()
        while self.step < self._config.steps:
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
        partial = self._run.checkpoint.with_suffix(".partial")
        torch.save(
            {
                "step": self.step,
                "network": self.network.state_dict(),
                "averaged": self.averaged.state_dict(),
                "optimiser": self._optimiser.state_dict(),
            },
            partial,
        )
        partial.replace(self._run.checkpoint)

    def _one_step(self) -> dict[str, float]:
        config = self._config
        batch = self._source.batch(self.step)
        rate = config.learning_rate_at(self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        # Dropout-free networks need no generator; the seed still fixes any draw a layer makes.
        torch.manual_seed(hash((config.seed, self.step)) & 0x7FFFFFFF)
        loss, contact_dice = self._forward_backward(batch)
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._average()
        self.step += 1
        return {
            "step": self.step,
            "loss": float(loss.total),
            "cross_entropy": float(loss.cross_entropy),
            "dice_loss": float(loss.dice),
            "contrast": float(loss.contrast),
            "contact_dice": contact_dice,
            "learning_rate": rate,
        }

    def _forward_backward(self, batch: Batch) -> tuple[LossParts, float]:
        config = self._config
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
        loss.total.backward()  # type: ignore[no-untyped-call]
        if config.network.use_memory:
            enters = batch.is_fractured
            if config.memory_source == "all":
                enters = torch.ones_like(enters)
            self.network.update_memory(output.embeddings.detach().float(), enters)
        return LossParts(*(term.detach() for term in loss)), _contact_dice(output.logits, batch)

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the trained ones; buffers are copied."""
        keep = min(self._config.ema_decay, (1 + self.step) / (10 + self.step))
        if self._config.ema_decay == 0.0:
            keep = 0.0
        for mean, value in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1.0 - keep)
        buffers = zip(self.averaged.buffers(), self.network.buffers(), strict=True)
        for mean_buffer, buffer in buffers:
            mean_buffer.copy_(buffer)

    def _resume(self) -> None:
        try:
            state: dict[str, Any] = torch.load(
                self._run.checkpoint, map_location="cpu", weights_only=True
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
        if self._run.log.exists():
            with self._run.log.open(newline="") as stream:
                rows = [row for row in csv.reader(stream) if row and row[0].isdigit()]
        kept = [row for row in rows if int(row[0]) <= self.step]
        with self._run.log.open("w", newline="") as stream:
            csv.writer(stream).writerows([list(LOG_FIELDS), *kept])

    def _append(self, row: dict[str, float]) -> None:
        with self._run.log.open("a", newline="") as stream:
            csv.writer(stream).writerow(
                [row["step"], *(f"{row[name]:.6g}" for name in LOG_FIELDS[1:])]
            )


@torch.no_grad()
def _contact_dice(logits: Tensor, batch: Batch) -> float:
    """Hard Dice of the contact class over the batch: the first figure to watch."""
    predicted = logits.detach().argmax(dim=1) == _CONTACT
    truth = batch.target == _CONTACT
    total = int(predicted.sum() + truth.sum())
    return 2.0 * int((predicted & truth).sum()) / total if total else 1.0
