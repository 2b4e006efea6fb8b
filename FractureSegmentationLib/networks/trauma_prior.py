"""The trauma prior of TPC-Net: patch embeddings, their memory bank, attention at all scales."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from FractureSegmentationLib.networks.attention import (
    ChannelAttention,
    MultiHeadAttention,
    SpatialAttention,
    feed_forward,
)
from FractureSegmentationLib.networks.blocks import full_precision
from FractureSegmentationLib.networks.config import TPCNetConfig
from FractureSegmentationLib.networks.grids import RefinedFeatures, Side, pool_to_grids
from FractureSegmentationLib.networks.patch_embedding import (
    PatchProjection,
    bone_shares,
    bone_statistics,
)

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
        self.scales = config.scales_with_embedding
        is_masked = config.masked_descriptors
        self.projections = nn.ModuleList(
            PatchProjection(
                (3 if is_masked else 1) * features[scale],
                width,
                bias=not is_masked,
                centred=config.centred_embeddings,
            )
            for scale in self.scales
        )
        self.memory = (
            TraumaMemory(
                len(self.scales),
                config.memory_keys,
                width,
                config.heads,
                normalised=config.normalised_memory,
            )
            if config.use_memory
            else None
        )
        self.channel_attention = nn.ModuleList(
            ChannelAttention(
                channels,
                width if scale in self.scales else None,
                config.channel_embedding,
                config.heads,
                literal_softmax=config.literal_softmax,
            )
            for scale, channels in enumerate(features if config.use_channel_attention else ())
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

    def forward(
        self, maps: Sequence[Tensor], mask: Tensor
    ) -> tuple[list[RefinedFeatures], Tensor, Tensor]:
        """Refine the maps of all scales.

        Args:
            maps: per scale (B, C, K, J, I), full resolution first.
            mask: (B, 1, K, J, I) bone at full resolution; read for masked descriptors only.

        Returns:
            Refined features per scale; embeddings (L, B, F) for the memory, of the scales that have
            one; contrastive embeddings (L, B, F) of length one. L is 0 for what is off.
        """
        with full_precision(maps[0].device):
            grids = [self._pool(x, is_bottom=x is maps[-1]) for x in maps]
            descriptors = [grid[_MEAN].flatten(1) for grid in grids]
            raw, embeddings = self._embed(self._described(maps, mask, descriptors))
            gains = self._gains(descriptors, embeddings)
            tokens = self._tokens(grids, gains)
            contrastive = F.normalize(raw, dim=-1) if self.config.use_contrastive else raw[:0]
            # A bank fed with what was read from it draws its rows together.
            remembered = raw if self.config.normalised_memory else embeddings
        refined = [
            RefinedFeatures(
                features=x, gain=gain, tokens=token, pooled=grid.get(self._calibration_side(x))
            )
            for x, gain, token, grid in zip(maps, gains, tokens, grids, strict=True)
        ]
        return refined, remembered, contrastive

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

    def _described(
        self, maps: Sequence[Tensor], mask: Tensor, means: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """What is projected at each scale; scales without an embedding keep their mean."""
        if not (self.config.masked_descriptors and self.scales):
            return means
        described, shares = list(means), bone_shares(mask, len(maps))
        for scale in self.scales:
            inside = bone_statistics(maps[scale], shares[scale])
            described[scale] = torch.cat((means[scale], inside), dim=1)
        return described

    def _embed(self, descriptors: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Embeddings g and their refined form g~, each (L, B, F)."""
        if not self.scales:
            none = descriptors[0].new_zeros(0, len(descriptors[0]), self.config.embedding_dim)
            return none, none
        raw = torch.stack(
            [
                projection(descriptors[scale])
                for projection, scale in zip(self.projections, self.scales, strict=True)
            ]
        )
        return raw, raw if self.memory is None else self.memory(raw)

    def _gains(self, descriptors: Sequence[Tensor], embeddings: Tensor) -> Sequence[Tensor | None]:
        if not self.config.use_channel_attention:
            return [None] * len(descriptors)
        of_scale = dict(zip(self.scales, embeddings, strict=True))
        return [
            attention(descriptor, of_scale.get(scale))
            for scale, (attention, descriptor) in enumerate(
                zip(self.channel_attention, descriptors, strict=True)
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
        normalised: whether rows are kept at length one, so that no row outweighs the others. They
            are read at length sqrt(F), where their entries are of order 1 as the layers expect.
    """

    memory: Tensor
    memory_count: Tensor
    frozen_keys: Tensor | None
    frozen_values: Tensor | None

    def __init__(
        self, scales: int, keys: int, width: int, heads: int, *, normalised: bool = False
    ) -> None:
        super().__init__()
        self.normalised = normalised
        rows = torch.randn(scales, keys, width)
        self.register_buffer("memory", F.normalize(rows, dim=-1) if normalised else 0.02 * rows)
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

    def filled_rows(self) -> int:
        """Rows per scale that the bank offers, at least one."""
        return min(max(int(self.memory_count), 1), self.memory.shape[1])

    def prior(self) -> Tensor:
        """M_self of Eq. 4, (L, filled rows, F)."""
        bank = self.memory[:, : self.filled_rows()]
        if self.normalised:
            bank = bank * math.sqrt(bank.shape[-1])
        bank = bank + self.offset
        attended = self.self_norm(self.self_attention(bank, bank))
        refined: Tensor = bank + self.self_mlp(attended)
        return refined

    def forward(self, embeddings: Tensor) -> Tensor:
        """Eq. 5: (L, B, F) embeddings g to refined embeddings of the same shape."""
        keys, values = self._keys_and_values()
        recalled = self.cross_norm(self.cross_attention.attend(embeddings, keys, values))
        enhanced: Tensor = embeddings + self.cross_mlp(recalled)
        return enhanced

    @torch.no_grad()
    def write(self, embeddings: Tensor) -> None:
        """Eq. 6: let (L, N, F) embeddings replace the oldest rows of their scale."""
        self.unfreeze()
        scales, keys, width = self.memory.shape
        if embeddings.ndim != 3 or embeddings.shape[::2] != (scales, width):
            raise ValueError(f"expected ({scales}, N, {width}), got {tuple(embeddings.shape)}")
        if self.normalised:
            embeddings = F.normalize(embeddings.float(), dim=-1)
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
