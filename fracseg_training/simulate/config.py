"""How fractures are simulated; physical units, never voxels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["hairline", "gap", "displaced", "crease", "impaction"]
Range = tuple[float, float]

MODES: tuple[Mode, ...] = ("hairline", "gap", "displaced", "crease", "impaction")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternConfig:
    """Where a bone breaks, and into what.

    Attributes:
        count_weights: how often a bone breaks into 2, 3, 4, ... fragments.
        minor_share: range, log-uniform, of the smaller part's share of what a cut divides.
        comminution_probability: chance that extra fragments crowd around one point.
        wedge_probability: chance that a further fragment is a wedge out of an earlier fracture.
        healing_radius_mm: log-uniform range; beyond it a cut's surface leaves the bone whole.
        roughness_mm: range of the standard deviation of the fractal roughness.
        curvature_radius_mm: log-uniform range of the large-scale radius of a fracture surface.
        min_fragment_mm3: smallest fragment; smaller pieces join a neighbour.
        candidates: surfaces tried per cut, the one nearest to the share wanted is taken.
        anatomical_share: how often a bone that is known breaks at its landmarks, see `sites`.
    """

    count_weights: tuple[float, ...] = (0.50, 0.25, 0.11, 0.06, 0.04, 0.02, 0.02)
    minor_share: Range = (0.02, 0.45)
    comminution_probability: float = 0.45
    wedge_probability: float = 0.25
    healing_radius_mm: Range = (25.0, 150.0)
    roughness_mm: Range = (0.6, 2.6)
    curvature_radius_mm: Range = (40.0, 400.0)
    min_fragment_mm3: float = 30.0
    candidates: int = 8
    anatomical_share: float = 0.7

    def __post_init__(self) -> None:
        if not _are_weights(self.count_weights) or len(self.count_weights) > 49:
            raise ValueError(f"count_weights: up to 49 weights >= 0, got {self.count_weights}")
        if not 0.0 < self.minor_share[0] <= self.minor_share[1] <= 0.5:
            raise ValueError(f"minor_share must lie in (0, 0.5], got {self.minor_share}")
        if self.min_fragment_mm3 <= 0.0 or self.candidates < 1:
            raise ValueError("min_fragment_mm3 and candidates must be positive")
        if not 0.0 <= self.anatomical_share <= 1.0:
            raise ValueError(f"anatomical_share must lie in [0, 1], got {self.anatomical_share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseConfig:
    """How far fragments move.

    Attributes:
        mode_weights: how often a fracture is of each of `MODES`, in that order.
        gap_mm: opening of a small gap.
        displacement_sd_mm: standard deviation of each component of a displacement.
        rotation_sd_deg: standard deviation of a displaced fragment's rotation.
        max_displacement_mm: displacements are clipped to this.
        max_rotation_deg: rotations are clipped to this.
        crease_deg: opening angle of a crease.
        impaction_mm: how deep a fragment is driven into its neighbour.
        bite_mm: mean depth to which faces may interpenetrate before they are pushed apart.
    """

    mode_weights: tuple[float, float, float, float, float] = (0.25, 0.25, 0.25, 0.10, 0.15)
    gap_mm: Range = (0.5, 3.0)
    displacement_sd_mm: float = 5.0
    rotation_sd_deg: float = 5.0
    max_displacement_mm: float = 15.0
    max_rotation_deg: float = 15.0
    crease_deg: Range = (2.0, 12.0)
    impaction_mm: Range = (1.0, 4.0)
    bite_mm: Range = (0.15, 1.2)

    def __post_init__(self) -> None:
        if not _are_weights(self.mode_weights) or len(self.mode_weights) != len(MODES):
            raise ValueError(f"mode_weights must weigh {MODES}, got {self.mode_weights}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppearanceConfig:
    """What a fracture looks like in CT.

    Attributes:
        crack_sigma_mm: half-width of the dark line along a closed fracture after the PSF.
        crack_contrast: share of the HU above the filling that a crack takes away in the cortex.
        deep_contrast: the same beyond `cortex_mm`, as a share of the cortical contrast.
        cortex_mm: depth to which the crack has its full contrast.
        haematoma_hu: range of the mean HU of what fills a gap.
        fat_probability: chance that fatty marrow fills it instead.
        debris_hu: range of the HU that bone debris adds to the filling, at most.
        densify: range of the share of the overlapping bone's HU added where bone crushes bone.
        densify_max_hu: brightest HU that overlapping bone reaches.
        blur_sigma_mm: range of an extra Gaussian PSF.
        noise_hu: range of the standard deviation of added correlated noise.
        noise_sigma_mm: range of the noise's correlation (Gaussian sigma).
        close_gaps_probability: chance that labels close one-voxel gaps, as annotators do.
    """

    crack_sigma_mm: Range = (0.55, 1.0)
    crack_contrast: Range = (0.4, 0.95)
    deep_contrast: Range = (0.0, 0.35)
    cortex_mm: Range = (1.8, 3.4)
    haematoma_hu: Range = (15.0, 70.0)
    fat_probability: float = 0.15
    debris_hu: Range = (0.0, 160.0)
    densify: Range = (0.1, 0.9)
    densify_max_hu: float = 1600.0
    blur_sigma_mm: Range = (0.0, 0.35)
    noise_hu: Range = (0.0, 18.0)
    noise_sigma_mm: Range = (0.35, 0.8)
    close_gaps_probability: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationConfig:
    """Everything `simulate_fracture` draws from.

    Attributes:
        pattern: where a bone breaks.
        pose: how far fragments move.
        appearance: what it looks like.
        outside_hu: HU of everything outside the fragments, for inputs that hold bone only; None
            keeps the surrounding CT.
    """

    pattern: PatternConfig = field(default_factory=PatternConfig)
    pose: PoseConfig = field(default_factory=PoseConfig)
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    outside_hu: float | None = None


def _are_weights(values: tuple[float, ...]) -> bool:
    """Whether the values can be made into probabilities."""
    return bool(values) and min(values) >= 0.0 and sum(values) > 0.0
