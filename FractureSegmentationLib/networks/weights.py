"""The model folder: find it, check it, load it, write it.

A model is a folder of `model.json` and `model.safetensors`. The weights file is hashed before it is
parsed and its format cannot hold code, so a damaged or foreign file is refused before anything of
it takes effect.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from FractureSegmentationLib.errors import (
    DamagedWeightsError,
    EnvironmentProblemError,
    MissingWeightsError,
    OutputExistsError,
)
from FractureSegmentationLib.networks.config import TPCNetConfig
from FractureSegmentationLib.networks.model_spec import (
    SPEC_FILE,
    WEIGHTS_FILE,
    ModelSpec,
    NetworkConfig,
    read_spec,
)
from FractureSegmentationLib.networks.tpc_net import TPCNet
from FractureSegmentationLib.networks.unet3d import UNet3D

MODELS_VARIABLE: Final = "FRACSEG_MODELS"
SHIPPED_FOLDER: Final = Path(__file__).resolve().parent.parent / "models"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_MOST_STAGES = 10
_MOST_CONVOLUTIONS = 8
_LARGEST_COUNT = 4096  # of channels, keys, heads; the published network has at most 1000
_FINEST_MM, _COARSEST_MM = 0.1, 20.0
_MOST_DIFFERENCES = 3
_LONGEST_NAME = 80
_NUMBERS = {torch.float16, torch.bfloat16, torch.float32, torch.int64, torch.int32, torch.bool}
_Shapes = dict[str, tuple[int, ...]]
_REMEDY = "Get the model again, or install the program again."


def shipped_model(name: str) -> Path:
    """Folder of a model that comes with the program or lies in a folder of `FRACSEG_MODELS`.

    Args:
        name: e.g. "fracsegmentator-small".

    Raises:
        ValueError: not a model name.
        MissingWeightsError: no such model.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a model name")
    added = os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)
    for root in (*(Path(entry) for entry in added if entry), SHIPPED_FOLDER):
        if (root / name / SPEC_FILE).is_file():
            return root / name
    raise MissingWeightsError(
        f"The model {name} is not installed.",
        f"Install the program again, or name the folder that holds it in {MODELS_VARIABLE}.",
    )


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
    _refuse_foreign(folder)
    described = json.dumps(written.to_dict(), indent=2, sort_keys=True) + "\n"
    try:
        _swap_in(folder, {WEIGHTS_FILE: content, SPEC_FILE: described.encode()})
    except OSError as error:
        raise EnvironmentProblemError(
            "The model could not be written.", "Free some space or choose another folder."
        ) from error
    return written


def _verified_state(folder: Path, spec: ModelSpec) -> dict[str, Tensor]:
    try:
        content = (folder / WEIGHTS_FILE).read_bytes()
    except FileNotFoundError as error:
        raise MissingWeightsError(
            f"The model {spec.name} holds no {WEIGHTS_FILE}.", _REMEDY
        ) from error
    except OSError as error:
        raise EnvironmentProblemError(
            f"The weights of the model {spec.name} cannot be read.",
            "Check the permissions of the model folder.",
        ) from error
    if not spec.sha256 or hashlib.sha256(content).hexdigest() != spec.sha256:
        raise DamagedWeightsError(
            f"The weights of the model {spec.name} are not the ones it was published with.", _REMEDY
        )
    try:
        return load_safetensors(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise DamagedWeightsError(
            f"The weights of the model {spec.name} are not in the safetensors format.", _REMEDY
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
        raise DamagedWeightsError(f"The model {spec.name} describes no usable network.", _REMEDY)
    if not {values.dtype for values in state.values()} <= _NUMBERS:
        raise DamagedWeightsError("The weights are stored in an unknown kind of number.", _REMEDY)
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
                f"The weights hold values that are not numbers (in {name}).", _REMEDY
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
        f"The weights do not fit the network of the model: {difference}.", _REMEDY
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


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists() and not folder.is_symlink():
        return
    own = {SPEC_FILE, WEIGHTS_FILE}
    if not folder.is_dir() or {entry.name for entry in folder.iterdir()} - own:
        raise OutputExistsError(
            "The model folder holds something else than a model.", "Choose another folder."
        )


def _swap_in(folder: Path, files: dict[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    staged = folder.with_name(f".{folder.name}.{mark}.new")
    previous = folder.with_name(f".{folder.name}.{mark}.old")
    try:
        staged.mkdir()
        for name, content in files.items():
            (staged / name).write_bytes(content)
        if folder.exists():
            folder.rename(previous)
        try:
            staged.rename(folder)
        except OSError:
            if previous.exists():
                previous.rename(folder)
            raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    shutil.rmtree(previous, ignore_errors=True)
