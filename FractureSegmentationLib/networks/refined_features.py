"""The features of one scale after the trauma prior, kept as factors instead of one more map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from FractureSegmentationLib.networks.grids import (
    channels_first,
    channels_last,
    pool_of_spread,
    spread_grid,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefinedFeatures:
    """X~ = X * gain + spread(tokens) of Eq. 8 and 11.

    At full resolution every further map costs as much memory traffic as a convolution. What the
    decoder asks of X~ is linear in it, so it is answered from the factors and X~ is never written.

    Attributes:
        features: X, (B, C, K, J, I), channels-last in memory.
        gain: (B, C) factor per channel, or None for 1.
        tokens: (B, g, g, g, C) to spread over the map, or None for 0.
        pooled: X pooled onto (B, t, t, t, C), or None where nobody asks for it.
    """

    features: Tensor
    gain: Tensor | None = None
    tokens: Tensor | None = None
    pooled: Tensor | None = None

    def pooled_refined(self) -> Tensor:
        """X~ pooled onto the grid of `pooled`, float32 (B, t, t, t, C).

        Raises:
            ValueError: made without `pooled`.
        """
        if self.pooled is None:
            raise ValueError("these features were made without their pooled grid")
        refined = self.pooled
        if self.gain is not None:
            refined = refined * self.gain[:, None, None, None]
        if self.tokens is not None:
            side = (refined.shape[1], refined.shape[2], refined.shape[3])
            shape = self.features.shape
            map_shape = (shape[2], shape[3], shape[4])
            refined = refined + pool_of_spread(self.tokens, map_shape, side)
        return refined

    def mixed(self, matrix: Tensor, offset: Tensor | None = None) -> Tensor:
        """A linear combination of the channels of X~ that differs from sample to sample.

        Args:
            matrix: float32 (B, D, C).
            offset: float32 (B, D) added everywhere, or None.

        Returns:
            (B, D, K, J, I) in the number format of X, channels-last in memory.
        """
        x = channels_last(self.features)
        batch, *shape, channels = x.shape
        width = matrix.shape[1]
        scaled = matrix if self.gain is None else matrix * self.gain[:, None]
        factor = scaled.transpose(1, 2).to(x.dtype)
        if self.tokens is not None:
            grid = torch.einsum("bkjic,bdc->bkjid", self.tokens, matrix)
            if offset is not None:
                grid = grid + offset[:, None, None, None]
            base = spread_grid(grid, (shape[0], shape[1], shape[2]), x.dtype)
            base = base.reshape(batch, -1, width)
        else:
            base = offset[:, None].to(x.dtype) if offset is not None else x.new_zeros(batch, 1, 1)
        mixed = torch.baddbmm(base, x.reshape(batch, -1, channels), factor)
        return channels_first(mixed.reshape(batch, *shape, width))

    def dense(self) -> Tensor:
        """X~ itself, (B, C, K, J, I)."""
        if self.gain is None and self.tokens is None:
            return self.features
        channels = self.features.shape[1]
        identity = torch.eye(channels, device=self.features.device)
        return self.mixed(identity.expand(len(self.features), -1, -1))
