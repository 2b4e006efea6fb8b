"""Start from an nnU-Net v2 (or TotalSegmentator) checkpoint.

How the names correspond, nnU-Net's `PlainConvUNet` left, ours right (s: stage, k: convolution):

    encoder.stages.{s}.0.convs.{k}.conv.weight    encoder.stages.{s}.{k}.conv.weight
    encoder.stages.{s}.0.convs.{k}.norm.*         encoder.stages.{s}.{k}.norm.*
    decoder.transpconvs.{s}.*                     decoder.{s}.up.*
    decoder.stages.{s}.convs.{k}.conv.weight      decoder.{s}.convs.{k}.conv.weight
    decoder.stages.{s}.convs.{k}.norm.*           decoder.{s}.convs.{k}.norm.*
    decoder.seg_layers.{last}.*                   head.*, only if asked for

Biases of convolutions are dropped: the instance normalisation behind them removes them. Copies of
the same tensors under `all_modules` and `decoder.encoder` are dropped too.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from FractureSegmentationLib.errors import DamagedWeightsError, MissingWeightsError

_UNREADABLE = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    pickle.UnpicklingError,
)
_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.)+")
_RULES = (
    (
        re.compile(r"encoder\.stages\.(\d+)\.0\.convs\.(\d+)\.(conv\.weight|norm\.\w+)"),
        r"encoder.stages.\1.\2.\3",
    ),
    (
        re.compile(r"decoder\.stages\.(\d+)\.convs\.(\d+)\.(conv\.weight|norm\.\w+)"),
        r"decoder.\1.convs.\2.\3",
    ),
    (re.compile(r"decoder\.transpconvs\.(\d+)\.(weight|bias)"), r"decoder.\1.up.\2"),
)
_HEAD = re.compile(r"decoder\.seg_layers\.(\d+)\.(weight|bias)")
_FIRST = "encoder.stages.0.0.conv.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a foreign checkpoint gave to one of our networks.

    Attributes:
        loaded: our parameters that were filled, sorted.
        kept: our parameters that keep their own initial values, sorted.
        unfit: our parameters for which the checkpoint has another shape, sorted.
    """

    loaded: tuple[str, ...]
    kept: tuple[str, ...]
    unfit: tuple[str, ...]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The network weights of an nnU-Net `.pth` file, read without executing anything in it.

    Raises:
        MissingWeightsError: no such file.
        DamagedWeightsError: damaged, not such a file, or it holds more than numbers and texts.
    """
    try:
        with torch.serialization.safe_globals(_numpy_values()):
            content = torch.load(path, map_location="cpu", weights_only=True)
        state = content["network_weights"]
        if not all(isinstance(values, Tensor) for values in state.values()):
            raise TypeError("a weight is no tensor")
        return {str(name): values for name, values in state.items()}
    except FileNotFoundError as error:
        raise MissingWeightsError(
            "The checkpoint is not there.", "Check the name of the file."
        ) from error
    except _UNREADABLE as error:
        raise DamagedWeightsError(
            "The checkpoint is damaged or not one of nnU-Net.",
            "Download it again; files that hold program code are not read.",
        ) from error


def remap(state: Mapping[str, Tensor], *, with_head: bool = False) -> dict[str, Tensor]:
    """Rename the weights of a `PlainConvUNet` to ours; see the table above.

    Args:
        state: its state dict.
        with_head: whether to take the full-resolution class layer along.
    """
    plain = {_WRAPPERS.sub("", name): values for name, values in state.items()}
    renamed = {}
    for name, values in plain.items():
        for pattern, replacement in _RULES:
            if pattern.fullmatch(name):
                renamed[pattern.sub(replacement, name)] = values
    heads = [(match, values) for name, values in plain.items() if (match := _HEAD.fullmatch(name))]
    last = max((int(match[1]) for match, _ in heads), default=-1)
    for match, values in heads:
        if with_head and int(match[1]) == last:
            renamed[f"head.{match[2]}"] = values
    return renamed


@torch.no_grad()
def transfer(
    state: Mapping[str, Tensor], network: nn.Module, *, with_head: bool = False
) -> Transfer:
    """Fill a U-Net or TPC-Net of ours with the weights of a `PlainConvUNet` where shapes match.

    Further input channels of ours (a mask, a coarse result) get zeros, so the network computes at
    first what the foreign one did.

    Args:
        state: state dict of the foreign network.
        network: changed in place.
        with_head: whether to take the full-resolution class layer along.

    Returns:
        What was filled and what was not.
    """
    ours: dict[str, Any] = dict(network.named_parameters())
    loaded, unfit = set(), set()
    for name, values in remap(state, with_head=with_head).items():
        if name not in ours:
            continue
        fitted = _widened(values, ours[name].shape[1]) if name == _FIRST else values
        if fitted.shape != ours[name].shape:
            unfit.add(name)
            continue
        ours[name].copy_(fitted)
        loaded.add(name)
    return Transfer(
        loaded=tuple(sorted(loaded)),
        kept=tuple(sorted(set(ours) - loaded)),
        unfit=tuple(sorted(unfit)),
    )


def _widened(kernel: Tensor, channels: int) -> Tensor:
    missing = channels - kernel.shape[1]
    if missing <= 0:
        return kernel
    zeros = kernel.new_zeros(len(kernel), missing, *kernel.shape[2:])
    return torch.cat((kernel, zeros), dim=1)


def _numpy_values() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What nnU-Net logs beside the weights: numbers and arrays of numpy, old and new spelling."""
    scalar = cast(Callable[..., Any], np.float64(0).__reduce__()[0])
    array = cast(Callable[..., Any], np.zeros(1).__reduce__()[0])
    kinds = ("float64", "float32", "int64", "int32", "bool")
    return [
        np.dtype,
        np.ndarray,
        *(type(np.dtype(kind)) for kind in kinds),
        *(
            (function, f"numpy.{core}.multiarray.{name}")
            for function, name in ((scalar, "scalar"), (array, "_reconstruct"))
            for core in ("core", "_core")
        ),
    ]
