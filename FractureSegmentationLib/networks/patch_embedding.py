"""Patch embeddings: what describes a patch at one scale, and how that is projected."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from FractureSegmentationLib.networks.grids import channels_last

_EPS = 1e-8
_SMALLEST_VARIANCE = 1e-6
_LEAST_BONE = 1e-6


def bone_shares(mask: Tensor, scales: int) -> list[Tensor]:
    """How much of every voxel is bone, at each scale.

    Args:
        mask: (B, 1, K, J, I) 0 and 1, every side a multiple of 2^(scales - 1).
        scales: number of scales, full resolution included.

    Returns:
        Per scale float32 (B, 1, K, J, I), in [0, 1]; the grid halves from one to the next.
    """
    shares = [mask.float()]
    while len(shares) < scales:
        shares.append(F.avg_pool3d(shares[-1], 2))
    return shares


def bone_statistics(x: Tensor, share: Tensor) -> Tensor:
    """Mean and standard deviation of every channel over bone; what lies outside does not count.

    Args:
        x: (B, C, K, J, I) map of one scale.
        share: (B, 1, K, J, I) how much of a voxel is bone.

    Returns:
        float32 (B, 2 C): the means, then the deviations; all but 0 for a patch without bone.
    """
    values = channels_last(x).flatten(1, 3).float()
    weights = share.flatten(2).float()
    weights = weights / weights.sum(dim=-1, keepdim=True).clamp_min(_LEAST_BONE)
    mean = (weights @ values)[:, 0]
    variance = (weights @ values.square())[:, 0] - mean.square()
    # The root of 0 has no finite slope.
    return torch.cat((mean, variance.clamp_min(0.0).add(_SMALLEST_VARIANCE).sqrt()), dim=1)


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
        channels: length of what describes a patch.
        embedding_dim: length of the embedding.
        bias: whether its layers have biases. They let all embeddings become one vector, which is
            the first thing that a contrastive loss of a few patches makes of them.
        centred: whether the embeddings are standardised, too.
    """

    def __init__(
        self, channels: int, embedding_dim: int, *, bias: bool = True, centred: bool = False
    ) -> None:
        super().__init__()
        self.standardise = RunningStandardisation(channels)
        self.unify = nn.Linear(channels, embedding_dim, bias=bias)
        # Layer, not batch, normalisation: a batch holds two to four patches, and the memory bank
        # keeps the output across batches.
        self.head = nn.Sequential(
            nn.Linear(embedding_dim, embedding_dim, bias=bias),
            nn.LayerNorm(embedding_dim, bias=bias),
            nn.LeakyReLU(0.01),
            nn.Linear(embedding_dim, embedding_dim, bias=bias),
        )
        self.centre = RunningStandardisation(embedding_dim) if centred else nn.Identity()

    def forward(self, descriptor: Tensor) -> Tensor:
        """Embed what describes the patches of a batch, (B, channels), as (B, embedding_dim)."""
        embedding: Tensor = self.centre(self.head(self.unify(self.standardise(descriptor))))
        return embedding
