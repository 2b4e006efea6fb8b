"""Settings of the two bone networks' training. Frozen, validated at birth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fracseg_training.training.augment import AugmentConfig
from fracseg_training.training.config import LoopConfig
from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.inference.intensity import CtNormalisation
from FractureSegmentationLib.networks.config import BONES_COARSE, BONES_FINE, UNet3DConfig

if TYPE_CHECKING:
    from FractureSegmentationLib.types import Shape

BONE_SLUGS: Final = ("sacrum", "left_hip", "right_hip", "left_femur", "right_femur")
"""Class c of the networks is bone c - 1 of these; class 0 is everything else."""

BONES_NORMALISATION: Final = CtNormalisation(
    low_hu=-250.0, high_hu=1250.0, mean_hu=150.0, std_hu=300.0, outside_hu=-1024.0
)
"""How HU become input of the bone networks; `outside_hu` is what pads a CT at its borders."""


CLASSES: Final = 1 + len(BONE_SLUGS)

_BONES: Final = tuple(bone_named(slug) for slug in BONE_SLUGS)
_REGIONS: Final = tuple(dict.fromkeys(bone.region for bone in _BONES))

KIND_OF_CLASS: Final = (0, *(1 + _REGIONS.index(bone.region) for bone in _BONES))
"""For every class, what it is whichever side: background, sacrum, hip bone or femur."""

MIRRORED_CLASS: Final = (
    0,
    *(
        1
        + next(
            place
            for place, other in enumerate(_BONES)
            if other.region == bone.region and (not bone.side or other.side != bone.side)
        )
        for bone in _BONES
    ),
)
"""For every class, the class that it becomes in a mirror."""


def bone_augment(spacing_mm: float, **changes: Any) -> AugmentConfig:
    """How patches of the bone networks vary, beyond how the synthetic CTs do."""
    usual: dict[str, Any] = {
        "scale": (0.8, 1.25),
        "stretch": (0.92, 1.09),
        "flip": False,
        "mirror_share": 0.5,
        "elastic_mm": 6.0,
        "noise_hu": 60.0,
        "blur_mm": 0.9 * spacing_mm,
        "contrast": (0.65, 1.4),
        "contrast_from_hu": 0.0,
        "shift_hu": 60.0,
        "thick_share": 0.3,
        "thick_slice_mm": 3.0 * spacing_mm,
        "thick_axis": "k",
        "coarse_share": 0.5,
        "cut_share": 0.4,
    }
    return AugmentConfig(**(usual | changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneTrainConfig(LoopConfig):
    """How one of the two networks is trained.

    Attributes:
        name: name of the stage, and of its part of a pool.
        network: the network; more than one input channel means the coarse result is an input.
        spacing_mm: isotropic voxel size.
        patch: voxels along (k, j, i).
        batch: patches per step.
        bone_share: share of patches centred near a bone; the others lie anywhere.
        centre_jitter_mm: how far the centre lies from the bone voxel drawn.
        class_weights: of the background and the bones in the cross-entropy: bone is a few per cent
            of a CT, and without them a network says background for hundreds of steps.
        merges_sides: whether a hip bone taken for the other one is hardly a mistake. A window that
            sees part of a body seldom tells which side it sees; sides are told apart afterwards,
            by where the bones lie.
        normalisation: how HU become network input.
        augment: how patches vary.
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
    ema_decay: float = 0.99
    class_weights: tuple[float, ...] = (0.2, 2.0, 2.0, 2.0, 2.0, 2.0)
    merges_sides: bool = False
    normalisation: CtNormalisation = BONES_NORMALISATION
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        LoopConfig.__post_init__(self)
        if self.batch < 1:
            raise ValueError("batch must be positive")
        if any(side % self.network.stride for side in self.patch):
            raise ValueError(
                f"every side of the patch {self.patch} must be a multiple of {self.network.stride}"
            )
        if self.network.in_channels not in {1, CLASSES}:
            raise ValueError("a bone network sees the CT, alone or with one channel per bone")

    @property
    def sees_coarse_result(self) -> bool:
        """Whether the coarse result is an input."""
        return self.network.in_channels > 1


COARSE: Final = BoneTrainConfig(
    name="coarse",
    network=BONES_COARSE,
    spacing_mm=3.0,
    patch=(80, 80, 96),
    batch=1,
    merges_sides=True,
    augment=bone_augment(3.0),
)
FINE: Final = BoneTrainConfig(
    name="fine",
    network=BONES_FINE,
    spacing_mm=1.5,
    patch=(64, 64, 64),
    batch=2,
    bone_share=0.95,
    centre_jitter_mm=15.0,
    augment=bone_augment(1.5, rotation_deg=20.0, elastic_mm=4.0, thick_slice_mm=6.0),
)
STAGES: Final = {config.name: config for config in (COARSE, FINE)}
