"""The attentions of TPC-Net, in float32: multi-head, over channels, over space and scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultiHeadAttention(nn.Module):
    """Queries gather values from keys.

    Args:
        width: length of a token, a multiple of `heads`.
        heads: number of heads.
        normalise_scores: softmax(LN(Q K^T)), the layer normalisation running over the keys, as
            Eq. 7 and 9 are printed; otherwise softmax(Q K^T / sqrt(d)).
    """

    def __init__(self, width: int, heads: int, *, normalise_scores: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.normalise_scores = normalise_scores
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def project_keys(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of (N, T, width) tokens, each (N, heads, T, width / heads)."""
        keys, values = self.key_value(context).chunk(2, dim=-1)
        return self._split(keys), self._split(values)

    def attend(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Let (N, S, width) tokens gather from projected keys and values."""
        queries = self._split(self.query(query))
        if self.normalise_scores:
            scores = queries @ keys.transpose(-2, -1)
            gathered = F.layer_norm(scores, scores.shape[-1:]).softmax(-1) @ values
        else:
            gathered = F.scaled_dot_product_attention(queries, keys, values)
        merged: Tensor = self.out(gathered.transpose(1, 2).flatten(2))
        return merged

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """(N, S, width) tokens attend to (N, T, width) tokens; (N, S, width) comes out."""
        return self.attend(query, *self.project_keys(context))

    def _split(self, tokens: Tensor) -> Tensor:
        rows, count, width = tokens.shape
        return tokens.view(rows, count, self.heads, width // self.heads).transpose(1, 2)


def feed_forward(width: int, hidden: int) -> nn.Sequential:
    """The two-layer perceptron behind an attention."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class ChannelAttention(nn.Module):
    """Eq. 7 and 8 for one scale.

    Every channel is a token, made of its mean value and a learned embedding that says which channel
    it is; the refined patch embedding is one more token, at the scales that have one. Channels ask,
    all tokens answer.

    Args:
        channels: channels of the scale.
        embedding_dim: length of the refined patch embedding; None where the scale has none.
        width: length of a token.
        heads: attention heads.
        literal_softmax: scores layer-normalised as printed.
    """

    def __init__(
        self,
        channels: int,
        embedding_dim: int | None,
        width: int,
        heads: int,
        *,
        literal_softmax: bool = False,
    ) -> None:
        super().__init__()
        self.value = nn.Linear(1, width)
        self.identity = nn.Parameter(0.02 * torch.randn(channels, width))
        self.context = None if embedding_dim is None else nn.Linear(embedding_dim, width)
        self.attention = MultiHeadAttention(width, heads, normalise_scores=literal_softmax)
        self.norm = nn.LayerNorm(width)
        self.mlp = feed_forward(width, 4 * width)
        self.weight = nn.Linear(width, 1)

    def forward(self, descriptor: Tensor, embedding: Tensor | None) -> Tensor:
        """The factor 1 + sigmoid(w) of Eq. 8.

        Args:
            descriptor: (B, channels) mean of the feature map.
            embedding: (B, embedding_dim) refined patch embedding; None where the scale has none.

        Returns:
            (B, channels), each in (1, 2).
        """
        tokens = self.value(descriptor[..., None]) + self.identity
        context = tokens
        if self.context is not None and embedding is not None:
            context = torch.cat((tokens, self.context(embedding)[:, None]), dim=1)
        attended = tokens + self.attention(tokens, context)
        weights: Tensor = self.weight(attended + self.mlp(self.norm(attended)))
        return 1.0 + weights[..., 0].sigmoid()


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
