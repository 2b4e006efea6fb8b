"""The trauma prior memory: a bank of past patch embeddings and the attention that reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from FractureSegmentationLib.networks.attention import MultiHeadAttention, feed_forward


def _thaw(memory: TraumaMemory, _: object) -> None:
    memory.unfreeze()


class TraumaMemory(nn.Module):
    """Eq. 4 to 6: refines embeddings by what the bank holds of the same scale.

    The bank is a buffer, written first in, first out per scale, never by gradient: a row is
    replaced long before gradients could shape it. What is learned is how it is read, and one offset
    per scale. The raw bank is kept; writing the self-attended one back would draw all rows to their
    mean. `written` counts the rows written per scale since the start, so the next row is
    `written % keys`, and `min(written, keys)` rows are filled. Empty rows are never attended to,
    except that an unwritten bank offers its first, random row.

    Args:
        scales: number of scales (L).
        keys: rows per scale (K).
        width: length of an embedding (F).
        heads: attention heads.
    """

    memory: Tensor
    memory_count: Tensor
    frozen_keys: Tensor | None
    frozen_values: Tensor | None

    def __init__(self, scales: int, keys: int, width: int, heads: int) -> None:
        super().__init__()
        self.register_buffer("memory", 0.02 * torch.randn(scales, keys, width))
        self.register_buffer("memory_count", torch.zeros((), dtype=torch.int64))
        self.offset = nn.Parameter(torch.zeros(scales, 1, width))
        self.self_attention = MultiHeadAttention(width, heads)
        self.self_norm = nn.LayerNorm(width)
        self.self_mlp = feed_forward(width, 2 * width)
        self.cross_attention = MultiHeadAttention(width, heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross_mlp = feed_forward(width, 2 * width)
        # Buffers, so that they move with the module; not part of its state.
        self.register_buffer("frozen_keys", None, persistent=False)
        self.register_buffer("frozen_values", None, persistent=False)
        on_loaded = cast(Callable[..., object], self.register_load_state_dict_post_hook)
        on_loaded(_thaw)

    @property
    def is_frozen(self) -> bool:
        """Whether keys and values were computed ahead."""
        return self.frozen_keys is not None

    def filled_rows(self) -> int:
        """Rows per scale that the bank offers, at least one."""
        return min(max(int(self.memory_count), 1), self.memory.shape[1])

    def prior(self) -> Tensor:
        """M_self of Eq. 4, (L, filled rows, F)."""
        bank = self.memory[:, : self.filled_rows()] + self.offset
        attended = self.self_norm(self.self_attention(bank, bank))
        refined: Tensor = bank + self.self_mlp(attended)
        return refined

    def forward(self, embeddings: Tensor) -> Tensor:
        """Eq. 5: (L, B, F) embeddings g to refined embeddings of the same shape."""
        keys, values = self._keys_and_values()
        found = self.cross_norm(self.cross_attention.attend(embeddings, keys, values))
        enhanced: Tensor = embeddings + self.cross_mlp(found)
        return enhanced

    @torch.no_grad()
    def write(self, embeddings: Tensor) -> None:
        """Eq. 6: let (L, N, F) embeddings replace the oldest rows of their scale."""
        self.unfreeze()
        scales, keys, width = self.memory.shape
        if embeddings.ndim != 3 or embeddings.shape[::2] != (scales, width):
            raise ValueError(f"expected ({scales}, N, {width}), got {tuple(embeddings.shape)}")
        rows = embeddings.shape[1]
        at = (int(self.memory_count) + torch.arange(rows, device=self.memory.device)) % keys
        self.memory[:, at[-keys:]] = embeddings[:, -keys:].detach().to(self.memory)
        self.memory_count += rows

    @torch.no_grad()
    def freeze(self) -> None:
        """Compute keys and values once, for as long as neither bank nor weights change."""
        self.frozen_keys, self.frozen_values = self._keys_and_values()

    def unfreeze(self) -> None:
        """Forget the keys and values computed ahead."""
        self.frozen_keys = self.frozen_values = None

    def train(self, mode: bool = True) -> TraumaMemory:
        """Enter training (which thaws the bank) or evaluation."""
        if mode:
            self.unfreeze()
        return super().train(mode)

    def _keys_and_values(self) -> tuple[Tensor, Tensor]:
        if self.frozen_keys is not None and self.frozen_values is not None:
            return self.frozen_keys, self.frozen_values
        return self.cross_attention.project_keys(self.prior())
