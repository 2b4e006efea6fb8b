"""Pooling a feature map onto a small grid, and spreading a small grid over a map.

Both are linear and separable, so each is one matrix per axis. The first axis of a channels-last map
is a plain matrix product over contiguous memory: the map is read once, whatever its number format.
Feature maps are (B, C, K, J, I), channels-last in memory; grids are (B, k, j, i, C).
"""

from __future__ import annotations

from collections.abc import Sequence
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
