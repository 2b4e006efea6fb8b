"""Settings of the two bone networks' training. Frozen, validated at birth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from FractureSegmentationLib.inference.intensity import CtNormalisation
from FractureSegmentationLib.networks.config import BONES_COARSE, BONES_FINE, UNet3DConfig

if TYPE_CHECKING:
    from fracseg_training.synthesis.config import Range
    from FractureSegmentationLib.types import Shape

BONE_SLUGS: Final = ("sacrum", "left_hip", "right_hip", "left_femur", "right_femur")
"""Class c of the networks is bone c - 1 of these; class 0 is everything else."""

BONES_NORMALISATION: Final = CtNormalisation(
    low_hu=-250.0, high_hu=1250.0, mean_hu=150.0, std_hu=300.0, outside_hu=-1024.0
)
"""How HU become input of the bone networks; `outside_hu` is what pads a CT at its borders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneAugmentConfig:
    """How patches of the bone networks vary, beyond how the synthetic CTs do.

    Attributes:
        rotation_deg: largest turn about each axis.
        scale: zoom.
        stretch: further zoom, drawn per axis.
        mirror_share: share of patches mirrored left to right, labels following.
        elastic_mm: largest standard deviation of the elastic displacement.
        elastic_cells: control points of the displacement along an edge, at most.
        noise_hu: largest standard deviation of added noise.
        blur_voxels: largest standard deviation of added blur.
        contrast: factor on HU above water.
        shift_hu: largest offset.
        thick_factor: largest loss of resolution along one axis.
        coarse_share: share of patches that lose resolution along all axes.
        cut_share: share of patches that a border of the CT crosses.
    """

    rotation_deg: float = 25.0
    scale: Range = (0.8, 1.25)
    stretch: Range = (0.92, 1.09)
    mirror_share: float = 0.5
    elastic_mm: float = 6.0
    elastic_cells: int = 6
    noise_hu: float = 60.0
    blur_voxels: float = 0.9
    contrast: Range = (0.65, 1.4)
    shift_hu: float = 60.0
    thick_factor: float = 3.0
    coarse_share: float = 0.15
    cut_share: float = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneTrainConfig:
    """How one of the two networks is trained.

    Attributes:
        name: name of the stage, and of its part of a pool.
        network: the network; more than one input channel means the coarse result is an input.
        spacing_mm: isotropic voxel size.
        patch: voxels along (k, j, i).
        batch: patches per step.
        bone_share: share of patches centred near a bone; the others lie anywhere.
        centre_jitter_mm: how far the centre lies from the bone voxel drawn.
        steps: optimiser steps of the whole run.
        learning_rate: peak learning rate; it falls to 0 with the power 0.9.
        warmup_steps: steps over which it rises from 0.
        weight_decay: decoupled weight decay.
        clip_norm: gradients are scaled down to this norm.
        ema_decay: the weights kept are this moving average.
        class_weights: of the background and the bones in the cross-entropy: bone is a few per cent
            of a CT, and without them a network says background for hundreds of steps.
        merges_sides: whether a hip bone taken for the other one is hardly a mistake. A window that
            sees part of a body seldom tells which side it sees; sides are told apart afterwards,
            by where the bones lie.
        precision_bf16: whether the forward pass runs in bfloat16.
        normalisation: how HU become network input.
        augment: how patches vary.
        seed: of the weights and of the patches.
    """

    name: str
    network: UNet3DConfig
    spacing_mm: float
    patch: Shape
    batch: int
    bone_share: float = 0.85
    centre_jitter_mm: float = 40.0
    steps: int = 1500
    learning_rate: float = 2e-3
    warmup_steps: int = 40
    weight_decay: float = 1e-2
    clip_norm: float = 12.0
    ema_decay: float = 0.99
    class_weights: tuple[float, ...] = (0.2, 2.0, 2.0, 2.0, 2.0, 2.0)
    merges_sides: bool = False
    precision_bf16: bool = True
    normalisation: CtNormalisation = BONES_NORMALISATION
    augment: BoneAugmentConfig = field(default_factory=BoneAugmentConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.learning_rate <= 0.0:
            raise ValueError("steps, batch and learning_rate must be positive")
        if any(side % self.network.stride for side in self.patch):
            raise ValueError(
                f"every side of the patch {self.patch} must be a multiple of {self.network.stride}"
            )
        if self.network.in_channels not in {1, 1 + len(BONE_SLUGS)}:
            raise ValueError("a bone network sees the CT, alone or with one channel per bone")

    @property
    def sees_coarse_result(self) -> bool:
        """Whether the coarse result is an input."""
        return self.network.in_channels > 1

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        left: float = (1.0 - min(step, self.steps) / self.steps) ** 0.9
        return self.learning_rate * warm * left


COARSE: Final = BoneTrainConfig(
    name="coarse",
    network=BONES_COARSE,
    spacing_mm=3.0,
    patch=(80, 80, 96),
    batch=1,
    merges_sides=True,
)
FINE: Final = BoneTrainConfig(
    name="fine",
    network=BONES_FINE,
    spacing_mm=1.5,
    patch=(64, 64, 64),
    batch=2,
    bone_share=0.95,
    centre_jitter_mm=15.0,
    augment=BoneAugmentConfig(rotation_deg=20.0, elastic_mm=4.0, thick_factor=4.0),
)
STAGES: Final = {config.name: config for config in (COARSE, FINE)}
