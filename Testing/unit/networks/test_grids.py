"""Pooling and spreading by matrices against torch's own layers."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from FractureSegmentationLib.networks.grids import (
    RefinedFeatures,
    channels_first,
    channels_last,
    pool_of_spread,
    pool_to_grids,
    spread_grid,
)


@pytest.mark.parametrize("shape", [(8, 12, 16), (5, 7, 3), (2, 2, 2)])
def test_pooling_equals_adaptive_average_pooling_on_every_grid_asked_for(
    shape: tuple[int, int, int],
) -> None:
    x = torch.randn(2, 3, *shape)
    sides = [(1, 1, 1), (4, 4, 4), (2, 3, 1)]

    for side, grid in zip(sides, pool_to_grids(x, sides), strict=True):
        expected = F.adaptive_avg_pool3d(x, side)
        torch.testing.assert_close(channels_first(grid), expected, rtol=1e-4, atol=1e-5)


def test_pooling_by_hand() -> None:
    """Mean of the 8 values 0..7 is 3.5; halves along k are 1.5 and 5.5."""
    x = torch.arange(8.0).reshape(1, 1, 2, 2, 2)

    mean, halves = pool_to_grids(x, [(1, 1, 1), (2, 1, 1)])

    assert mean.flatten().tolist() == [3.5]
    assert halves.flatten().tolist() == [1.5, 5.5]


@pytest.mark.parametrize("shape", [(8, 12, 16), (3, 5, 2), (4, 4, 4)])
def test_spreading_equals_trilinear_interpolation(shape: tuple[int, int, int]) -> None:
    grid = torch.randn(2, 4, 4, 4, 3)

    spread = spread_grid(grid, shape, torch.float32)

    expected = F.interpolate(
        channels_first(grid), size=shape, mode="trilinear", align_corners=False
    )
    torch.testing.assert_close(channels_first(spread), expected, rtol=1e-4, atol=1e-5)


def test_pool_of_spread_equals_pooling_the_spread_map() -> None:
    grid, shape, side = torch.randn(2, 4, 4, 4, 3), (10, 6, 8), (5, 4, 3)

    direct = pool_of_spread(grid, shape, side)

    dense = channels_first(spread_grid(grid, shape, torch.float32))
    torch.testing.assert_close(direct, pool_to_grids(dense, [side])[0], rtol=1e-4, atol=1e-5)


def test_pooling_in_bfloat16_is_as_exact_as_one_rounding() -> None:
    """256 is the last whole number bfloat16 counts to; a naive running sum would stall there."""
    x = torch.ones(1, 4, 16, 16, 16, dtype=torch.bfloat16)

    mean = pool_to_grids(x.contiguous(memory_format=torch.channels_last_3d), [(1, 1, 1)])[0]

    assert mean.dtype == torch.float32
    torch.testing.assert_close(mean, torch.ones(1, 1, 1, 1, 4))


def test_a_matrix_first_made_in_inference_mode_serves_a_training_step() -> None:
    with torch.inference_mode():
        pool_to_grids(torch.randn(1, 1, 11, 11, 11), [(3, 3, 3)])
    x = torch.randn(1, 1, 11, 11, 11, requires_grad=True)

    pool_to_grids(x, [(3, 3, 3)])[0].sum().backward()

    assert x.grad is not None


def test_channels_last_view_copies_nothing() -> None:
    x = torch.randn(1, 3, 2, 2, 2).contiguous(memory_format=torch.channels_last_3d)

    assert channels_last(x).data_ptr() == x.data_ptr()
    assert channels_last(x).is_contiguous()


SIDE = (2, 3, 2)
FACTORS = list(itertools.product([True, False], repeat=2))


def _features(has_gain: bool, has_tokens: bool) -> tuple[RefinedFeatures, Tensor]:
    """The factors, and X~ computed as Eq. 8 and 11 are written."""
    torch.manual_seed(4)
    x = torch.randn(2, 3, 4, 6, 5).contiguous(memory_format=torch.channels_last_3d)
    gain = torch.rand(2, 3) + 1 if has_gain else None
    tokens = torch.randn(2, 2, 2, 2, 3) if has_tokens else None
    written = x if gain is None else x * gain[:, :, None, None, None]
    if tokens is not None:
        written = written + F.interpolate(channels_first(tokens), size=(4, 6, 5), mode="trilinear")
    pooled = pool_to_grids(x, [SIDE])[0]
    return RefinedFeatures(features=x, gain=gain, tokens=tokens, pooled=pooled), written


@pytest.mark.parametrize(("gain", "tokens"), FACTORS)
def test_dense_map_equals_the_written_form(gain: bool, tokens: bool) -> None:
    features, written = _features(gain, tokens)

    torch.testing.assert_close(features.dense(), written, rtol=1e-4, atol=1e-5)
    assert features.dense().is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("offset", [None, torch.tensor([[1.0, 2.0], [3.0, 4.0]])])
@pytest.mark.parametrize(("gain", "tokens"), FACTORS)
def test_mixing_equals_a_matrix_per_sample_on_the_written_form(
    gain: bool, tokens: bool, offset: Tensor | None
) -> None:
    features, written = _features(gain, tokens)
    matrix = torch.randn(2, 2, 3)

    expected = torch.einsum("bdc,bckji->bdkji", matrix, written)
    if offset is not None:
        expected = expected + offset[:, :, None, None, None]
    torch.testing.assert_close(features.mixed(matrix, offset), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("gain", "tokens"), FACTORS)
def test_pooled_grid_equals_pooling_the_written_form(gain: bool, tokens: bool) -> None:
    features, written = _features(gain, tokens)

    expected = pool_to_grids(written, [SIDE])[0]
    torch.testing.assert_close(features.pooled_refined(), expected, rtol=1e-4, atol=1e-5)


def test_asking_for_a_grid_that_was_not_made_is_refused() -> None:
    with pytest.raises(ValueError, match="without their pooled grid"):
        RefinedFeatures(features=torch.zeros(1, 2, 2, 2, 2)).pooled_refined()
