"""Channel attention and spatial attention."""

from __future__ import annotations

import pytest
import torch

from FractureSegmentationLib.networks.attention import ChannelAttention, SpatialAttention


def test_channel_factor_lies_between_one_and_two() -> None:
    attention = ChannelAttention(5, 8, 4, 2)

    factor = attention(100 * torch.randn(3, 5), 100 * torch.randn(3, 8))

    assert tuple(factor.shape) == (3, 5)
    assert factor.min() >= 1.0
    assert factor.max() <= 2.0


@pytest.mark.parametrize("literal", [False, True])
def test_patch_embedding_changes_the_channel_factor(literal: bool) -> None:
    torch.manual_seed(8)
    attention = ChannelAttention(5, 8, 4, 2, literal_softmax=literal)
    descriptor = torch.randn(1, 5)

    difference = attention(descriptor, torch.randn(1, 8)) - attention(descriptor, torch.randn(1, 8))

    assert difference.abs().max() > 1e-6


def test_channels_with_equal_means_are_still_told_apart() -> None:
    torch.manual_seed(9)
    factor = ChannelAttention(5, 8, 4, 2)(torch.ones(1, 5), torch.randn(1, 8))

    assert factor.unique().numel() == 5


def test_spatial_attention_returns_one_grid_per_scale_with_that_scales_channels() -> None:
    attention = SpatialAttention((3, 5), grid=2, width=4, heads=2)

    grids = attention([torch.randn(2, 2, 2, 2, 3), torch.randn(2, 2, 2, 2, 5)])

    assert [tuple(grid.shape) for grid in grids] == [(2, 2, 2, 2, 3), (2, 2, 2, 2, 5)]


def test_a_patch_of_one_scale_reaches_every_patch_of_every_scale() -> None:
    torch.manual_seed(10)
    attention = SpatialAttention((3, 5), grid=2, width=4, heads=2)
    grids = [torch.randn(1, 2, 2, 2, 3), torch.randn(1, 2, 2, 2, 5)]
    changed = [grids[0].clone(), grids[1]]
    changed[0][0, 0, 0, 0] += 5.0

    for before, after in zip(attention(grids), attention(changed), strict=True):
        assert ((after - before).abs().amax(-1) > 0).all()


def test_the_place_of_a_patch_matters() -> None:
    """Without positions, swapping two patches of the input would just swap the output."""
    torch.manual_seed(11)
    attention = SpatialAttention((3,), grid=2, width=4, heads=2)
    grid = torch.randn(1, 2, 2, 2, 3)

    result, mirrored = attention([grid])[0], attention([grid.flip(1)])[0]

    assert (mirrored.flip(1) - result).abs().max() > 1e-6


def test_a_new_network_hardly_changes_the_encoders_features() -> None:
    torch.manual_seed(12)
    attention = SpatialAttention((16,), grid=4, width=32, heads=4)

    restored = attention([torch.randn(2, 4, 4, 4, 16)])[0]

    assert restored.abs().mean() < 0.2
