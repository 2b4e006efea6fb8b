"""Trained networks in PyTorch: loaded from a model folder, and written as one."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from FractureSegmentationLib.errors import DamagedWeightsError
from FractureSegmentationLib.networks.config import TPCNetConfig
from FractureSegmentationLib.networks.model_folder import (
    REMEDY,
    read_weights,
    write_model_folder,
)
from FractureSegmentationLib.networks.model_spec import (
    SPEC_FILE,
    WEIGHTS_FILE,
    ModelSpec,
    NetworkConfig,
    read_spec,
)
from FractureSegmentationLib.networks.tpc_net import TPCNet
from FractureSegmentationLib.networks.unet3d import UNet3D

_MOST_STAGES = 10
_MOST_CONVOLUTIONS = 8
_LARGEST_COUNT = 4096  # of channels, keys, heads; the published network has at most 1000
_FINEST_MM, _COARSEST_MM = 0.1, 20.0
_MOST_DIFFERENCES = 3
_LONGEST_NAME = 80
_NUMBERS = {torch.float16, torch.bfloat16, torch.float32, torch.int64, torch.int32, torch.bool}
_Shapes = dict[str, tuple[int, ...]]


def build_network(config: NetworkConfig) -> TPCNet | UNet3D:
    """The untrained network of a configuration."""
    return TPCNet(config) if isinstance(config, TPCNetConfig) else UNet3D(config)


def load_model(folder: Path, *, device: str = "cpu") -> tuple[ModelSpec, nn.Module]:
    """Load a model, ready to predict: evaluation mode, memory bank frozen, channels-last weights.

    Weights stored in half precision become float32.

    Args:
        folder: the model folder.
        device: where the network goes, e.g. "cpu" or "cuda:0".

    Returns:
        The description and the network.

    Raises:
        MissingWeightsError: the folder or one of its files is not there.
        DamagedWeightsError: a file is damaged, truncated or not one of ours.
        EnvironmentProblemError: the weights file cannot be read.
    """
    spec = read_spec(folder)
    state = _verified_state(folder, spec)
    _refuse_implausible(spec, state)
    network = build_network(spec.network_config())
    _fill(network, state)
    network.eval().requires_grad_(requires_grad=False)
    network.to(device=device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    if isinstance(network, TPCNet):
        network.freeze_memory()
    return spec, network


def save_model(
    folder: Path, spec: ModelSpec, network: nn.Module, *, dtype: torch.dtype = torch.float16
) -> ModelSpec:
    """Write a model folder, whole or not at all; one of ours that is there is replaced.

    Args:
        folder: where to.
        spec: its description; the hash is filled in.
        network: the trained network. The memory bank, its count and the other buffers are included.
        dtype: number format of the stored parameters; buffers keep theirs.

    Returns:
        The description as written, with the hash.

    Raises:
        ValueError: the network is not the one described, or its weights do not fit `dtype`.
        OutputExistsError: `folder` is something else than a model of ours.
        EnvironmentProblemError: it cannot be written.
    """
    expected = build_network(spec.network_config()).state_dict()
    state = _storable(network, dtype)
    if _shapes(state) != _shapes(expected):
        raise ValueError(f"the network does not have the configuration of the model {spec.name}")
    content = save_safetensors(state)
    written = replace(spec, sha256=hashlib.sha256(content).hexdigest())
    write_model_folder(folder, written, {WEIGHTS_FILE: content})
    return written


def _verified_state(folder: Path, spec: ModelSpec) -> dict[str, Tensor]:
    content = read_weights(folder, spec)
    try:
        return load_safetensors(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise DamagedWeightsError(
            f"The weights of the model {spec.name} are not in the safetensors format.", REMEDY
        ) from error


def _refuse_implausible(spec: ModelSpec, state: dict[str, Tensor]) -> None:
    """Compare description and weights before anything of the size described is built."""
    config = spec.network_config()
    entries = [getattr(config, entry.name) for entry in fields(config)]
    counts = [entry for entry in entries if not isinstance(entry, tuple)] + [*config.features]
    if (
        len(config.features) > _MOST_STAGES
        or max(config.convs_per_stage, config.decoder_convs) > _MOST_CONVOLUTIONS
        or not all(isinstance(count, int) and count <= _LARGEST_COUNT for count in counts)
        or not all(_FINEST_MM <= step <= _COARSEST_MM for step in spec.spacing_mm)
    ):
        raise DamagedWeightsError(f"The model {spec.name} describes no usable network.", REMEDY)
    if not {values.dtype for values in state.values()} <= _NUMBERS:
        raise DamagedWeightsError("The weights are stored in an unknown kind of number.", REMEDY)
    # The kernels from one stage to the next are the larger part of a network. What they alone would
    # hold, the file has to hold: no small file makes a giant.
    stages = zip(config.features[:-1], config.features[1:], strict=True)
    kernels = sum(27 * narrow * wide for narrow, wide in stages)
    stored = sum(values.numel() for values in state.values())
    if kernels > stored:
        raise _mismatch(
            f"{stored} values are stored, its convolutions alone need {kernels} (features in "
            f"{SPEC_FILE}: {', '.join(map(str, config.features))})"
        )


def _fill(network: nn.Module, state: dict[str, Tensor]) -> None:
    if difference := _difference(_shapes(state), _shapes(network.state_dict())):
        raise _mismatch(difference)
    for name, values in state.items():
        if not bool(values.isfinite().all()):
            raise DamagedWeightsError(
                f"The weights hold values that are not numbers (in {name}).", REMEDY
            )
    network.load_state_dict(state)


def _difference(stored: _Shapes, expected: _Shapes) -> str:
    """The first tensors that differ, by name and shape; "" where all agree."""
    differences = [
        *(f"{name} is missing" for name in expected if name not in stored),
        *(f"{_printable(name)} is not part of it" for name in stored if name not in expected),
        *(
            f"{name} has shape {stored[name]}, expected {shape}"
            for name, shape in expected.items()
            if name in stored and stored[name] != shape
        ),
    ]
    rest = len(differences) - _MOST_DIFFERENCES
    more = f"; and {rest} more" if rest > 0 else ""
    return "; ".join(differences[:_MOST_DIFFERENCES]) + more


def _printable(name: str) -> str:
    """A tensor name out of a foreign file, short and without control characters."""
    kept = "".join(letter for letter in name if letter.isprintable())
    return kept if len(kept) <= _LONGEST_NAME else f"{kept[:_LONGEST_NAME]}..."


def _mismatch(difference: str) -> DamagedWeightsError:
    return DamagedWeightsError(
        f"The weights do not fit the network of the model: {difference}.", REMEDY
    )


def _shapes(state: dict[str, Tensor]) -> _Shapes:
    return {name: tuple(values.shape) for name, values in state.items()}


def _storable(network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    parameters = {name for name, _ in network.named_parameters()}
    state = {
        name: values.detach().to("cpu", dtype if name in parameters else values.dtype).contiguous()
        for name, values in network.state_dict().items()
    }
    if not all(bool(values.isfinite().all()) for values in state.values()):
        raise ValueError(f"a weight is not a finite number in {dtype}")
    return state
