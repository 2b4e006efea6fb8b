"""What every fragment segmentation method is to the pipeline: one frozen value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.inference.intensity import CtNormalisation
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.recover import BoneContext
from FractureSegmentationLib.instances.result import Recovery
from FractureSegmentationLib.types import HuArray, LabelArray, MaskArray, Shape, Spacing
from FractureSegmentationLib.volume import FragmentMap

if TYPE_CHECKING:
    from torch import nn

InputKind = Literal["ct", "xray"]
BuildNetwork: TypeAlias = Callable[[Mapping[str, Any]], "nn.Module"]
MakeInput: TypeAlias = Callable[[HuArray, MaskArray, CtNormalisation], npt.NDArray[np.float32]]
Encode: TypeAlias = Callable[[LabelArray, Spacing], npt.NDArray[np.uint8]]
Decode: TypeAlias = Callable[[FragmentMap, MaskArray, RecoveryConfig, BoneContext], Recovery]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A fragment segmentation method.

    Attributes:
        name: the word a user types.
        input_kind: what it looks at.
        channels: the classes its map holds for every voxel, background first.
        spacing_mm: working spacing along Superior, Posterior and Left, in mm; a model may replace
            it.
        patch: window size along (k, j, i), in voxels.
        overlap: share of a window that its neighbour sees too.
        margin_mm: what a crop holds around its bone, in mm.
        normalisation: how Hounsfield units become network input; a model may replace it.
        recovery: how the map becomes fragments.
        model: name of the shipped model it runs with unless another is given.
        build_network: network of a configuration, untrained; loads torch when called.
        make_input: network input of a crop and its bone mask.
        encode: training target of fragment labels.
        decode: fragments of a predicted map.
        bones: slugs of the bones it serves.
        capacity: most fragments per bone.

    Raises:
        ValueError: a number is impossible.
    """

    name: str
    input_kind: InputKind
    channels: tuple[str, ...]
    spacing_mm: Spacing
    patch: Shape
    overlap: float
    margin_mm: float
    normalisation: CtNormalisation
    recovery: RecoveryConfig
    model: str
    build_network: BuildNetwork
    make_input: MakeInput
    encode: Encode
    decode: Decode
    bones: tuple[str, ...]
    capacity: int

    def __post_init__(self) -> None:
        if not self.channels or self.channels[0] != "background":
            raise ValueError(f"channels begin with the background, got {self.channels}")
        if min(self.patch) < 1 or not all(0.0 < s < math.inf for s in self.spacing_mm):
            raise ValueError("patch and spacing_mm must be positive")
        if not 0.0 <= self.overlap < 1.0:
            raise ValueError(f"overlap must lie in [0, 1), got {self.overlap}")
        if self.margin_mm < 0.0 or self.capacity < 1:
            raise ValueError("margin_mm must be >= 0 and capacity at least 1")
