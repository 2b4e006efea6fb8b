"""Model folders: the weights of a run with their card, and the weights that a run starts from."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from FractureSegmentationLib.networks.tpc_net import TPCNet
from FractureSegmentationLib.networks.unet3d import UNet3D
from FractureSegmentationLib.networks.weights import load_model, save_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from torch import Tensor, nn

    from FractureSegmentationLib.networks.model_spec import ModelSpec


def write_model(
    folder: Path,
    spec: ModelSpec,
    network: nn.Module,
    class_weights: Sequence[float],
    results: Mapping[str, Any],
) -> None:
    """Write a model folder, whole or not at all; weights are stored in half precision.

    Args:
        folder: where to.
        spec: the card.
        network: the network, usually the averaged one.
        class_weights: what the cross-entropy weighed the classes by.
        results: added to the results of the card.
    """
    if not isinstance(network, TPCNet | UNet3D):
        raise TypeError(f"no model can be made of a {type(network).__name__}")
    card = replace(spec, results={**spec.results, **results})
    save_model(folder, card, without_class_weights(network, class_weights))


def without_class_weights(
    network: TPCNet | UNet3D, class_weights: Sequence[float]
) -> TPCNet | UNet3D:
    """The network with honest class frequencies.

    A cross-entropy that weighs bone ten times as much as background teaches that bone is ten times
    as frequent as it is, and bones come out too thick. The logarithm of the weights, taken from the
    biases of the head, puts the frequencies right.

    Args:
        network: trained with these weights; stays as it is.
        class_weights: one per class, as in the cross-entropy.

    Raises:
        ValueError: the network has another number of classes.
    """
    corrected = copy.deepcopy(network).cpu()
    bias = corrected.head.bias
    if bias is None or len(bias) != len(class_weights):
        raise ValueError(f"the network does not have {len(class_weights)} classes with a bias")
    with torch.no_grad():
        bias -= torch.log(torch.tensor(class_weights))
    return corrected


def initial_weights(model: Path | None) -> dict[str, Tensor] | None:
    """State dict of a model folder; None where none is given.

    Raises:
        DamagedWeightsError: the model is damaged or foreign.
    """
    if model is None:
        return None
    _, network = load_model(model)
    return dict(network.state_dict())
