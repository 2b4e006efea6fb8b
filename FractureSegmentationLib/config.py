"""What the user asks of one run, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.numbering import FRACSEG, Numbering
from FractureSegmentationLib.inference.engine import EngineChoice
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.methods.catalogue import method_named
from FractureSegmentationLib.volume import LabelVolume

BoneFinder = Literal["auto", "threshold", "totalsegmentator"]
PrecisionChoice = Literal["auto", "fp32", "bf16", "fp16"]


def finder_named(text: str) -> BoneFinder | None:
    """The way to find bones that is called so; None if none is."""
    for finder in get_args(BoneFinder):
        if text == finder:
            way: BoneFinder = finder
            return way
    return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentSettings:
    """How a CT is to be segmented.

    Attributes:
        bones: how the bones are found, or the bones themselves as catalogue mask values.
        only: slugs of the bones wanted; none given means all that are found.
        method: name of the fragment segmentation method.
        model: folder of the fragment model; None takes the shipped one.
        bones_model: folder that holds `bones-coarse` and `bones-fine`; None takes the shipped ones.
        engine: what runs the networks; auto takes PyTorch where it is, else ONNX Runtime.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: of the networks; auto takes the fastest that is safe on the device.
        numbering: how fragments become label values.
        recovery: how a predicted map becomes fragments; None takes the method's own way.
        keeps_maps: whether the predicted maps stay with the result.

    Raises:
        ValueError: a bone, the method or the way to find bones does not exist.
    """

    bones: BoneFinder | LabelVolume = "auto"
    only: tuple[str, ...] = ()
    method: str = "fracsegmentator"
    model: Path | None = None
    bones_model: Path | None = None
    engine: EngineChoice = "auto"
    device: str = "auto"
    precision: PrecisionChoice = "auto"
    numbering: Numbering = FRACSEG
    recovery: RecoveryConfig | None = None
    keeps_maps: bool = False

    def __post_init__(self) -> None:
        method_named(self.method)
        if not self.are_bones_given and finder_named(str(self.bones)) is None:
            raise ValueError(f"bones is a LabelVolume or one of {get_args(BoneFinder)}")
        for slug in self.only:
            bone_named(slug)

    @property
    def are_bones_given(self) -> bool:
        """Whether the user brought the bones, which are then taken exactly as they are."""
        return isinstance(self.bones, LabelVolume)
