"""Runs a network over a volume window by window, and survives too little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.inference.engine import EngineArray, EngineVersion, Network
from FractureSegmentationLib.inference.placement import Placement, Precision, describe_fallback
from FractureSegmentationLib.inference.windows import (
    WindowPlan,
    gaussian_weights,
    padding_to,
    plan_windows,
)
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.types import Box, FloatArray, MaskArray, Shape

if TYPE_CHECKING:
    from torch import nn

_DEVICE_WORDS = ("cuda", "cudnn", "cublas", "mps", "hip error", "nvml")
_MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate memory")


class Predictor:
    """One network, ready to be run over volumes of any size.

    Args:
        network: of an engine; a torch module that maps (B, C, K, J, I) to logits
            (B, classes, K, J, I), or to a tuple that has them as `logits`, is run by PyTorch.
        plan: how the network is moved over a volume.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: None takes the fastest that is safe on the device.
        batch: windows per call; None takes what suits engine, device and window.

    Raises:
        InputError: there is no device of that name.
        EnvironmentProblemError: the engine or the machine does not have that device.
    """

    def __init__(
        self,
        network: Network | nn.Module,
        plan: WindowPlan,
        *,
        device: str = "auto",
        precision: Precision | None = None,
        batch: int | None = None,
    ) -> None:
        self._network = _runnable(network)
        self._plan = plan
        self._placement = self._network.placed(device, precision, batch, plan.patch)

    @property
    def engine(self) -> EngineVersion:
        """What runs the network."""
        return self._network.engine

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
        return found.astype(np.float16, order="C")

    def predict_float32(
        self,
        channels: FloatArray,
        where: MaskArray,
        progress: Progress | None = None,
        windows: Sequence[Box] | None = None,
    ) -> npt.NDArray[np.float32]:
        """What `predict` gives before it is rounded to float16: twice the memory."""
        found = self._predicted(channels, where, progress, windows)
        return np.ascontiguousarray(found)

    def _predicted(
        self,
        channels: FloatArray,
        where: MaskArray,
        progress: Progress | None,
        windows: Sequence[Box] | None,
    ) -> npt.NDArray[np.float32]:
        progress = progress or Progress()
        pads = padding_to(_shape_of(where), self._plan.patch)
        padded = _padded(channels, pads, self._plan.padding)
        marked = np.pad(where, pads)
        boxes = tuple(windows or plan_windows(marked, self._plan.patch, self._plan.overlap))
        probabilities = self._predict_somewhere(padded, boxes, progress)
        inner = tuple(slice(a, n - b) for (a, b), n in zip(pads, marked.shape, strict=True))
        return probabilities[(slice(None), *inner)]

    def _predict_somewhere(
        self, volume: npt.NDArray[np.float32], boxes: Sequence[Box], progress: Progress
    ) -> npt.NDArray[np.float32]:
        """Try the placement, then ever smaller ones; the one that worked is kept."""
        while True:
            try:
                return self._predict_at(self._placement, volume, boxes, progress)
            except (RuntimeError, MemoryError) as error:
                fallback = self._fallback_from(error)
                progress.warn(describe_fallback(self._placement, fallback))
                self._placement = fallback
            self._network.release()

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
        if self._placement.kind != "cpu" and any(word in text for word in _DEVICE_WORDS):
            return self._placement.on_cpu()
        raise error

    def _predict_at(
        self,
        placement: Placement,
        volume: npt.NDArray[np.float32],
        boxes: Sequence[Box],
        progress: Progress,
    ) -> npt.NDArray[np.float32]:
        with self._network.running(placement) as run:
            weights = run.held(gaussian_weights(self._plan.patch))
            source = run.held(volume)
            collected: EngineArray | None = None
            coverage = run.zeros(volume.shape[1:])
            done = 0
            for batch in _in_batches(boxes, placement.batch):
                progress.report(done / len(boxes))
                shares = run.probabilities([source[(slice(None), *box)] for box in batch])
                if collected is None:
                    collected = run.zeros((shares.shape[1], *volume.shape[1:]))
                for box, share in zip(batch, shares, strict=True):
                    collected[(slice(None), *box)] += share * weights
                    coverage[box] += weights
                done += len(batch)
            progress.report(1.0)
            if collected is None:
                raise ValueError("no voxel is marked, so there is nothing to predict")
            return run.on_host(_normalised(collected, coverage))


def _normalised(collected: EngineArray, coverage: EngineArray) -> EngineArray:
    """(classes, K, J, I) probabilities, in place; background where no window looked."""
    unseen = coverage == 0
    collected /= coverage + unseen
    collected[0][unseen] = 1.0
    return collected


def _runnable(network: Network | nn.Module) -> Network:
    if isinstance(network, Network):
        return network
    from FractureSegmentationLib.inference.torch_engine import TorchNetwork

    return TorchNetwork(network)


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
