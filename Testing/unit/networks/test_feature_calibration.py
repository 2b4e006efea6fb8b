"""Feature calibration against equations 12 to 14 written out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from FractureSegmentationLib.networks.grids import RefinedFeatures, pool_to_grids
from FractureSegmentationLib.networks.tpc_net import FeatureCalibration

SHAPE = (4, 6, 8)


def _inputs(scale: float = 1.0) -> tuple[Tensor, RefinedFeatures]:
    torch.manual_seed(13)
    x, decoder = (
        scale * torch.randn(2, 5, *SHAPE).contiguous(memory_format=torch.channels_last_3d)
        for _ in range(2)
    )
    return decoder, RefinedFeatures(
        features=x,
        gain=1 + torch.rand(2, 5),
        tokens=torch.randn(2, 2, 2, 2, 5),
        pooled=pool_to_grids(x, [(3, 3, 3)])[0],
    )


def _written_out(layer: FeatureCalibration, decoder: Tensor, x: Tensor) -> Tensor:
    """Tokens as rows: Q, K pooled to N rows, V with one row per voxel."""
    queries = layer.query(F.adaptive_avg_pool3d(decoder, 3).flatten(2).transpose(1, 2))
    keys = layer.key(F.adaptive_avg_pool3d(x, 3).flatten(2).transpose(1, 2))
    values = layer.value(x.flatten(2).transpose(1, 2))
    similarity = layer.score_norm(queries.transpose(1, 2) @ keys / 27**0.5).softmax(-1)
    result = layer.out((similarity @ values.transpose(1, 2)).transpose(1, 2))
    return result.transpose(1, 2).reshape(x.shape) * layer.gate(decoder)


def test_folded_form_equals_equations_12_to_14_written_out() -> None:
    layer = FeatureCalibration(5, tokens=3)
    decoder, encoder = _inputs()

    expected = _written_out(layer, decoder, encoder.dense())

    torch.testing.assert_close(layer(decoder, encoder), expected, rtol=1e-4, atol=1e-5)


def test_gate_closes_where_the_decoder_is_negative() -> None:
    """The gate is a ReLU: about half of all values are exactly zero, and those stay zero."""
    layer = FeatureCalibration(5, tokens=3)
    decoder, encoder = _inputs()

    closed = layer.gate(decoder) == 0

    assert 0.2 < closed.float().mean() < 0.8
    assert (layer(decoder, encoder)[closed] == 0).all()


def test_large_features_in_half_range_stay_finite_under_autocast() -> None:
    layer = FeatureCalibration(5, tokens=3)
    decoder, encoder = _inputs(scale=1e4)
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(decoder.bfloat16(), encoder)

    assert result.isfinite().all()


def test_token_grid_never_exceeds_the_map() -> None:
    assert FeatureCalibration(5, tokens=16).grid_side((64, 8, 20)) == (16, 8, 16)
