"""What the training loop has to know of a configuration, whatever is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "bf16", "fp16"]
_POLY_POWER = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How weights are optimised.

    Attributes:
        steps: optimizer steps of the whole run.
        schedule: "constant" as in the paper, or "poly": falls to 0 with the power 0.9.
        schedule_steps: the step at which "poly" reaches 0; None: at the last one.
        learning_rate: peak learning rate.
        warmup_steps: steps over which the learning rate rises from 0.
        weight_decay: decoupled weight decay (AdamW); 0 gives Adam.
        clip_norm: gradients are scaled down to this norm.
        accumulate: batches whose gradients are averaged in one step.
        ema_decay: the weights that are saved are this moving average; 0 switches it off.
        precision: of the forward pass; "fp32", or mixed with "bf16" or "fp16".
        seed: of the weights and of the patches.
    """

    steps: int = 2000
    schedule: Literal["constant", "poly"] = "poly"
    schedule_steps: int | None = None
    learning_rate: float = 1.5e-3
    warmup_steps: int = 40
    weight_decay: float = 1e-2
    clip_norm: float = 12.0
    accumulate: int = 1
    ema_decay: float = 0.995
    precision: Precision = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0.0 or self.accumulate < 1:
            raise ValueError("steps, learning_rate and accumulate must be positive")
        if not 0.0 <= self.ema_decay < 1.0:
            raise ValueError(f"ema_decay must lie in [0, 1), got {self.ema_decay}")

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.schedule == "constant":
            return self.learning_rate * warm
        length = self.schedule_steps or self.steps
        left: float = (1.0 - min(step, length) / length) ** _POLY_POWER
        return self.learning_rate * warm * left
