"""PyTorch as an engine: every device, every precision; the weights alone are enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.memory_format import convert_conv3d_weight_memory_format

from FractureSegmentationLib.inference.device import (
    DTYPES,
    TorchPlacement,
    choose_device,
    choose_precision,
    usual_batch,
)
from FractureSegmentationLib.inference.engine import (
    Engine,
    EngineArray,
    EngineName,
    EngineVersion,
    Network,
    NetworkRun,
)
from FractureSegmentationLib.inference.placement import Placement, Precision
from FractureSegmentationLib.inference.processor import inference_threads
from FractureSegmentationLib.networks.model_spec import ModelSpec
from FractureSegmentationLib.networks.weights import load_model
from FractureSegmentationLib.types import Shape


class TorchEngine(Engine):
    """PyTorch."""

    name: EngineName = "torch"

    @property
    def version(self) -> EngineVersion:
        """Of the package that is loaded."""
        return EngineVersion(name=self.name, version=str(torch.__version__))

    def device_named(self, name: str) -> str:
        """See `choose_device`."""
        return str(choose_device(name))

    def precision_on(self, device: str) -> Precision:
        """See `choose_precision`."""
        return choose_precision(torch.device(device))

    def refuse_unusable(self, specs: Sequence[ModelSpec], precision: str) -> None:
        """Every model and every precision can be run."""

    def load(self, folder: Path) -> tuple[ModelSpec, Network]:
        """The model with its network on the processor; PyTorch leaves a core to other programs."""
        torch.set_num_threads(min(torch.get_num_threads(), inference_threads()))
        spec, network = load_model(folder)
        return spec, TorchNetwork(network)


class TorchNetwork(Network):
    """A torch module that is run over windows.

    Args:
        network: maps (B, C, K, J, I) to logits (B, classes, K, J, I), or to a tuple that has them
            as `logits`. It is moved to the device.
    """

    def __init__(self, network: nn.Module) -> None:
        self.engine = ENGINE.version
        self._network = convert_conv3d_weight_memory_format(network.eval(), torch.channels_last_3d)

    def placed(
        self, device: str, precision: Precision | None, batch: int | None, patch: Shape
    ) -> Placement:
        """On the device asked for; 4 windows per call on a GPU, 1 or 2 on a processor."""
        chosen = choose_device(device)
        return TorchPlacement(
            device=str(chosen),
            precision=precision or choose_precision(chosen),
            batch=batch or usual_batch(chosen, patch),
        )

    @contextmanager
    def running(self, placement: Placement) -> Iterator[NetworkRun]:
        """The module on the device, without gradients."""
        with torch.inference_mode():
            yield _TorchRun(self._network, placement)

    def release(self) -> None:
        """Move the module to the host and empty the cache of the GPU."""
        self._network.to("cpu")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class _TorchRun(NetworkRun):
    """A module on its device."""

    def __init__(self, network: nn.Module, placement: Placement) -> None:
        self._device = torch.device(placement.device)
        self._keeper = torch.device("cpu") if placement.collects_on_host else self._device
        self._precision = placement.precision
        self._network = network.to(self._device)

    def held(self, array: npt.NDArray[np.float32]) -> EngineArray:
        return torch.from_numpy(array).to(self._keeper)

    def zeros(self, shape: Sequence[int]) -> EngineArray:
        return torch.zeros(tuple(shape), device=self._keeper)

    def probabilities(self, windows: Sequence[EngineArray]) -> EngineArray:
        stack = torch.stack(list(windows)).to(self._device)
        dtype = DTYPES[self._precision]
        with torch.autocast(self._device.type, dtype, enabled=self._precision != "fp32"):
            output = self._network(stack.contiguous(memory_format=torch.channels_last_3d))
        logits = cast(Tensor, getattr(output, "logits", output))
        return torch.softmax(logits.float(), dim=1).to(self._keeper)

    def on_host(self, array: EngineArray) -> npt.NDArray[np.float32]:
        return cast(npt.NDArray[np.float32], array.cpu().numpy())


ENGINE: Final = TorchEngine()
