"""Channel-wise attention: how much the trauma context raises each channel of a scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from FractureSegmentationLib.networks.attention import MultiHeadAttention, feed_forward


class ChannelAttention(nn.Module):
    """Eq. 7 and 8 for one scale.

    Every channel is a token, made of its mean value and a learned embedding that says which channel
    it is; the refined patch embedding is one more token. Channels ask, all tokens answer.

    Args:
        channels: channels of the scale.
        embedding_dim: length of the refined patch embedding.
        width: length of a token.
        heads: attention heads.
        literal_softmax: scores layer-normalised as printed.
    """

    def __init__(
        self,
        channels: int,
        embedding_dim: int,
        width: int,
        heads: int,
        *,
        literal_softmax: bool = False,
    ) -> None:
        super().__init__()
        self.value = nn.Linear(1, width)
        self.identity = nn.Parameter(0.02 * torch.randn(channels, width))
        self.context = nn.Linear(embedding_dim, width)
        self.attention = MultiHeadAttention(width, heads, normalise_scores=literal_softmax)
        self.norm = nn.LayerNorm(width)
        self.mlp = feed_forward(width, 4 * width)
        self.weight = nn.Linear(width, 1)

    def forward(self, descriptor: Tensor, embedding: Tensor) -> Tensor:
        """The factor 1 + sigmoid(w) of Eq. 8.

        Args:
            descriptor: (B, channels) mean of the feature map.
            embedding: (B, embedding_dim) refined patch embedding.

        Returns:
            (B, channels), each in (1, 2).
        """
        tokens = self.value(descriptor[..., None]) + self.identity
        context = torch.cat((tokens, self.context(embedding)[:, None]), dim=1)
        attended = tokens + self.attention(tokens, context)
        weights: Tensor = self.weight(attended + self.mlp(self.norm(attended)))
        return 1.0 + weights[..., 0].sigmoid()
