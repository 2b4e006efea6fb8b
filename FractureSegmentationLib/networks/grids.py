"""Feature maps and small grids: pooling, spreading, and refined features kept as their factors.

Pooling and spreading are linear and separable, so each is one matrix per axis. The first axis of a
channels-last map is a plain matrix product over contiguous memory: the map is read once, whatever
its number format. Feature maps are (B, C, K, J, I), channels-last in memory; grids are
(B, k, j, i, C).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

Side = tuple[int, int, int]


@lru_cache(maxsize=256)
def _pooling_matrix(tokens: int, size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    # A tensor born in inference mode could not be used by a training step later.
    with torch.inference_mode(mode=False), torch.no_grad():
        pooled = F.adaptive_avg_pool1d(torch.eye(size)[None], tokens)[0].T
        return pooled.contiguous().to(device, dtype)


@lru_cache(maxsize=256)
def _spreading_matrix(size: int, tokens: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(mode=False), torch.no_grad():
        spread = F.interpolate(torch.eye(tokens)[None], size=size, mode="linear")[0].T
        return spread.contiguous().to(device, dtype)


def channels_last(x: Tensor) -> Tensor:
    """View (B, C, K, J, I) as (B, K, J, I, C)."""
    return x.permute(0, 2, 3, 4, 1)


def channels_first(x: Tensor) -> Tensor:
    """View (B, K, J, I, C) as (B, C, K, J, I)."""
    return x.permute(0, 4, 1, 2, 3)


def pool_to_grids(x: Tensor, sides: Sequence[Side]) -> list[Tensor]:
    """Adaptive average pooling of one map onto several grids, reading the map once.

    Args:
        x: (B, C, K, J, I), best channels-last in memory.
        sides: number of tokens along (k, j, i) of each grid.

    Returns:
        Per side a float32 (B, k, j, i, C).
    """
    batch, channels, size_k, size_j, size_i = x.shape
    first = torch.cat([_pooling_matrix(side[0], size_k, x.device, x.dtype) for side in sides])
    rows = first @ channels_last(x).reshape(batch, size_k, -1)
    grids, start = [], 0
    for side in sides:
        part = rows[:, start : start + side[0]].float()
        start += side[0]
        along_j = _pooling_matrix(side[1], size_j, x.device, torch.float32)
        along_i = _pooling_matrix(side[2], size_i, x.device, torch.float32)
        columns = along_j @ part.reshape(batch, side[0], size_j, -1)
        grids.append(along_i @ columns.reshape(batch, side[0], side[1], size_i, channels))
    return grids


def spread_grid(grid: Tensor, shape: Side, dtype: torch.dtype) -> Tensor:
    """Trilinear interpolation of a grid over a map (corners not aligned).

    Args:
        grid: float32 (B, k, j, i, C).
        shape: size of the map along (k, j, i).
        dtype: number format of the result.

    Returns:
        (B, K, J, I, C).
    """
    batch, side_k, side_j, side_i, channels = grid.shape
    device = grid.device
    rows = _spreading_matrix(shape[2], side_i, device, torch.float32) @ grid
    rows = rows.reshape(batch, side_k, side_j, -1)
    rows = _spreading_matrix(shape[1], side_j, device, torch.float32) @ rows
    rows = rows.reshape(batch, side_k, -1).to(dtype)
    dense = _spreading_matrix(shape[0], side_k, device, dtype) @ rows
    return dense.reshape(batch, *shape, channels)


def pool_of_spread(grid: Tensor, shape: Side, side: Side) -> Tensor:
    """What `pool_to_grids` gives for a spread grid, without the map in between.

    Args:
        grid: float32 (B, g, g, g, C).
        shape: size of the map along (k, j, i).
        side: tokens of the pooled map along (k, j, i).

    Returns:
        float32 (B, *side, C).
    """
    for axis in range(3):
        tokens, size, spread = side[axis], shape[axis], grid.shape[axis + 1]
        matrix = _pooling_matrix(tokens, size, grid.device, grid.dtype) @ _spreading_matrix(
            size, spread, grid.device, grid.dtype
        )
        grid = torch.tensordot(matrix, grid, dims=([1], [axis + 1])).movedim(0, axis + 1)
    return grid


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
