"""The factored refined features answer as the written-out map would."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from FractureSegmentationLib.networks.grids import RefinedFeatures, channels_first, pool_to_grids

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
