"""ONNX Runtime as an engine: a small package, on the processor, in float32, without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from FractureSegmentationLib.errors import (
    DamagedWeightsError,
    EnvironmentProblemError,
    InputError,
)
from FractureSegmentationLib.inference.engine import (
    Engine,
    EngineArray,
    EngineName,
    EngineVersion,
    Network,
    NetworkRun,
)
from FractureSegmentationLib.inference.placement import Placement, Precision, checked_device
from FractureSegmentationLib.inference.processor import inference_threads
from FractureSegmentationLib.networks.model_folder import (
    REMEDY,
    graph_name,
    read_graph,
    read_weights,
    require_graph,
)
from FractureSegmentationLib.networks.model_spec import ModelSpec, read_spec
from FractureSegmentationLib.types import Shape

_ERRORS_ONLY = 3
_MEMORY_WORDS = ("failed to allocate", "bad_alloc", "bad allocation", "out of memory")


_Tensors: TypeAlias = dict[str, npt.NDArray[Any]]


class OnnxRuntimeEngine(Engine):
    """ONNX Runtime."""

    name: EngineName = "onnxruntime"

    @property
    def version(self) -> EngineVersion:
        """Of the package that is loaded."""
        return EngineVersion(name=self.name, version=str(onnxruntime.__version__))

    def device_named(self, name: str) -> str:
        """The processor; there is no other device."""
        if checked_device(name) in {"auto", "cpu"}:
            return "cpu"
        raise EnvironmentProblemError(
            f"ONNX Runtime computes on the processor here, not on {name}.",
            "Use --device auto, or --engine torch with PyTorch installed.",
        )

    def precision_on(self, device: str) -> Precision:
        """Always fp32."""
        del device
        return "fp32"

    def refuse_unusable(self, specs: Sequence[ModelSpec], precision: str) -> None:
        """Refuse models without a graph, and any other precision than fp32."""
        _refuse_precision(precision)
        for spec in specs:
            require_graph(spec)

    def load(self, folder: Path) -> tuple[ModelSpec, Network]:
        """The model with its graph in a session of ONNX Runtime."""
        spec = read_spec(folder)
        graph = read_graph(folder, spec)
        weights = _tensors(spec, read_weights(folder, spec))
        return spec, OnnxNetwork(_session(spec, graph, weights), spec)


class OnnxNetwork(Network):
    """An exported graph that is run over windows of the size it was exported for.

    Args:
        session: takes float32 (1, C, K, J, I), gives logits (1, classes, K, J, I).
        spec: describes the model.

    Raises:
        DamagedWeightsError: the graph does not have the channels of the description.
    """

    def __init__(self, session: onnxruntime.InferenceSession, spec: ModelSpec) -> None:
        self.engine = ENGINE.version
        self._session = session
        inputs, outputs = session.get_inputs(), session.get_outputs()
        config = spec.network_config()
        given = tuple(inputs[0].shape) if len(inputs) == 1 else ()
        wanted = (1, config.in_channels, *given[2:])
        if (
            len(given) != 5
            or given != wanted
            or not all(isinstance(side, int) for side in given)
            or [tuple(one.shape) for one in outputs] != [(1, config.out_channels, *given[2:])]
        ):
            raise _unusable(spec)
        self._input = inputs[0].name
        self._patch: Shape = (given[2], given[3], given[4])

    def placed(
        self, device: str, precision: Precision | None, batch: int | None, patch: Shape
    ) -> Placement:
        """On the processor, one window at a time, which no batch would make faster."""
        del batch
        if patch != self._patch:
            raise ValueError(f"the graph is for windows of {self._patch}, not {patch}")
        _refuse_precision(precision or "auto")
        return Placement(device=ENGINE.device_named(device), precision="fp32", batch=1)

    @contextmanager
    def running(self, placement: Placement) -> Iterator[NetworkRun]:
        """The session as it is: it has no device to go to."""
        del placement
        yield _OnnxRun(self._session, self._input)

    def release(self) -> None:
        """Nothing is held between two runs that could be given back."""


class _OnnxRun(NetworkRun):
    """A session, and arrays of NumPy."""

    def __init__(self, session: onnxruntime.InferenceSession, input_name: str) -> None:
        self._session = session
        self._input = input_name

    def held(self, array: npt.NDArray[np.float32]) -> EngineArray:
        return array

    def zeros(self, shape: Sequence[int]) -> EngineArray:
        return np.zeros(tuple(shape), np.float32)

    def probabilities(self, windows: Sequence[EngineArray]) -> EngineArray:
        return np.concatenate([_softmax(self._logits(window)) for window in windows])

    def on_host(self, array: EngineArray) -> npt.NDArray[np.float32]:
        kept: npt.NDArray[np.float32] = array
        return kept

    def _logits(self, window: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        try:
            found = self._session.run(None, {self._input: np.ascontiguousarray(window[None])})
        except Exception as error:
            if _is_about_memory(error):
                raise MemoryError from error
            raise
        logits: npt.NDArray[np.float32] = found[0]
        return logits


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities over axis 1."""
    shares: npt.NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _session(spec: ModelSpec, graph: bytes, weights: _Tensors) -> onnxruntime.InferenceSession:
    """The graph with its weights; both come from the bytes that were checked, not from a path."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = inference_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    # What only training uses is not part of the graph, and may not be given to it.
    used = [name for name in weights if graph_name(name).encode() in graph]
    options.add_external_initializers(
        [graph_name(name) for name in used],
        [onnxruntime.OrtValue.ortvalue_from_numpy(weights[name]) for name in used],
    )
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if _is_about_memory(error):
            raise MemoryError from error
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise _unusable(spec) from error


def _tensors(spec: ModelSpec, weights: bytes) -> _Tensors:
    """The tensors as they are stored, by name."""
    try:
        stored = load_safetensors(weights)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DamagedWeightsError(
            f"The weights of the model {spec.name} are not in the safetensors format.", REMEDY
        ) from error
    if not all(bool(np.isfinite(values).all()) for values in stored.values()):
        raise DamagedWeightsError("The weights hold values that are not numbers.", REMEDY)
    return stored


def _refuse_precision(precision: str) -> None:
    if precision not in {"auto", "fp32"}:
        raise InputError(
            f"ONNX Runtime computes in fp32 here, not in {precision}.",
            "Leave --precision out, or use --engine torch with PyTorch installed.",
        )


def _is_about_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(word in text for word in _MEMORY_WORDS)


def _unusable(spec: ModelSpec) -> DamagedWeightsError:
    return DamagedWeightsError(
        f"The graph of the model {spec.name} cannot be run by ONNX Runtime "
        f"{ENGINE.version.version}.",
        "Update it with: pip install --upgrade onnxruntime. " + REMEDY,
    )


ENGINE: Final = OnnxRuntimeEngine()
