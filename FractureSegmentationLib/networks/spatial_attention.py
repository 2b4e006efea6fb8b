"""Spatial attention across all scales on a coarse grid of patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from FractureSegmentationLib.networks.attention import MultiHeadAttention, feed_forward


class SpatialAttention(nn.Module):
    """Eq. 9 to 11: each scale is cut into grid^3 patches, and all patches of all scales attend.

    Args:
        features: channels of each scale.
        grid: patches along each axis.
        width: length of a token.
        heads: attention heads.
        literal_softmax: scores layer-normalised as printed.
    """

    def __init__(
        self,
        features: Sequence[int],
        grid: int,
        width: int,
        heads: int,
        *,
        literal_softmax: bool = False,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.embed = nn.ModuleList(nn.Linear(channels, width) for channels in features)
        self.position = nn.Parameter(0.02 * torch.randn(grid**3, width))
        self.scale = nn.Parameter(0.02 * torch.randn(len(features), 1, width))
        self.attention = MultiHeadAttention(width, heads, normalise_scores=literal_softmax)
        self.attention_norm = nn.LayerNorm(width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = feed_forward(width, 4 * width)
        self.restore = nn.ModuleList(nn.Linear(width, channels) for channels in features)
        for layer in self.restore:
            # The first steps should see the encoder's features, hardly changed.
            nn.init.normal_(cast(nn.Linear, layer).weight, std=0.02)
            nn.init.zeros_(cast(nn.Linear, layer).bias)

    def forward(self, grids: Sequence[Tensor]) -> list[Tensor]:
        """What is to be spread over each scale's map.

        Args:
            grids: per scale the pooled features (B, grid, grid, grid, C of that scale).

        Returns:
            Per scale the same shape.
        """
        tokens = torch.stack(
            [
                embed(grid.flatten(1, 3)) + self.position
                for embed, grid in zip(self.embed, grids, strict=True)
            ],
            dim=1,
        )
        tokens = (tokens + self.scale).flatten(1, 2)
        attended = tokens + self.attention(tokens, tokens)
        updated = self.mlp(self.mlp_norm(attended)) + self.attention_norm(attended)
        parts = updated.chunk(len(grids), dim=1)
        return [
            restore(part).unflatten(1, grid.shape[1:4])
            for restore, part, grid in zip(self.restore, parts, grids, strict=True)
        ]
