"""A training run: what is trained, how far it is, and its folder, from which it goes on exactly.

The folder holds `checkpoint.pt` and `log.csv`, one row per step. Killing the process at any moment
costs at most the steps since the last checkpoint. What a step computes is left to subclasses:
TPC-Net and the bone networks differ in that alone.
"""

from __future__ import annotations

import copy
import csv
import time
from abc import ABC, abstractmethod
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from FractureSegmentationLib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CHECKPOINT_ERRORS = (
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
    OSError,
    UnpicklingError,
)
"""What PyTorch raises of a file that is cut off, damaged, or of another program or network."""

_Network = TypeVar("_Network", bound=nn.Module)


class Schedule(Protocol):
    """What the optimiser has to know of a configuration."""

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""

    @property
    def learning_rate(self) -> float:
        """Peak learning rate."""

    @property
    def weight_decay(self) -> float:
        """Decoupled weight decay."""

    @property
    def clip_norm(self) -> float:
        """Gradients are scaled down to this norm."""

    @property
    def ema_decay(self) -> float:
        """Share of the moving average that a step keeps; 0 switches the average off."""

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""


class TrainingRun(ABC, Generic[_Network]):
    """Network, moving average, optimiser and step of one run.

    Attributes:
        network: the network in training.
        averaged: the moving average of its weights: what is saved as the model.
        step: steps taken.

    Args:
        network: what is trained, with its initial weights.
        schedule: how fast.
        folder: where the state lives; a run found there goes on.
        log_fields: columns of the log: "step", what a step returns, "learning_rate", "seconds".

    Raises:
        InputError: the checkpoint in the folder is damaged or of another network.
    """

    def __init__(
        self, network: _Network, schedule: Schedule, folder: Path, log_fields: Sequence[str]
    ) -> None:
        self._schedule = schedule
        self._log_fields = tuple(log_fields)
        self._checkpoint = folder / "checkpoint.pt"
        self._log = folder / "log.csv"
        # PyTorch's type stubs do not know this keyword.
        self.network: _Network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.averaged: _Network = copy.deepcopy(self.network)
        self.averaged.eval()
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
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
        last = self._schedule.steps if until is None else min(until, self._schedule.steps)
        saved = clock()
        while self.step < last:
            began = clock()
            rate = self._schedule.learning_rate_at(self.step)
            for group in self._optimiser.param_groups:
                group["lr"] = rate
            self.network.train()
            measured = self._take_step(self.step)
            self._average()
            self.step += 1
            row = {"step": self.step, **measured, "learning_rate": rate, "seconds": clock() - began}
            self._append(row)
            if on_step is not None:
                on_step(row)
            if clock() - saved > checkpoint_seconds:
                self.save()
                saved = clock()
        self.save()

    @abstractmethod
    def _take_step(self, step: int) -> dict[str, float]:
        """Make the batch of a step, hand its loss to `_descend`; return what the log keeps."""

    def _descend(self, loss: Tensor) -> None:
        """Change the weights by the gradient of a scalar loss."""
        torch.autograd.backward([loss])
        nn.utils.clip_grad_norm_(self.network.parameters(), self._schedule.clip_norm)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)

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

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the trained ones; buffers are copied."""
        keep = 0.0
        if self._schedule.ema_decay > 0.0:
            keep = min(self._schedule.ema_decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1.0 - keep)
        buffers = zip(self.averaged.buffers(), self.network.buffers(), strict=True)
        for mean_buffer, buffer in buffers:
            mean_buffer.copy_(buffer)

    def _resume(self) -> None:
        try:
            state: dict[str, Any] = torch.load(
                self._checkpoint, map_location="cpu", weights_only=True
            )
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.step = int(state["step"])
        except CHECKPOINT_ERRORS as error:
            raise InputError(
                "The checkpoint in the run's folder is damaged or does not fit this network.",
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
            csv.writer(stream).writerows([list(self._log_fields), *kept])

    def _append(self, row: dict[str, float]) -> None:
        values = [f"{row[name]:.6g}" for name in self._log_fields[1:]]
        with self._log.open("a", newline="") as stream:
            csv.writer(stream).writerow([row["step"], *values])
