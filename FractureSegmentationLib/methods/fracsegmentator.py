"""FracSegmentator: trauma-prior-guided contrastive network and boundary-interior-contact masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.inference.intensity import FRAGMENT_NORMALISATION, fragment_input
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.methods.method import Method
from FractureSegmentationLib.networks.config import TPCNetConfig

if TYPE_CHECKING:
    from torch import nn


def _build_network(config: Mapping[str, Any]) -> nn.Module:
    from FractureSegmentationLib.networks.tpc_net import TPCNet

    return TPCNet(TPCNetConfig.from_dict(config))


FRACSEGMENTATOR = Method(
    name="fracsegmentator",
    input_kind="ct",
    channels=bicm.CHANNELS,
    spacing_mm=(1.0, 1.0, 1.0),
    patch=(64, 64, 64),
    overlap=0.5,
    margin_mm=6.0,
    normalisation=FRAGMENT_NORMALISATION,
    recovery=RecoveryConfig(),
    model="fracsegmentator-small",
    build_network=_build_network,
    make_input=fragment_input,
    encode=bicm.encode,
    decode=bicm.decode,
    bones=("sacrum", "left_hip", "right_hip", "left_femur", "right_femur"),
    capacity=FRACSEG.capacity,
)
