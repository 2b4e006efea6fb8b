"""Settings of a training run of TPC-Net, and the presets that ship.

A preset is a value; an ablation is a preset with one field replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from fracseg_training.fragments.patches import PatchConfig
from fracseg_training.training.config import LoopConfig
from fracseg_training.training.sampler import SamplerConfig
from FractureSegmentationLib.networks.config import PAPER, SMALL, TPCNetConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(LoopConfig):
    """How a network is trained.

    Attributes:
        network: the network.
        patches: what it sees.
        class_weights: of background, boundary, interior, contact in the cross-entropy.
        memory_source: which patches enter the trauma memory: the fractured ones, or all as in the
            paper.
    """

    network: TPCNetConfig = SMALL
    patches: PatchConfig = field(default_factory=PatchConfig)
    class_weights: tuple[float, float, float, float] = (0.5, 1.0, 1.0, 2.0)
    memory_source: Literal["fractured", "all"] = "fractured"


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
