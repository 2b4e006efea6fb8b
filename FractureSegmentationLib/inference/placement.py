"""Where a run computes, in which precision and batch, and what to try when that does not fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from FractureSegmentationLib.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]


def checked_device(name: str) -> str:
    """The name of a device, once it is known to be one.

    Raises:
        InputError: it is none of auto, cpu, cuda, cuda:N and mps.
    """
    kind, _, number = name.partition(":")
    if kind not in {"auto", "cpu", "cuda", "mps"} or (
        name != kind and not (kind == "cuda" and number.isdigit())
    ):
        raise InputError(
            f"There is no device called {name!r}.", "Use auto, cpu, cuda, cuda:N or mps."
        )
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a run computes and collects.

    Attributes:
        device: computes: cpu, cuda, cuda:N or mps.
        precision: of the computation; probabilities are collected in float32 whatever it is.
        batch: windows per call of the network.
        collects_on_host: whether the sum of all windows lies in the host's memory.
    """

    device: str
    precision: Precision
    batch: int
    collects_on_host: bool = False

    @property
    def kind(self) -> str:
        """The device without its number: cpu, cuda or mps."""
        return self.device.partition(":")[0]

    def smaller(self) -> Placement | None:
        """What to try when this ran out of memory; None when nothing is left to try."""
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        if self.kind == "cpu":
            return None
        return self.on_cpu() if self.collects_on_host else replace(self, collects_on_host=True)

    def on_cpu(self) -> Placement:
        """The same run on the processor, one window at a time."""
        return replace(self, device="cpu", precision="fp32", batch=1, collects_on_host=False)


def describe_fallback(old: Placement, new: Placement) -> str:
    """One sentence on what changed from a placement to the next."""
    if new.device != old.device:
        return f"The device {old.kind} failed or ran out of memory; the CPU takes over."
    if new.collects_on_host and not old.collects_on_host:
        return "The GPU ran out of memory; results are collected in the computer's memory."
    return f"Memory ran out; the batch was reduced from {old.batch} to {new.batch} windows."
