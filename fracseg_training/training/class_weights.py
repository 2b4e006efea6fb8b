"""Takes the weights of the classes back out of a trained network's probabilities."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from FractureSegmentationLib.networks.tpc_net import TPCNet
from FractureSegmentationLib.networks.unet3d import UNet3D

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    corrected = copy.deepcopy(network)
    bias = corrected.head.bias
    if bias is None or len(bias) != len(class_weights):
        raise ValueError(f"the network does not have {len(class_weights)} classes with a bias")
    with torch.no_grad():
        bias -= torch.log(torch.tensor(class_weights))
    return corrected
