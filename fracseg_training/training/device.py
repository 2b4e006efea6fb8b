"""Where training runs and with how many bits, by Lightning Fabric."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from fracseg_training.training.sampler import Batch
from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.inference.device import choose_device

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from fracseg_training.training.config import Precision

_MIXED: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def require_training_packages() -> None:
    """Refuse at once what would fail later.

    Raises:
        EnvironmentProblemError: a package of the extra `train` is missing.
    """
    try:
        import lightning_fabric  # noqa: F401
        import matplotlib as mpl  # noqa: F401
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise EnvironmentProblemError(
            f"Training needs the package {error.name}, which is not installed.",
            "Install it with `pip install 'fracture-segmentation[train]'`.",
        ) from error


def fabric_for(device: str, precision: Precision) -> Fabric:
    """Fabric on one device, or as one of the processes that `torchrun` started.

    Args:
        device: auto, cpu, cuda, cuda:N or mps; a number is not possible under `torchrun`.
        precision: what is asked for; a device that lacks it takes the nearest it has.

    Raises:
        InputError: there is no device of that name.
        EnvironmentProblemError: the machine does not have it, or a package is missing.
    """
    require_training_packages()
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    chosen = choose_device(device)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    mixed = _MIXED[usable_precision(chosen, precision)]
    if processes == 1:
        devices: Any = [chosen.index or 0] if chosen.type == "cuda" else 1
        return Fabric(accelerator=chosen.type, devices=devices, precision=mixed)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(processes)))
    fabric = Fabric(
        accelerator=chosen.type,
        devices=local,
        num_nodes=processes // local,
        # Parts of TPC-Net are idle while its memory is empty: their gradients never come.
        strategy=DDPStrategy(find_unused_parameters=True),
        precision=mixed,
    )
    fabric.launch()
    return fabric


def usable_precision(device: torch.device, precision: Precision) -> Precision:
    """The precision asked for, or the nearest that the device computes well."""
    if precision == "fp32" or device.type == "mps":
        return "fp32"
    if device.type == "cpu":
        return "bf16"
    has_bf16 = torch.cuda.get_device_capability(device)[0] >= 8
    return precision if has_bf16 else "fp16"


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device, its inputs channels-last."""
    inputs = batch.inputs.to(device, memory_format=torch.channels_last_3d)
    return Batch(inputs, batch.target.to(device))
