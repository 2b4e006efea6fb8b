"""From the feature map of a patch to one embedding per scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_EPS = 1e-8


class RunningStandardisation(nn.Module):
    """Takes from every channel its running mean and divides by its running deviation.

    Instance normalisation leaves the mean of a channel nearly the same in every patch: what tells
    two patches apart is a small change on a large constant, and without this step all embeddings
    point the same way and the contrastive loss has no gradient to begin with. A batch of two to
    four patches is too small for its own statistics, so running ones are used in training too.
    Only a fixed affine map, which the linear layer behind it could undo.

    Args:
        channels: length of the vectors.
        momentum: weight of a new batch, once enough batches were seen.
    """

    mean: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, channels: int, momentum: float = 0.02) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Standardise (B, channels); in training the batch enters the statistics first."""
        if self.training:
            self._learn(x.detach())
        standardised: Tensor = (x - self.mean) * torch.rsqrt(self.variance + _EPS)
        return standardised

    @torch.no_grad()
    def _learn(self, x: Tensor) -> None:
        self.batches += 1
        weight = max(self.momentum, 1.0 / float(self.batches))
        self.mean.lerp_(x.mean(dim=0).to(self.mean), weight)
        spread = (x.to(self.mean) - self.mean).square().mean(dim=0)
        self.variance.lerp_(spread, weight)


class PatchProjection(nn.Module):
    """Unifies the channels of one scale and projects the patch to its embedding g.

    The method applies a 3D linear convolution to the map, averages, and puts a perceptron behind.
    A 1x1x1 convolution commutes with the average, so the average comes first here: the same result
    for a millionth of the work.

    Args:
        channels: channels of the scale.
        embedding_dim: length of the embedding.
    """

    def __init__(self, channels: int, embedding_dim: int) -> None:
        super().__init__()
        self.standardise = RunningStandardisation(channels)
        self.unify = nn.Linear(channels, embedding_dim)
        # Layer, not batch, normalisation: a batch holds two to four patches, and the memory bank
        # keeps the output across batches.
        self.head = nn.Sequential(
            nn.Linear(embedding_dim, embedding_dim),
            nn.LayerNorm(embedding_dim),
            nn.LeakyReLU(0.01),
            nn.Linear(embedding_dim, embedding_dim),
        )

    def forward(self, descriptor: Tensor) -> Tensor:
        """Embed the mean feature vectors (B, channels) of a batch as (B, embedding_dim)."""
        embedding: Tensor = self.head(self.unify(self.standardise(descriptor)))
        return embedding
