"""Exports a model for ONNX Runtime: `model.onnx` holds the graph, `model.safetensors` the weights.

No weight is stored twice. The graph names offset and length of each tensor within the weights file,
and what is stored in half precision is cast to float32 when a session is made. Needs the packages
onnx and onnxscript, which running does not.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import onnx
import torch
from torch import Tensor, nn
from torch.func import functional_call

from FractureSegmentationLib.networks.model_folder import (
    graph_name,
    read_weights,
    write_model_folder,
)
from FractureSegmentationLib.networks.model_spec import GRAPH_FILE, WEIGHTS_FILE, ModelSpec
from FractureSegmentationLib.networks.tpc_net import TPCNet
from FractureSegmentationLib.networks.weights import load_model
from FractureSegmentationLib.types import Shape

OPSET: Final = 18
_IR_VERSION = 10  # what ONNX Runtime 1.18 and later read
_INPUT, _OUTPUT = "channels", "logits"
_TYPES: Final = {
    "F16": onnx.TensorProto.FLOAT16,
    "F32": onnx.TensorProto.FLOAT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """Where a tensor lies in the weights file.

    Attributes:
        dtype: as the safetensors format names it.
        shape: its shape.
        offset: bytes from the start of the file.
        length: in bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


def export_model(folder: Path, patch: Shape) -> ModelSpec:
    """Put `model.onnx` into a model folder; one that is there is replaced.

    Args:
        folder: the model folder.
        patch: window size along (k, j, i) that the graph is made for, one window at a time.

    Returns:
        The description as written, with the hash of the graph.

    Raises:
        MissingWeightsError: the folder or one of its files is not there.
        DamagedWeightsError: a file is damaged, truncated or not one of ours.
        EnvironmentProblemError: it cannot be read or written.
    """
    importlib.import_module("onnxscript")  # torch asks for it later, in words of its own
    spec, network = load_model(folder)
    weights = read_weights(folder, spec)
    graph = _without_weights(_exported(network, _sample(spec, patch)), network, stored_in(weights))
    content = graph.SerializeToString(deterministic=True)
    written = replace(spec, onnx_sha256=hashlib.sha256(content).hexdigest())
    write_model_folder(folder, written, {WEIGHTS_FILE: weights, GRAPH_FILE: content})
    return written


def stored_in(weights: bytes) -> dict[str, _Stored]:
    """Where the tensors of a safetensors file lie, by name."""
    (length,) = struct.unpack("<Q", weights[:8])
    begin = 8 + length
    header = json.loads(weights[8:begin])
    return {
        name: _Stored(
            dtype=entry["dtype"],
            shape=tuple(entry["shape"]),
            offset=begin + entry["data_offsets"][0],
            length=entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _sample(spec: ModelSpec, patch: Shape) -> Tensor:
    return torch.zeros(1, spec.network_config().in_channels, *patch)


class _WithWeights(nn.Module):
    """The network as a function of its weights, so that none of them is folded into the graph."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # In a list, so that its parameters are not found as parameters of this module.
        self.networks = [network]

    def forward(self, weights: dict[str, Tensor], channels: Tensor) -> Tensor:
        output = functional_call(self.networks[0], weights, (channels,))
        return cast(Tensor, getattr(output, "logits", output))


def _exported(network: nn.Module, sample: Tensor) -> onnx.ModelProto:
    """The graph with weights and channels as inputs."""
    with _quiet(), _fixed_bank(network), torch.no_grad():
        network(sample)  # fills the caches of constants with tensors that hold values
        weights = {name: values.detach() for name, values in network.state_dict().items()}
        program = torch.onnx.export(
            _WithWeights(network).eval(),
            (weights, sample),
            dynamo=True,
            opset_version=OPSET,
            input_names=[*weights, _INPUT],
            output_names=[_OUTPUT],
            verbose=False,
        )
    return cast(onnx.ModelProto, cast(Any, program).model_proto)


@contextlib.contextmanager
def _fixed_bank(network: nn.Module) -> Iterator[None]:
    """Let the memory bank be part of the graph, with the rows that are filled now."""
    memory = network.prior.memory if isinstance(network, TPCNet) else None
    if memory is None:
        yield
        return
    rows = memory.filled_rows()
    memory.unfreeze()
    memory.filled_rows = lambda: rows  # type: ignore[method-assign]
    try:
        yield
    finally:
        del memory.filled_rows
        memory.freeze()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _without_weights(
    model: onnx.ModelProto, network: nn.Module, stored: Mapping[str, _Stored]
) -> onnx.ModelProto:
    """The graph with its weights as external data, and without what tells how it was made."""
    graph = model.graph
    *weights, channels = graph.input
    used = {name for node in graph.node for name in node.input}
    casts = []
    for key, value in zip(network.state_dict(), weights, strict=True):
        if value.name in used:
            casts.append(_external(graph, value.name, key, stored[key]))
    graph.ClearField("input")
    graph.input.append(channels)
    nodes = [*casts, *graph.node]
    graph.ClearField("node")
    graph.node.extend(nodes)
    _strip(model)
    return model


def _external(graph: onnx.GraphProto, name: str, key: str, place: _Stored) -> onnx.NodeProto:
    """Add a tensor of the weights file to the graph; returns what makes float32 of it."""
    tensor = onnx.TensorProto(
        name=graph_name(key),
        data_type=_TYPES[place.dtype],
        dims=place.shape,
        data_location=onnx.TensorProto.EXTERNAL,
    )
    entries = {"location": WEIGHTS_FILE, "offset": place.offset, "length": place.length}
    for entry, value in entries.items():
        tensor.external_data.add(key=entry, value=str(value))
    graph.initializer.append(tensor)
    return onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)


def _strip(model: onnx.ModelProto) -> None:
    """Leave out traces of the exporting machine and shapes that can be worked out again."""
    model.ir_version = _IR_VERSION
    for field in ("metadata_props", "doc_string", "producer_name", "producer_version"):
        model.ClearField(field)
    graph = model.graph
    for field in ("metadata_props", "doc_string", "value_info"):
        graph.ClearField(field)
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for node in graph.node:
        node.ClearField("name")
