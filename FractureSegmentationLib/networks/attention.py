"""Multi-head attention of a few hundred tokens, always in float32."""

from __future__ import annotations

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
