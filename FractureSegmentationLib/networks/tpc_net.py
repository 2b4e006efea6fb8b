"""TPC-Net: the trauma-prior-guided contrastive network that predicts the fragment map.

Encoder → trauma prior → decoder with feature calibration at every scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from FractureSegmentationLib.networks.blocks import (
    ConvNormAct,
    Encoder,
    Upsample,
    check_grid,
    conv_stage,
    full_precision,
)
from FractureSegmentationLib.networks.config import TPCNetConfig
from FractureSegmentationLib.networks.grids import RefinedFeatures, pool_to_grids
from FractureSegmentationLib.networks.trauma_prior import TraumaPrior


class TPCOutput(NamedTuple):
    """What one forward pass yields.

    Attributes:
        logits: (B, out_channels, K, J, I).
        auxiliary: in training with deep supervision, logits at 1/2, 1/4, ... resolution, finest
            first; else empty.
        embeddings: (L, B, F) refined embeddings g~, not normalised (g without the memory or with a
            normalised one): what `TPCNet.update_memory` takes. L counts the scales that have an
            embedding, 0 where no part needs any.
        contrastive: (L, B, F) embeddings z of length one for the contrastive loss, float32.
            L is 0 with `use_contrastive` off.
    """

    logits: Tensor
    auxiliary: list[Tensor]
    embeddings: Tensor
    contrastive: Tensor


class CalibratedDecoderStage(nn.Module):
    """Doubles the grid and joins the refined encoder features, calibrated where that is on.

    Args:
        below: channels of the coarser input.
        features: channels of the encoder features and of the result.
        config: number of convolutions and whether calibration is on.
    """

    def __init__(self, below: int, features: int, config: TPCNetConfig) -> None:
        super().__init__()
        self.up = Upsample(below, features)
        self.calibration = (
            FeatureCalibration(features, config.fca_tokens) if config.use_fca else None
        )
        self.convs = conv_stage(2 * features, features, config.decoder_convs)

    def forward(self, x: Tensor, encoder: RefinedFeatures) -> Tensor:
        """(B, below, K/2, J/2, I/2) and the scale's features to (B, features, K, J, I)."""
        raised = self.up(x)
        skip = encoder.dense() if self.calibration is None else self.calibration(raised, encoder)
        return cast(Tensor, self.convs(torch.cat((raised, skip), dim=1)))


class TPCNet(nn.Module):
    """Contrastive encoder, trauma prior, calibrated decoder.

    Weights stay float32; lower precision comes from autocast around the call.

    Args:
        config: its size and which parts are on.
    """

    def __init__(self, config: TPCNetConfig) -> None:
        super().__init__()
        self.config = config
        features = config.features
        self.encoder = Encoder(config.in_channels, features, config.convs_per_stage)
        self.prior = TraumaPrior(config)
        self.decoder = nn.ModuleList(
            CalibratedDecoderStage(below, width, config)
            for below, width in zip(features[:0:-1], features[-2::-1], strict=True)
        )
        self.head = nn.Conv3d(features[0], config.out_channels, 1)
        self.auxiliary_heads = nn.ModuleList(
            nn.Conv3d(width, config.out_channels, 1)
            for width in (features[-2:0:-1] if config.deep_supervision else ())
        )

    def forward(self, x: Tensor) -> TPCOutput:
        """Predict the fragment map of bone patches.

        Args:
            x: (B, in_channels, K, J, I), every side a multiple of `config.stride`.

        Returns:
            Logits and, for training, what the losses and the memory need.

        Raises:
            ValueError: the channels or the sides do not fit.
        """
        check_grid(x, self.config.in_channels, self.config.stride)
        maps = self.encoder(x.contiguous(memory_format=torch.channels_last_3d))
        # The bone mask is the last channel of the input.
        refined, embeddings, contrastive = self.prior(maps, x[:, -1:])
        stages = self._decode(refined)
        auxiliary: list[Tensor] = []
        if self.training and self.config.deep_supervision:
            lower = zip(self.auxiliary_heads, stages[:-1], strict=True)
            auxiliary = [head(stage) for head, stage in lower][::-1]
        return TPCOutput(self.head(stages[-1]), auxiliary, embeddings, contrastive)

    def update_memory(self, embeddings: Tensor, is_fractured: Tensor) -> None:
        """Write the embeddings of fractured patches over the oldest rows of the bank.

        Args:
            embeddings: (L, B, F), `TPCOutput.embeddings`.
            is_fractured: (B,) which patches to write; all True follows the publication.

        Raises:
            ValueError: the memory is off, or the shapes do not fit.
        """
        if self.prior.memory is None:
            raise ValueError("this network has no memory: use_memory is off")
        if is_fractured.shape != embeddings.shape[1:2] or is_fractured.dtype != torch.bool:
            raise ValueError(f"is_fractured must be bool of shape ({embeddings.shape[1]},)")
        self.prior.memory.write(embeddings[:, is_fractured.to(embeddings.device)])

    def freeze_memory(self) -> None:
        """Do the work on the bank once, for inference; training or loading weights undoes it."""
        if self.prior.memory is not None:
            self.prior.memory.freeze()

    def _decode(self, refined: Sequence[RefinedFeatures]) -> list[Tensor]:
        """Outputs of the decoder stages, coarsest first."""
        *skips, bottom = refined
        y = bottom.dense()
        outputs: list[Tensor] = []
        for stage, skip in zip(self.decoder, reversed(skips), strict=True):
            y = stage(y, skip)
            outputs.append(y)
        return outputs


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
