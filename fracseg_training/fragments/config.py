"""Settings of a training run of TPC-Net, and the presets that ship.

A preset is a value; an ablation is a preset with one field replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from fracseg_training.fragments.patches import PatchConfig
from fracseg_training.training.sampler import SamplerConfig
from FractureSegmentationLib.networks.config import PAPER, SMALL, TPCNetConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How a network is trained.

    Attributes:
        network: the network.
        patches: what it sees.
        steps: optimiser steps of the whole run.
        learning_rate: peak learning rate.
        schedule: "constant" as in the paper, or "poly": falls to 0 with the power 0.9.
        warmup_steps: steps over which the learning rate rises from 0.
        weight_decay: decoupled weight decay (AdamW); 0 gives Adam.
        clip_norm: gradients are scaled down to this norm.
        class_weights: of background, boundary, interior, contact in the cross-entropy.
        ema_decay: the weights that are saved are this moving average; 0 switches it off.
        memory_source: which patches enter the trauma memory: the fractured ones, or all as in the
            paper.
        precision: "bf16" autocast or "fp32".
        seed: of the weights and of the patches.
    """

    network: TPCNetConfig = SMALL
    patches: PatchConfig = field(default_factory=PatchConfig)
    steps: int = 2000
    learning_rate: float = 1.5e-3
    schedule: Literal["constant", "poly"] = "poly"
    warmup_steps: int = 40
    weight_decay: float = 1e-2
    clip_norm: float = 12.0
    class_weights: tuple[float, float, float, float] = (0.5, 1.0, 1.0, 2.0)
    ema_decay: float = 0.995
    memory_source: Literal["fractured", "all"] = "fractured"
    precision: Literal["bf16", "fp32"] = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0.0:
            raise ValueError("steps and learning_rate must be positive")
        if not 0.0 <= self.ema_decay < 1.0:
            raise ValueError(f"ema_decay must lie in [0, 1), got {self.ema_decay}")

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.schedule == "constant":
            return self.learning_rate * warm
        left: float = (1.0 - min(step, self.steps) / self.steps) ** 0.9
        return self.learning_rate * warm * left


_PAPER_RUN = TrainConfig(
    network=PAPER,
    patches=PatchConfig(size=128, spacing_mm=0.8, sampler=SamplerConfig()),
    steps=250_000,
    learning_rate=1e-4,
    schedule="constant",
    warmup_steps=0,
    weight_decay=0.0,
    class_weights=(1.0, 1.0, 1.0, 1.0),
    ema_decay=0.0,
    memory_source="all",
)
_SMALL_RUN = TrainConfig()


def _with(network: TPCNetConfig) -> TrainConfig:
    return replace(_SMALL_RUN, network=network)


PRESETS: dict[str, TrainConfig] = {
    "small": _SMALL_RUN,
    "paper": _PAPER_RUN,
    # The rows of Table 2 of the paper, on the small network.
    "small-no-calibration": _with(replace(SMALL, use_fca=False)),
    "small-no-contrast": _with(replace(SMALL, use_contrastive=False)),
    "small-no-memory": _with(replace(SMALL, use_memory=False)),
    "small-no-memory-no-contrast": _with(replace(SMALL, use_memory=False, use_contrastive=False)),
    # The control: neither memory nor the attention that reads it.
    "small-no-attention": _with(
        replace(SMALL, use_memory=False, use_channel_attention=False, use_spatial_attention=False)
    ),
}
