"""The devices of PyTorch, and the precision and batch that suit them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.inference.placement import Placement, Precision, checked_device
from FractureSegmentationLib.types import Shape

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_WORTHWHILE_GAIN = 1.25


_SMALL_WINDOW_VOXELS = 64**3


def choose_device(name: str) -> torch.device:
    """The device called `name`, or for "auto" the fastest there is.

    Args:
        name: auto, cpu, cuda, cuda:N or mps.

    Raises:
        InputError: the name is none of these.
        EnvironmentProblemError: the machine has no such device.
    """
    if checked_device(name) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise EnvironmentProblemError(
            f"The device {name} is not there, or PyTorch was installed without CUDA.",
            "Use --device auto, or install a PyTorch build for this GPU.",
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise EnvironmentProblemError("This machine has no Apple GPU.", "Use --device auto.")
    return torch.device(name)


def choose_precision(device: torch.device) -> Precision:
    """The precision that is fast and safe on a device.

    On a processor bfloat16 is taken only where the hardware has it and a short trial is won
    clearly: many processors accept it and are slower with it.
    """
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device)[0] >= 8:
            return "bf16"
        return "fp16" if torch.cuda.get_device_capability(device)[0] == 7 else "fp32"
    if device.type == "cpu" and _has_bf16_instructions() and _bf16_gain() >= _WORTHWHILE_GAIN:
        return "bf16"
    return "fp32"


def _has_bf16_instructions() -> bool:
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, check, lambda: False)()) for check in checks)


@lru_cache(maxsize=1)
def _bf16_gain() -> float:
    """How many times faster a small convolutional stack runs in bfloat16 on this processor."""
    stack = nn.Sequential(
        nn.Conv3d(16, 16, 3, padding=1), nn.InstanceNorm3d(16), nn.LeakyReLU(0.01)
    )
    sample = torch.zeros(1, 16, 40, 40, 40).contiguous(memory_format=torch.channels_last_3d)
    return _best_time(stack, sample, "fp32") / _best_time(stack, sample, "bf16")


def _best_time(stack: nn.Module, sample: torch.Tensor, precision: Precision) -> float:
    times = []
    with (
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        for _ in range(4):
            # Time on the processor: what else the machine does must not decide on the result.
            begin = time.process_time()
            stack(sample)
            times.append(time.process_time() - begin)
    return min(times)


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchPlacement(Placement):
    """A placement of PyTorch, which finds the best precision of the processor by a trial."""

    def on_cpu(self) -> Placement:
        """The same run on the processor, one window at a time."""
        precision = choose_precision(torch.device("cpu"))
        return TorchPlacement(device="cpu", precision=precision, batch=1)


def usual_batch(device: torch.device, patch: Shape) -> int:
    """Windows per call of a network where nobody asked for a number.

    On a processor two small windows together take less time than one after the other.

    Args:
        device: computes.
        patch: window size along (k, j, i).
    """
    if device.type != "cpu":
        return 4
    return 2 if math.prod(patch) <= _SMALL_WINDOW_VOXELS else 1
