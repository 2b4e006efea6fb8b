"""The plain U-Net."""

from __future__ import annotations

import pytest
import torch

from FractureSegmentationLib.networks.config import UNet3DConfig
from FractureSegmentationLib.networks.unet3d import UNet3D

TINY = UNet3DConfig(in_channels=1, out_channels=3, features=(4, 6, 8))


def test_logits_have_the_input_grid_and_one_channel_per_class() -> None:
    logits = UNet3D(TINY)(torch.randn(2, 1, 8, 12, 16))

    assert tuple(logits.shape) == (2, 3, 8, 12, 16)


def test_every_parameter_gets_a_gradient() -> None:
    net = UNet3D(TINY)

    net(torch.randn(1, 1, 16, 16, 16)).square().mean().backward()

    dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_a_voxel_far_from_the_input_change_keeps_its_features_at_full_resolution() -> None:
    """Two 3^3 convolutions reach 2 voxels, so the first stage at distance 5 sees no change."""
    stage = UNet3D(TINY).encoder.stages[0][0].conv
    x = torch.zeros(1, 1, 12, 12, 12)
    changed = x.clone()
    changed[0, 0, 6, 6, 6] = 1.0

    difference = (stage(changed) - stage(x)).abs().sum(1)[0]

    assert difference[6, 6, 6] > 0
    assert difference[6, 6, 11] == 0


def test_a_side_that_is_no_multiple_of_the_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        UNet3D(TINY)(torch.zeros(1, 1, 8, 8, 10))


def test_bfloat16_autocast_agrees_with_float32_and_keeps_channels_last() -> None:
    torch.manual_seed(0)
    net = UNet3D(TINY).eval()
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        exact = net(x).softmax(1)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(x)

    assert logits.dtype == torch.bfloat16
    assert logits.is_contiguous(memory_format=torch.channels_last_3d)
    assert (logits.float().softmax(1) - exact).abs().mean() < 0.01


def test_one_channel_input_in_plain_order_does_not_lose_channels_last() -> None:
    net = UNet3D(TINY)

    maps = net.encoder(torch.randn(2, 1, 8, 8, 8))

    assert all(m.is_contiguous(memory_format=torch.channels_last_3d) for m in maps)
