"""What runs a network: PyTorch or ONNX Runtime, chosen by name, loaded when it is asked for.

An engine is one file of this folder, `<name>_engine.py`, with its `ENGINE`, and its name in
`EngineName`. Windows, blending, cancelling and what happens without memory are the predictor's, the
same for every engine.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.inference.placement import Placement, Precision
from FractureSegmentationLib.networks.model_spec import ModelSpec
from FractureSegmentationLib.types import Shape

EngineName = Literal["torch", "onnxruntime"]
"""The packages, and the names a user types; `auto` takes the first that is installed and usable."""
EngineChoice = Literal["auto", "torch", "onnxruntime"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)

EngineArray: TypeAlias = Any
"""An array of an engine: it is indexed, added and multiplied like one of NumPy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVersion:
    """Which engine ran, for the report."""

    name: EngineName
    version: str


class NetworkRun(ABC):
    """A network on its device, while a volume is predicted; arrays are those of the engine."""

    @abstractmethod
    def held(self, array: npt.NDArray[np.float32]) -> EngineArray:
        """The array where results are collected."""

    @abstractmethod
    def zeros(self, shape: Sequence[int]) -> EngineArray:
        """A float32 array of zeros where results are collected."""

    @abstractmethod
    def probabilities(self, windows: Sequence[EngineArray]) -> EngineArray:
        """Class probabilities of windows.

        Args:
            windows: each (C, K, J, I) of what was `held`.

        Returns:
            float32 (B, classes, K, J, I) where results are collected.

        Raises:
            MemoryError: there is not enough memory; so does a RuntimeError that says so.
        """

    @abstractmethod
    def on_host(self, array: EngineArray) -> npt.NDArray[np.float32]:
        """The array in the memory of the host."""


class Network(ABC):
    """A trained network that an engine can run over windows."""

    engine: EngineVersion

    @abstractmethod
    def placed(
        self, device: str, precision: Precision | None, batch: int | None, patch: Shape
    ) -> Placement:
        """Where it is to run first.

        Args:
            device: auto, cpu, cuda, cuda:N or mps.
            precision: None takes the fastest that is safe on the device.
            batch: windows per call; None takes the engine's own number.
            patch: window size along (k, j, i).

        Raises:
            InputError: there is no device of that name.
            EnvironmentProblemError: the engine or the machine does not have that device.
            ValueError: the network cannot be run on windows of this size.
        """

    @abstractmethod
    def running(self, placement: Placement) -> AbstractContextManager[NetworkRun]:
        """The network on the device of a placement."""

    @abstractmethod
    def release(self) -> None:
        """Give memory of the device back before the next try."""


class Engine(ABC):
    """What loads networks and runs them."""

    name: EngineName

    @property
    @abstractmethod
    def version(self) -> EngineVersion:
        """Which release of the package is loaded."""

    @abstractmethod
    def device_named(self, name: str) -> str:
        """The device that is meant: "auto" becomes cpu, cuda or mps.

        Raises:
            InputError: there is no device of that name.
            EnvironmentProblemError: the engine or the machine does not have it.
        """

    @abstractmethod
    def precision_on(self, device: str) -> Precision:
        """The fastest precision that is safe on a device that `device_named` gave."""

    @abstractmethod
    def refuse_unusable(self, specs: Sequence[ModelSpec], precision: str) -> None:
        """Refuse models and a precision (auto, fp32, ...) that the engine cannot run.

        Raises:
            InputError: the precision is not for this engine.
            MissingWeightsError: a model lacks what the engine needs.
        """

    @abstractmethod
    def load(self, folder: Path) -> tuple[ModelSpec, Network]:
        """Load a model folder.

        Raises:
            MissingWeightsError: the folder or one of its files is not there.
            DamagedWeightsError: a file is damaged, truncated or not one of ours.
            EnvironmentProblemError: a file cannot be read.
        """


def choose_engine(choice: EngineChoice = "auto") -> Engine:
    """The engine of that name, or for "auto" the first that is installed and usable.

    Raises:
        EnvironmentProblemError: it is not installed, or none is.
    """
    for name in ENGINES if choice == "auto" else (choice,):
        engine = _loaded(name)
        if engine is not None:
            return engine
    if choice == "auto":
        raise EnvironmentProblemError(
            "Neither PyTorch nor ONNX Runtime is installed, and one of them runs the networks.",
            "Install the smaller one with: pip install onnxruntime.",
        )
    raise EnvironmentProblemError(
        f"The package {choice} is not installed or cannot be loaded.",
        f"Use --engine auto, or install it with: pip install {choice}.",
    )


def installed_engines() -> tuple[EngineVersion, ...]:
    """The engines whose packages are installed, told without loading them; that of auto first."""
    distributions = importlib.metadata.packages_distributions()
    return tuple(
        EngineVersion(name=name, version=importlib.metadata.version(distributions[name][0]))
        for name in ENGINES
        if name in distributions
    )


def _loaded(name: EngineName) -> Engine | None:
    try:
        module = importlib.import_module(f"FractureSegmentationLib.inference.{name}_engine")
    except (ImportError, OSError):  # OSError: a library of the package cannot be loaded
        return None
    return cast(Engine, module.ENGINE)
