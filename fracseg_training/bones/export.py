"""From a run of a bone network to the model folder that the library loads."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from fracseg_training.bones.config import BONE_SLUGS
from fracseg_training.training.class_weights import without_class_weights
from fracseg_training.training.run import CHECKPOINT_ERRORS
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.networks.model_spec import ModelSpec
from FractureSegmentationLib.networks.unet3d import UNet3D
from FractureSegmentationLib.networks.weights import save_model

if TYPE_CHECKING:
    from pathlib import Path

    from fracseg_training.bones.config import BoneTrainConfig

_LICENCE = "Apache-2.0"
_TRAINING_DATA = (
    "CTs synthesised from one label map of the TotalSegmentator dataset (CC BY 4.0), and the bones "
    "of three patients of the FracSegNet test data (MIT) embedded in such bodies. No real CT with "
    "soft tissue was used."
)


def write_bone_model(folder: Path, config: BoneTrainConfig, network: UNet3D, step: int) -> None:
    """Write a model folder, whole or not at all; weights are stored in half precision.

    Args:
        folder: where to.
        config: what the network was trained with.
        network: the network, usually the averaged one.
        step: steps taken.
    """
    spec = ModelSpec(
        name=f"bones-{config.name}",
        task="bones",
        method="cascade",
        network="unet3d",
        config=config.network.to_dict(),
        bones=BONE_SLUGS,
        spacing_mm=(config.spacing_mm, config.spacing_mm, config.spacing_mm),
        normalisation=asdict(config.normalisation),
        channels=("background", *BONE_SLUGS),
        licence=_LICENCE,
        training_data=_TRAINING_DATA,
        results={"steps": step},
    )
    save_model(folder, spec, without_class_weights(network, config.class_weights))


def averaged_network(run: Path, config: BoneTrainConfig) -> tuple[UNet3D, int]:
    """The averaged network of a run's last checkpoint, and the steps taken.

    Raises:
        InputError: the run has no checkpoint, or it belongs to another network.
    """
    network = UNet3D(config.network)
    try:
        state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
        network.load_state_dict(state["averaged"])
        return network.eval(), int(state["step"])
    except CHECKPOINT_ERRORS as error:
        raise InputError(
            "The run's folder holds no checkpoint of this stage.", "Name the folder of the run."
        ) from error
