"""Layers that every network here is made of: convolution, instance normalisation, leaky ReLU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_CHANNELS_LAST = torch.channels_last_3d
_Context: TypeAlias = Any  # torch sets what it holds at run time


class _NormActOnCpu(torch.autograd.Function):
    """Instance normalisation and leaky ReLU that stay in channels-last memory.

    Torch's own instance normalisation copies a channels-last tensor into plain order and back, and
    the backward pass of its group normalisation is twenty times slower than its forward pass.
    Group normalisation forward and batch normalisation of each sample backward are the same
    mathematics in kernels that read channels-last memory directly.
    """

    @staticmethod
    def forward(
        ctx: _Context, x: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float
    ) -> Tensor:
        batch, channels = x.shape[:2]
        voxels = x[0, 0].numel()
        y, mean, inverse_std = torch.ops.aten.native_group_norm(
            x, weight, bias, batch, channels, voxels, channels, eps
        )
        F.leaky_relu_(y, slope)
        ctx.save_for_backward(x, y, weight, mean, inverse_std)
        ctx.eps, ctx.slope = eps, slope
        return y  # type: ignore[no-any-return]

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y, weight, mean, inverse_std = ctx.saved_tensors
        grad = grad.contiguous(memory_format=_CHANNELS_LAST)
        grad = torch.ops.aten.leaky_relu_backward(grad, y, ctx.slope, True)
        parts = [
            torch.ops.aten.native_batch_norm_backward(
                grad[b : b + 1],
                x[b : b + 1],
                weight,
                None,
                None,
                mean[b].contiguous(),
                inverse_std[b].contiguous(),
                True,
                ctx.eps,
                [True, True, True],
            )
            for b in range(len(x))
        ]
        grad_x, grad_weight, grad_bias = zip(*parts, strict=True)
        return torch.cat(grad_x), sum(grad_weight), sum(grad_bias), None, None


_norm_act_on_cpu = cast(
    Callable[[Tensor, Tensor, Tensor, float, float], Tensor], _NormActOnCpu.apply
)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Suspend autocast: what runs inside keeps the number format of its inputs."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


class InstanceNormAct(nn.Module):
    """Instance normalisation with learned gain and offset, then leaky ReLU.

    Args:
        channels: channels of the input.
        slope: slope of the activation below zero; 0 makes it a ReLU.
        eps: added to the variance.
    """

    def __init__(self, channels: int, slope: float = 0.01, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.slope = slope
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, K, J, I) over the grid of each sample and channel."""
        if x.device.type == "cpu" and not torch.onnx.is_in_onnx_export():
            dense = x.contiguous(memory_format=_CHANNELS_LAST)
            return _norm_act_on_cpu(dense, self.weight, self.bias, self.eps, self.slope)
        normalised = F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        return F.leaky_relu(normalised, self.slope, inplace=True)


class ConvNormAct(nn.Module):
    """Convolution, instance normalisation, leaky ReLU.

    The convolution has no bias: the normalisation behind it would remove it.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        stride: 1 keeps the grid, 2 halves it.
        kernel: side of the convolution kernel, odd.
        slope: slope of the activation below zero.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        kernel: int = 3,
        slope: float = 0.01,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        nn.init.kaiming_normal_(self.conv.weight, a=slope)
        self.norm = InstanceNormAct(out_channels, slope)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, K, J, I) to (B, out, K / stride, J / stride, I / stride)."""
        y: Tensor = self.norm(self._convolve(x))
        return y

    def _convolve(self, x: Tensor) -> Tensor:
        # Torch 2.13 on processors leaves the weight gradient of a bfloat16 3x3x3 convolution
        # partly unwritten when the map is exactly two voxels deep; in float32 it is right.
        if x.shape[2] == 2 and x.device.type == "cpu":
            with full_precision(x.device):
                return cast(Tensor, self.conv(x.float())).to(x.dtype)
        return cast(Tensor, self.conv(x))


class Upsample(nn.Module):
    """Transposed convolution that doubles the grid: kernel 2, stride 2.

    Its windows do not overlap, so it is one matrix product per coarse voxel and a regrouping, which
    takes a third of the time of the general kernel on a processor.

    Args:
        in_channels: channels in.
        out_channels: channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        layer = nn.ConvTranspose3d(in_channels, out_channels, 2, stride=2)
        self.weight = layer.weight
        self.bias = cast(nn.Parameter, layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, K, J, I) to (B, out, 2K, 2J, 2I)."""
        if x.device.type != "cpu":
            return F.conv_transpose3d(x, self.weight, self.bias, stride=2)
        batch, _, size_k, size_j, size_i = x.shape
        channels = len(self.bias)
        matrix = self.weight.permute(2, 3, 4, 1, 0).flatten(0, 3)
        voxels = F.linear(x.permute(0, 2, 3, 4, 1), matrix, self.bias.repeat(8))
        cells = voxels.view(batch, size_k, size_j, size_i, 2, 2, 2, channels)
        fine = cells.permute(0, 1, 4, 2, 5, 3, 6, 7)
        fine = fine.reshape(batch, 2 * size_k, 2 * size_j, 2 * size_i, channels)
        return fine.permute(0, 4, 1, 2, 3)


def conv_stage(in_channels: int, out_channels: int, convs: int, stride: int = 1) -> nn.Sequential:
    """A run of `convs` blocks of which the first changes channels and grid."""
    first = ConvNormAct(in_channels, out_channels, stride=stride)
    return nn.Sequential(
        first, *(ConvNormAct(out_channels, out_channels) for _ in range(convs - 1))
    )


class Encoder(nn.Module):
    """The shared encoder: one stage per scale, each halving the grid.

    Args:
        in_channels: channels of the input.
        features: channels of each stage, full resolution first.
        convs_per_stage: convolutions of each stage.
    """

    def __init__(self, in_channels: int, features: tuple[int, ...], convs_per_stage: int) -> None:
        super().__init__()
        widths = (in_channels, *features)
        self.stages = nn.ModuleList(
            conv_stage(widths[s], widths[s + 1], convs_per_stage, stride=1 if s == 0 else 2)
            for s in range(len(features))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps of every scale, full resolution first."""
        maps: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def check_grid(x: Tensor, in_channels: int, stride: int) -> None:
    """Refuse an input that the network cannot halve often enough.

    Raises:
        ValueError: not (B, in_channels, K, J, I), or a side is no multiple of `stride`.
    """
    if x.ndim != 5 or x.shape[1] != in_channels:
        raise ValueError(f"expected (B, {in_channels}, K, J, I), got {tuple(x.shape)}")
    if any(side == 0 or side % stride for side in x.shape[2:]):
        raise ValueError(f"every side must be a multiple of {stride}, got {tuple(x.shape[2:])}")
