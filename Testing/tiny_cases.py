"""An untrained model and CTs of a few voxels, for tests of whole runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.inference.intensity import CtNormalisation
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.networks.config import TPCNetConfig
from FractureSegmentationLib.networks.model_spec import ModelSpec
from FractureSegmentationLib.networks.tpc_net import TPCNet
from FractureSegmentationLib.networks.weights import save_model
from FractureSegmentationLib.volume import LabelVolume, Volume

TINY = TPCNetConfig(
    features=(4, 8),
    convs_per_stage=1,
    decoder_convs=1,
    memory_keys=4,
    embedding_dim=8,
    heads=2,
    channel_embedding=8,
    spatial_embedding=8,
)


class DensityReader(nn.Module):
    """A bone network: everything above 200 HU is the left hip."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, K, J, I) with HU as the first channel to scores of background and five bones."""
        hu = x[:, :1]
        rest = torch.full_like(hu, -50.0)
        return torch.cat((200.0 - hu, rest, hu - 200.0, rest, rest, rest), dim=1)


def write_tiny_model(models: Path, seed: int = 0, config: TPCNetConfig = TINY) -> None:
    """Put an untrained fragment model where the shipped one would be looked for."""
    torch.manual_seed(seed)
    spec = ModelSpec(
        name="fracsegmentator-small",
        task="fragments",
        method="fracsegmentator",
        network="tpc_net",
        config=config.to_dict(),
        bones=("sacrum", "left_hip"),
        spacing_mm=(1.0, 1.0, 1.0),
        normalisation=CtNormalisation().to_dict(),
        channels=bicm.CHANNELS,
        licence="Apache-2.0",
    )
    save_model(models / spec.name, spec, TPCNet(config))


def write_tiny_case(folder: Path, size: int = 24, hu: int = 500) -> Path:
    """A cube of bone in `folder/ct.nii.gz`, its mask in `folder/bones.nii.gz`; returns the CT."""
    folder.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros((size, size, size), np.uint8)
    voxels[4:-4, 4:-4, 4:-4] = 2
    geometry = Geometry(shape=voxels.shape, spacing_mm=(1.0, 1.0, 1.0))
    values = np.where(voxels > 0, hu, 40).astype(np.int16)
    write_volume(folder / "ct.nii.gz", Volume(voxels=values, geometry=geometry))
    write_volume(folder / "bones.nii.gz", LabelVolume(voxels=voxels, geometry=geometry))
    return folder / "ct.nii.gz"


def damage(ct: Path) -> None:
    """Cut a file in half, as a broken copy is."""
    content = ct.read_bytes()
    ct.write_bytes(content[: len(content) // 2])
