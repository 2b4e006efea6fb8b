"""Feature calibration attention: the decoder asks which encoder channels serve it."""

from __future__ import annotations

import math
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from FractureSegmentationLib.networks.blocks import ConvNormAct, full_precision
from FractureSegmentationLib.networks.grids import pool_to_grids
from FractureSegmentationLib.networks.refined_features import RefinedFeatures


class FeatureCalibration(nn.Module):
    """Eq. 12 to 14: channel-to-channel cross-attention, then gating by the decoder.

    The similarity of decoder and encoder channels is measured on pooled tokens; the values stay at
    full resolution, because pooled ones would blur a fracture line of one voxel. Value projection,
    attention and output layer are linear in the encoder features, so they are multiplied into one
    channel-by-channel matrix per sample before the map is touched.

    Args:
        channels: channels of decoder and encoder features.
        tokens: at most so many pooled tokens along each axis.
    """

    def __init__(self, channels: int, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        self.score_norm = nn.LayerNorm(channels)
        self.gate = ConvNormAct(channels, channels, kernel=1, slope=0.0)
        # The default gain and layers would hand the decoder a near-uniform average of all channels.
        nn.init.constant_(self.score_norm.weight, 2.0)
        nn.init.orthogonal_(self.value.weight)
        nn.init.orthogonal_(self.out.weight)

    def grid_side(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Tokens along (k, j, i) for a map of this (K, J, I) shape."""
        return (
            min(self.tokens, shape[0]),
            min(self.tokens, shape[1]),
            min(self.tokens, shape[2]),
        )

    def forward(self, decoder: Tensor, encoder: RefinedFeatures) -> Tensor:
        """Recalibrated encoder features.

        Args:
            decoder: D, (B, C, K, J, I), before any fusion.
            encoder: X~ of the same scale, with its pooled grid of `grid_side`.

        Returns:
            (B, C, K, J, I).
        """
        with full_precision(decoder.device):
            matrix, offset = self._mixing(decoder, encoder.pooled_refined())
            calibrated = encoder.mixed(matrix, offset)
        return calibrated * cast(Tensor, self.gate(decoder))

    def _mixing(self, decoder: Tensor, encoder_grid: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 12 and the matrix (B, C, C) and offset (B, C) that Eq. 13 comes down to."""
        side = self.grid_side(tuple(decoder.shape[2:]))
        queries = self.query(pool_to_grids(decoder, [side])[0].flatten(1, 3))
        keys = self.key(encoder_grid.flatten(1, 3))
        # Scaling first keeps the sum over all tokens within half precision's range.
        scale = 1.0 / math.sqrt(keys.shape[1])
        similarity = self.score_norm((queries.transpose(1, 2) * scale) @ keys).softmax(-1)
        matrix = self.out.weight @ similarity @ self.value.weight
        offset = F.linear(similarity @ self.value.bias, self.out.weight, self.out.bias)
        return matrix, offset
