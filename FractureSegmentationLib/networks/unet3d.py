"""A plain 3D U-Net: the bone-extraction cascade, and the yardstick of TPC-Net."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from FractureSegmentationLib.networks.blocks import Encoder, Upsample, check_grid, conv_stage
from FractureSegmentationLib.networks.config import UNet3DConfig


class DecoderStage(nn.Module):
    """Doubles the grid, joins the encoder features of that scale and convolves.

    Args:
        below: channels of the coarser input.
        features: channels of the encoder features and of the result.
        convs: convolutions after the join.
    """

    def __init__(self, below: int, features: int, convs: int) -> None:
        super().__init__()
        self.up = Upsample(below, features)
        self.convs = conv_stage(2 * features, features, convs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, below, K/2, J/2, I/2) and (B, features, K, J, I) to (B, features, K, J, I)."""
        return cast(Tensor, self.convs(torch.cat((self.up(x), skip), dim=1)))


class UNet3D(nn.Module):
    """Encoder, decoder and one 1x1x1 convolution to class logits.

    Args:
        config: its size.
    """

    def __init__(self, config: UNet3DConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.in_channels, config.features, config.convs_per_stage)
        self.decoder = nn.ModuleList(
            DecoderStage(below, features, config.decoder_convs)
            for below, features in zip(config.features[:0:-1], config.features[-2::-1], strict=True)
        )
        self.head = nn.Conv3d(config.features[0], config.out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Class logits.

        Args:
            x: (B, in_channels, K, J, I), every side a multiple of `config.stride`.

        Returns:
            (B, out_channels, K, J, I), channels-last in memory.

        Raises:
            ValueError: the channels or the sides do not fit.
        """
        check_grid(x, self.config.in_channels, self.config.stride)
        *skips, y = self.encoder(x.contiguous(memory_format=torch.channels_last_3d))
        for stage, skip in zip(self.decoder, reversed(skips), strict=True):
            y = stage(y, skip)
        return cast(Tensor, self.head(y))
