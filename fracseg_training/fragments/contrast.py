"""The contrastive term of TPC-Net: which loss, from when on, and the patches that it remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fracseg_training.training.losses import contrastive_loss, supervised_contrastive_loss


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastConfig:
    """How embeddings are taught to tell fractured patches from healthy ones.

    Attributes:
        loss: "supervised" contrasts a patch with all of its batch and with past ones, "infonce" as
            in the paper with one positive and the negatives of its batch.
        temperature: similarities are divided by it.
        past: embeddings of earlier patches that are remembered, for the loss or the figures.
        first_step: optimizer steps of segmentation alone before the term counts.
        max_learning_rate: of the projections that the term shapes; None for that of the network.
    """

    loss: Literal["supervised", "infonce"] = "supervised"
    temperature: float = 0.1
    past: int = 64
    first_step: int = 500
    max_learning_rate: float | None = 5e-4

    def __post_init__(self) -> None:
        if self.temperature <= 0.0 or self.past < 1 or self.first_step < 0:
            raise ValueError("temperature and past must be positive, first_step not negative")
        if self.max_learning_rate is not None and self.max_learning_rate <= 0.0:
            raise ValueError(f"max_learning_rate must be positive, got {self.max_learning_rate}")

    def weight_at(self, step: int) -> float:
        """Weight of the term in the total loss at a step, counted from 0."""
        return float(step >= self.first_step)


PAPER_CONTRAST = ContrastConfig(
    loss="infonce", temperature=0.07, first_step=0, max_learning_rate=None
)


class EmbeddingQueue(nn.Module):
    """The last embeddings with their classes; part of what a run resumes from.

    Args:
        scales: scales that have an embedding (L).
        past: most embeddings that are kept per scale.
        width: length of an embedding (F).
    """

    embeddings: Tensor
    is_fractured: Tensor
    written: Tensor

    def __init__(self, scales: int, past: int, width: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.zeros(scales, past, width))
        self.register_buffer("is_fractured", torch.zeros(past, dtype=torch.bool))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, embeddings: Tensor, is_fractured: Tensor) -> None:
        """Let (L, N, F) embeddings and their (N,) classes replace the oldest ones."""
        past, count = len(self.is_fractured), len(is_fractured)
        at = (int(self.written) + torch.arange(count, device=self.embeddings.device)) % past
        self.embeddings[:, at[-past:]] = embeddings[:, -past:].detach().to(self.embeddings)
        self.is_fractured[at[-past:]] = is_fractured[-past:].to(self.is_fractured)
        self.written += count

    def content(self) -> tuple[Tensor, Tensor]:
        """What is there, oldest first: (L, N, F) embeddings and (N,) classes."""
        written, past = int(self.written), len(self.is_fractured)
        if written <= past:
            return self.embeddings[:, :written], self.is_fractured[:written]
        turn = -(written % past)
        return self.embeddings.roll(turn, dims=1), self.is_fractured.roll(turn)


def contrast_of(
    embeddings: Tensor, is_fractured: Tensor, queue: EmbeddingQueue, config: ContrastConfig
) -> Tensor:
    """The contrastive term of a batch.

    Args:
        embeddings: (L, B, F).
        is_fractured: (B,) bool.
        queue: what came before; the batch is not in it yet.
        config: which loss.

    Returns:
        Scalar.
    """
    if config.loss == "infonce":
        return contrastive_loss(embeddings, is_fractured, config.temperature)
    return supervised_contrastive_loss(
        embeddings, is_fractured, *queue.content(), config.temperature
    )
