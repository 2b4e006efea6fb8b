"""Runs a network over a volume window by window, and survives too little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.memory_format import convert_conv3d_weight_memory_format

from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.inference.device import (
    DTYPES,
    Placement,
    Precision,
    choose_device,
    choose_precision,
    describe_fallback,
    usual_batch,
)
from FractureSegmentationLib.inference.windows import (
    WindowPlan,
    gaussian_weights,
    padding_to,
    plan_windows,
)
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.types import Box, FloatArray, MaskArray, Shape

_DEVICE_WORDS = ("cuda", "cudnn", "cublas", "mps", "hip error", "nvml")
_MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate memory")


class Predictor:
    """One network, ready to be run over volumes of any size.

    Args:
        network: maps (B, C, K, J, I) to logits (B, classes, K, J, I), or to a tuple that has them
            as `logits`. It is moved to the device.
        plan: how the network is moved over a volume.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: None takes the fastest that is safe on the device.
        batch: windows per call; None takes 4 on a GPU and 2 on a processor, or 1 if they are large.

    Raises:
        InputError: there is no device of that name.
        EnvironmentProblemError: the machine does not have that device.
    """

    def __init__(
        self,
        network: nn.Module,
        plan: WindowPlan,
        *,
        device: str = "auto",
        precision: Precision | None = None,
        batch: int | None = None,
    ) -> None:
        chosen = choose_device(device)
        self._network = convert_conv3d_weight_memory_format(network.eval(), torch.channels_last_3d)
        self._plan = plan
        self._placement = Placement(
            device=chosen,
            precision=precision or choose_precision(chosen),
            batch=batch or usual_batch(chosen, plan.patch),
        )

    @property
    def placement(self) -> Placement:
        """Where it computes; after a fallback, where it fell back to."""
        return self._placement

    def predict(
        self,
        channels: FloatArray,
        where: MaskArray,
        progress: Progress | None = None,
        windows: Sequence[Box] | None = None,
    ) -> npt.NDArray[np.float16]:
        """Class probabilities of every marked voxel.

        Args:
            channels: (C, K, J, I) network input.
            where: (K, J, I) what has to be predicted.
            progress: receives progress after every batch; may request a stop.
            windows: where to look, in place of the predictor's own plan; the volume is then at
                least as large as a window.

        Returns:
            (classes, K, J, I) float16 probabilities; background where no window looked.

        Raises:
            RunCancelledError: the caller asked to stop.
            EnvironmentProblemError: not even one window fits into memory.
        """
        found = self._predicted(channels, where, progress, windows)
        return cast(npt.NDArray[np.float16], found.half().contiguous().numpy())

    def predict_float32(
        self,
        channels: FloatArray,
        where: MaskArray,
        progress: Progress | None = None,
        windows: Sequence[Box] | None = None,
    ) -> npt.NDArray[np.float32]:
        """What `predict` gives before it is rounded to float16: twice the memory."""
        found = self._predicted(channels, where, progress, windows)
        return cast(npt.NDArray[np.float32], found.contiguous().numpy())

    def _predicted(
        self,
        channels: FloatArray,
        where: MaskArray,
        progress: Progress | None,
        windows: Sequence[Box] | None,
    ) -> Tensor:
        progress = progress or Progress()
        pads = padding_to(_shape_of(where), self._plan.patch)
        padded = _padded(channels, pads, self._plan.padding)
        marked = np.pad(where, pads)
        boxes = tuple(windows or plan_windows(marked, self._plan.patch, self._plan.overlap))
        probabilities = self._predict_somewhere(torch.from_numpy(padded), boxes, progress)
        inner = tuple(slice(a, n - b) for (a, b), n in zip(pads, marked.shape, strict=True))
        return probabilities[(slice(None), *inner)]

    def _predict_somewhere(
        self, volume: Tensor, boxes: Sequence[Box], progress: Progress
    ) -> Tensor:
        """Try the placement, then ever smaller ones; the one that worked is kept."""
        while True:
            try:
                return self._predict_at(self._placement, volume, boxes, progress)
            except (RuntimeError, MemoryError) as error:
                fallback = self._fallback_from(error)
                progress.warn(describe_fallback(self._placement, fallback))
                self._placement = fallback
            _release(self._network)

    def _fallback_from(self, error: Exception) -> Placement:
        text = str(error).lower()
        if isinstance(error, MemoryError) or any(word in text for word in _MEMORY_WORDS):
            fallback = self._placement.smaller()
            if fallback is None:
                raise EnvironmentProblemError(
                    "There is not enough memory to run the network.",
                    "Close other programs, or use a machine with more memory.",
                ) from error
            return fallback
        if self._placement.device.type != "cpu" and any(word in text for word in _DEVICE_WORDS):
            return self._placement.on_cpu()
        raise error

    @torch.inference_mode()
    def _predict_at(
        self, placement: Placement, volume: Tensor, boxes: Sequence[Box], progress: Progress
    ) -> Tensor:
        network = self._network.to(placement.device)
        keeper = torch.device("cpu") if placement.collects_on_host else placement.device
        weights = torch.from_numpy(gaussian_weights(self._plan.patch)).to(keeper)
        source = volume.to(keeper)
        collected: Tensor | None = None
        coverage = torch.zeros(volume.shape[1:], device=keeper)
        done = 0
        for batch in _in_batches(boxes, placement.batch):
            progress.report(done / len(boxes))
            stack = torch.stack([source[(slice(None), *box)] for box in batch])
            shares = _probabilities(network, stack.to(placement.device), placement.precision)
            if collected is None:
                collected = torch.zeros((shares.shape[1], *volume.shape[1:]), device=keeper)
            for box, share in zip(batch, shares.to(keeper), strict=True):
                collected[(slice(None), *box)] += share * weights
                coverage[box] += weights
            done += len(batch)
        progress.report(1.0)
        if collected is None:
            raise ValueError("no voxel is marked, so there is nothing to predict")
        return _normalised(collected, coverage)


def _probabilities(network: nn.Module, stack: Tensor, precision: Precision) -> Tensor:
    """(B, classes, K, J, I) float32 probabilities."""
    device = stack.device.type
    with torch.autocast(device, DTYPES[precision], enabled=precision != "fp32"):
        output = network(stack.contiguous(memory_format=torch.channels_last_3d))
    logits = cast(Tensor, getattr(output, "logits", output))
    return torch.softmax(logits.float(), dim=1)


def _normalised(collected: Tensor, coverage: Tensor) -> Tensor:
    """(classes, K, J, I) float32 probabilities in the host's memory."""
    was_seen = coverage > 0
    collected /= coverage.clamp_min(1e-12)
    collected[0][~was_seen] = 1.0
    return collected.cpu()


def _in_batches(boxes: Sequence[Box], size: int) -> Iterator[Sequence[Box]]:
    for start in range(0, len(boxes), size):
        yield boxes[start : start + size]


def _padded(
    channels: FloatArray, pads: tuple[tuple[int, int], ...], values: Sequence[float]
) -> npt.NDArray[np.float32]:
    if len(values) != len(channels):
        raise ValueError(f"{len(channels)} channels need as many padding values, got {values}")
    return np.stack(
        [
            np.pad(np.asarray(channel, np.float32), pads, constant_values=value)
            for channel, value in zip(channels, values, strict=True)
        ]
    )


def _shape_of(mask: MaskArray) -> Shape:
    k, j, i = mask.shape
    return (k, j, i)


def _release(network: nn.Module) -> None:
    """Give cached memory of the device back before the next try."""
    network.to("cpu")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
