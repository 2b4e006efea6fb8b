"""The layers that replace torch's own must compute what torch's own compute."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from FractureSegmentationLib.networks.blocks import (
    ConvNormAct,
    Encoder,
    InstanceNormAct,
    Upsample,
    check_grid,
)


def _reference(x: Tensor, weight: Tensor, bias: Tensor, slope: float) -> Tensor:
    normalised = torch.nn.functional.instance_norm(x, weight=weight, bias=bias, eps=1e-5)
    return torch.nn.functional.leaky_relu(normalised, slope)


@pytest.mark.parametrize("slope", [0.01, 0.0])
@pytest.mark.parametrize("memory_format", [torch.channels_last_3d, torch.contiguous_format])
def test_instance_norm_act_equals_torchs_two_layers_in_value_and_gradient(
    slope: float, memory_format: torch.memory_format
) -> None:
    torch.manual_seed(1)
    layer = InstanceNormAct(5, slope)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = torch.randn(3, 5, 4, 6, 7).mul(3).add(2).contiguous(memory_format=memory_format)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    weight, bias = (p.detach().clone().requires_grad_() for p in (layer.weight, layer.bias))
    push = torch.randn(3, 5, 4, 6, 7)

    result = layer(ours)
    expected = _reference(theirs, weight, bias, slope)
    result.backward(push)
    expected.backward(push)

    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.weight.grad, weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.bias.grad, bias.grad, rtol=1e-4, atol=1e-4)


def test_instance_norm_act_in_double_precision_passes_the_numerical_gradient_check() -> None:
    torch.manual_seed(2)
    layer = InstanceNormAct(2).double()
    x = torch.randn(2, 2, 2, 3, 2, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(layer, (x,))


def test_each_sample_is_normalised_on_its_own() -> None:
    """Mean 0 and mean 100: both come out centred, which batch statistics would not do."""
    x = torch.stack([torch.randn(1, 8, 8, 8), torch.randn(1, 8, 8, 8) + 100.0])

    y = InstanceNormAct(1, slope=1.0)(x)

    assert y.mean(dim=(1, 2, 3, 4)).abs().max() < 1e-3


def test_bfloat16_map_stays_bfloat16_and_channels_last() -> None:
    x = torch.randn(2, 4, 6, 6, 6).bfloat16().contiguous(memory_format=torch.channels_last_3d)
    x.requires_grad_()
    layer = InstanceNormAct(4)

    y = layer(x)
    y.float().sum().backward()

    assert y.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=torch.channels_last_3d)
    assert x.grad is not None
    assert x.grad.is_contiguous(memory_format=torch.channels_last_3d)
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_a_constant_added_by_the_convolution_would_not_survive_so_it_has_no_bias() -> None:
    block = ConvNormAct(3, 4)

    assert block.conv.bias is None
    x = torch.randn(1, 3, 4, 4, 4)
    torch.testing.assert_close(block.norm(block.conv(x) + 7.0), block(x), rtol=1e-3, atol=1e-4)


def test_encoder_halves_the_grid_at_every_stage_but_the_first() -> None:
    maps = Encoder(2, (4, 6, 8), 2)(torch.randn(1, 2, 8, 12, 16))

    assert [tuple(m.shape) for m in maps] == [
        (1, 4, 8, 12, 16),
        (1, 6, 4, 6, 8),
        (1, 8, 2, 3, 4),
    ]


@pytest.mark.parametrize(
    "shape", [(1, 2, 8, 8, 12), (1, 3, 8, 8, 8), (2, 8, 8, 8), (1, 2, 0, 8, 8)]
)
def test_grid_that_cannot_be_halved_or_wrong_channels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected|multiple of 8"):
        check_grid(torch.zeros(shape), 2, 8)


def test_upsampling_equals_the_transposed_convolution_in_value_and_gradient() -> None:
    torch.manual_seed(3)
    layer = Upsample(3, 5)
    x = torch.randn(2, 3, 2, 3, 4, requires_grad=True)
    weight, bias = (p.detach().clone().requires_grad_() for p in (layer.weight, layer.bias))
    twin = x.detach().clone().requires_grad_()
    push = torch.randn(2, 5, 4, 6, 8)

    result = layer(x)
    expected = torch.nn.functional.conv_transpose3d(twin, weight, bias, stride=2)
    result.backward(push)
    expected.backward(push)

    assert result.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(x.grad, twin.grad)
    torch.testing.assert_close(layer.weight.grad, weight.grad)
    torch.testing.assert_close(layer.bias.grad, bias.grad)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_bfloat16_weight_gradient_is_right_at_every_depth_of_the_map(depth: int) -> None:
    torch.manual_seed(4)
    block = ConvNormAct(8, 8)
    x, push = torch.randn(2, 2, 8, depth, 4, 4).unbind(0)
    gradients = []
    for is_half in (False, True):
        block.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            y = block(x.bfloat16() if is_half else x)
        (y.float() * push).sum().backward()
        gradients.append(block.conv.weight.grad.flatten())

    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.98
