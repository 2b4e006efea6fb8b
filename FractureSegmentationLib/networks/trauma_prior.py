"""The trauma prior of TPC-Net: embeddings, memory, channel and spatial attention of all scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from FractureSegmentationLib.networks.blocks import full_precision
from FractureSegmentationLib.networks.channel_attention import ChannelAttention
from FractureSegmentationLib.networks.config import TPCNetConfig
from FractureSegmentationLib.networks.grids import Side, pool_to_grids
from FractureSegmentationLib.networks.memory import TraumaMemory
from FractureSegmentationLib.networks.projection import PatchProjection
from FractureSegmentationLib.networks.refined_features import RefinedFeatures
from FractureSegmentationLib.networks.spatial_attention import SpatialAttention

_MEAN: Side = (1, 1, 1)


class TraumaPrior(nn.Module):
    """Turns the encoder's maps into refined features and patch embeddings.

    All of it works on pooled values in float32; the maps themselves are read once, by the pooling.

    Args:
        config: widths, and which parts are on.
    """

    def __init__(self, config: TPCNetConfig) -> None:
        super().__init__()
        self.config = config
        features, width = config.features, config.embedding_dim
        self.projections = nn.ModuleList(
            PatchProjection(channels, width)
            for channels in (features if config.uses_embeddings else ())
        )
        self.memory = (
            TraumaMemory(len(features), config.memory_keys, width, config.heads)
            if config.use_memory
            else None
        )
        self.channel_attention = nn.ModuleList(
            ChannelAttention(
                channels,
                width,
                config.channel_embedding,
                config.heads,
                literal_softmax=config.literal_softmax,
            )
            for channels in (features if config.use_channel_attention else ())
        )
        self.spatial_attention = (
            SpatialAttention(
                features,
                config.spatial_grid,
                config.spatial_embedding,
                config.heads,
                literal_softmax=config.literal_softmax,
            )
            if config.use_spatial_attention
            else None
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[RefinedFeatures], Tensor, Tensor]:
        """Refine the maps of all scales.

        Args:
            maps: per scale (B, C, K, J, I), full resolution first.

        Returns:
            Refined features per scale; embeddings g~ (L, B, F); contrastive embeddings (L, B, F)
            of length one. L is 0 for what is off.
        """
        with full_precision(maps[0].device):
            grids = [self._pool(x, is_bottom=x is maps[-1]) for x in maps]
            descriptors = [grid[_MEAN].flatten(1) for grid in grids]
            raw, embeddings = self._embed(descriptors)
            gains = self._gains(descriptors, embeddings)
            tokens = self._tokens(grids, gains)
            contrastive = F.normalize(raw, dim=-1) if self.config.use_contrastive else raw[:0]
        refined = [
            RefinedFeatures(
                features=x, gain=gain, tokens=token, pooled=grid.get(self._calibration_side(x))
            )
            for x, gain, token, grid in zip(maps, gains, tokens, grids, strict=True)
        ]
        return refined, embeddings, contrastive

    def _calibration_side(self, x: Tensor) -> Side:
        most = self.config.fca_tokens
        return (min(most, x.shape[2]), min(most, x.shape[3]), min(most, x.shape[4]))

    def _spatial_side(self) -> Side:
        return (self.config.spatial_grid,) * 3

    def _pool(self, x: Tensor, *, is_bottom: bool) -> dict[Side, Tensor]:
        """The grids of one scale that the parts that are on ask for; the mean always."""
        sides = {_MEAN}
        if self.spatial_attention is not None:
            sides.add(self._spatial_side())
        if self.config.use_fca and not is_bottom:
            sides.add(self._calibration_side(x))
        ordered = sorted(sides)
        return dict(zip(ordered, pool_to_grids(x, ordered), strict=True))

    def _embed(self, descriptors: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Embeddings g and their refined form g~, each (L, B, F)."""
        if not self.config.uses_embeddings:
            none = descriptors[0].new_zeros(0, len(descriptors[0]), self.config.embedding_dim)
            return none, none
        raw = torch.stack(
            [
                projection(descriptor)
                for projection, descriptor in zip(self.projections, descriptors, strict=True)
            ]
        )
        return raw, raw if self.memory is None else self.memory(raw)

    def _gains(self, descriptors: Sequence[Tensor], embeddings: Tensor) -> Sequence[Tensor | None]:
        if not self.config.use_channel_attention:
            return [None] * len(descriptors)
        return [
            attention(descriptor, embedding)
            for attention, descriptor, embedding in zip(
                self.channel_attention, descriptors, embeddings, strict=True
            )
        ]

    def _tokens(
        self, grids: Sequence[dict[Side, Tensor]], gains: Sequence[Tensor | None]
    ) -> Sequence[Tensor | None]:
        if self.spatial_attention is None:
            return [None] * len(grids)
        side = self._spatial_side()
        raised = [
            grid[side] if gain is None else grid[side] * gain[:, None, None, None]
            for grid, gain in zip(grids, gains, strict=True)
        ]
        return cast(list[Tensor], self.spatial_attention(raised))
