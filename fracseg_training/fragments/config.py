"""Settings of a training run of TPC-Net, and the presets that ship.

A preset is a value; an ablation is a preset with one field replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fracseg_training.fragments.contrast import PAPER_CONTRAST, ContrastConfig
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
        contrast: how the embeddings are taught.
        class_weights: of background, boundary, interior, contact in the cross-entropy.
        memory_source: which patches enter the trauma memory: the fractured ones, or all as in the
            paper.
    """

    network: TPCNetConfig = SMALL
    patches: PatchConfig = field(default_factory=PatchConfig)
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    class_weights: tuple[float, float, float, float] = (0.5, 1.0, 1.0, 2.0)
    memory_source: Literal["fractured", "all"] = "fractured"


_PAPER_RUN = TrainConfig(
    network=PAPER,
    patches=PatchConfig(size=128, spacing_mm=0.8, sampler=SamplerConfig()),
    contrast=PAPER_CONTRAST,
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


_NO_TPMA = {"use_memory": False, "use_channel_attention": False, "use_spatial_attention": False}


def _small(**changes: Any) -> TrainConfig:
    """The small run with fields of its network replaced."""
    return replace(_SMALL_RUN, network=replace(SMALL, **changes))


PRESETS: dict[str, TrainConfig] = {
    "small": _SMALL_RUN,
    "paper": _PAPER_RUN,
    # The rows of Table 2 of the paper, on the small network; its TPMA is memory, channel attention
    # and spatial attention.
    "small-no-memory": _small(use_memory=False),
    "small-no-tpma": _small(**_NO_TPMA),
    "small-no-contrast": _small(use_contrastive=False),
    "small-no-calibration": _small(use_fca=False),
    "small-all-off": _small(**_NO_TPMA, use_contrastive=False, use_fca=False),
    "small-no-tpma-no-contrast": _small(**_NO_TPMA, use_contrastive=False),
    # Other forms of the contrastive encoder: as published; with embeddings that cannot share one
    # direction; at the scales alone where pooled features tell the classes apart best.
    "small-paper-contrast": replace(
        _small(masked_descriptors=False, normalised_memory=False), contrast=PAPER_CONTRAST
    ),
    "small-centred": _small(centred_embeddings=True),
    "small-two-scales": _small(embedding_scales=(2, 3)),
}

ABLATION = (
    "small",
    "small-no-memory",
    "small-no-tpma",
    "small-no-contrast",
    "small-no-calibration",
    "small-all-off",
)
"""The presets that an ablation compares unless others are named."""
