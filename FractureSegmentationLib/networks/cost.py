"""How large a network is and how much it computes, part by part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from FractureSegmentationLib.networks.config import TPCNetConfig, UNet3DConfig
from FractureSegmentationLib.networks.tpc_net import TPCNet
from FractureSegmentationLib.networks.unet3d import UNet3D

PARTS: Final = (
    ("encoder", re.compile(r"encoder\..*|encoder")),
    ("memory", re.compile(r"prior\.(projections|memory).*")),
    ("channel attention", re.compile(r"prior\.channel_attention.*")),
    ("spatial attention", re.compile(r"prior\.spatial_attention.*")),
    ("feature calibration", re.compile(r"decoder\.\d+\.calibration.*")),
    ("decoder", re.compile(r"decoder\..*")),
    ("heads", re.compile(r"(head|auxiliary_heads).*")),
)
"""Parts by the names of their modules; the first that fits counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Size and work of one part.

    Attributes:
        part: its name.
        parameters: number of trained values.
        flop: floating-point operations of one forward pass, a multiply-add counted as two.
    """

    part: str
    parameters: int
    flop: int


def network_cost(config: TPCNetConfig | UNet3DConfig, patch: int) -> tuple[Cost, ...]:
    """Cost of each part of a network for one patch at inference, the memory bank frozen.

    Nothing is computed: the shapes pass through the network without values.

    Args:
        config: the network.
        patch: side of the cubic patch in voxels, a multiple of `config.stride`.

    Returns:
        The parts that the network has, and "total" last. The heads of deep supervision count as
        parameters but do not run at inference. Pooling, mixing and the like, which belong to no
        layer of their own, count in the total only.
    """
    network = _shapes_only(config)
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, config.in_channels, patch, patch, patch, device="meta"))
    flops = _flop_of_modules(counter.get_flop_counts(), network)
    rows = []
    for part, _ in PARTS:
        parameters = sum(p.numel() for name, p in network.named_parameters() if _part(name) == part)
        flop = sum(count for name, count in flops.items() if _part(name) == part)
        if parameters:
            rows.append(Cost(part=part, parameters=parameters, flop=flop))
    parameters = sum(row.parameters for row in rows)
    return (*rows, Cost(part="total", parameters=parameters, flop=counter.get_total_flops()))


def _shapes_only(config: TPCNetConfig | UNet3DConfig) -> nn.Module:
    network = TPCNet(config) if isinstance(config, TPCNetConfig) else UNet3D(config)
    network.eval()
    if isinstance(network, TPCNet) and network.prior.memory is not None:
        network.prior.memory.memory_count.fill_(network.config.memory_keys)
        network.freeze_memory()
    return cast(nn.Module, network.to("meta"))


def _part(name: str) -> str:
    return next((part for part, pattern in PARTS if pattern.fullmatch(name)), "")


def _flop_of_modules(counts: Mapping[str, Mapping[Any, int]], network: nn.Module) -> dict[str, int]:
    """Operations of each module without those of the modules inside it."""
    root = type(network).__name__
    totals = {
        name.removeprefix(f"{root}."): sum(by_operation.values())
        for name, by_operation in counts.items()
        if name.startswith(f"{root}.")
    }
    own = dict(totals)
    for name, total in totals.items():
        parent = name.rpartition(".")[0]
        while parent and parent not in own:
            parent = parent.rpartition(".")[0]
        if parent:
            own[parent] -= total
    return own
