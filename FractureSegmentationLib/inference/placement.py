"""Where a network computes and collects, and what to try when that does not fit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from FractureSegmentationLib.inference.device import Precision, choose_precision
from FractureSegmentationLib.types import Shape

_SMALL_WINDOW_VOXELS = 64**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a run computes and collects.

    Attributes:
        device: computes.
        precision: of the computation; probabilities are collected in float32 whatever it is.
        batch: windows per call of the network.
        collects_on_host: whether the sum of all windows lies in the host's memory.
    """

    device: torch.device
    precision: Precision
    batch: int
    collects_on_host: bool = False

    def smaller(self) -> Placement | None:
        """What to try when this ran out of memory; None when nothing is left to try."""
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        if self.device.type == "cpu":
            return None
        return self.on_cpu() if self.collects_on_host else replace(self, collects_on_host=True)

    def on_cpu(self) -> Placement:
        """The same run on the processor."""
        cpu = torch.device("cpu")
        return Placement(device=cpu, precision=choose_precision(cpu), batch=1)


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


def describe_fallback(old: Placement, new: Placement) -> str:
    """One sentence on what changed from a placement to the next."""
    if new.device != old.device:
        return f"The device {old.device.type} failed or ran out of memory; the CPU takes over."
    if new.collects_on_host and not old.collects_on_host:
        return "The GPU ran out of memory; results are collected in the computer's memory."
    return f"Memory ran out; the batch was reduced from {old.batch} to {new.batch} windows."
