"""How a predicted map becomes fragments: one frozen value, lengths in mm, never in voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from FractureSegmentationLib.types import Spacing

RecoveryMode = Literal["hierarchical", "regions", "paper"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryConfig:
    """Settings of `recover_fragments`.

    Attributes:
        mode: `paper` is the published recipe; `hierarchical` the default: seeds at several
            distances from contact, then neighbours without contact between them are merged;
            `regions` what is done for a model that has a merging model: more regions than
            fragments, put together as far as a model judges them one.
        paper_dilation_mm: `paper`: contact is grown by this before interiors are separated.
        min_diameter_mm: seeds of the first level with a shorter bounding-box diagonal are dropped.
        levels_mm: distances from contact at which seeds are looked for, falling. A component of
            interior that holds no seed of an earlier level becomes one.
        contact_level: probability from which a voxel counts as contact.
        min_seed_mm3: smallest component that becomes a seed of the first level, or behind a wall.
        min_open_seed_mm3: the same for the later levels, where a small one may be a mere hole.
        min_wall_mm: contact up to this thickness, measured between voxel centres, is no wall.
        contact_cost: how much longer crossing certain contact takes than crossing bone, as a factor
            on top of 1.
        support_reach_mm: contact this close to an interface supports it; 0 asks for contact in
            one of the two voxels of each face.
        interface_reach_mm: how far around an interface the reported mean contact is taken.
        deep_boundary_mm: boundary further than this from the surface is taken for a crack.
        marrow_depth_mm: bone further than this from the surface is marrow, in which a fracture
            shows little: blood and marrow look alike in CT.
        marrow_weight: what an interface in marrow counts for when its support is judged, as a
            factor on its area.
        merge_support: neighbours are merged when less than this share of their interface is
            supported by contact; holds for large fragments.
        merge_support_small: the same for small ones, which must be better supported.
        small_mm3: a fragment up to this volume is small.
        large_mm3: a fragment from this volume is large; between, the share is interpolated.
        min_neck: neighbours of which neither is small are merged only if the unsupported part of
            their interface is at least this share of the smaller one's volume^(2/3): a stray voxel
            is no bridge.
        min_fragment_mm3: a touching fragment below this joins its least separated neighbour.
        min_piece_mm3: a disconnected piece below this joins the nearest fragment. Specks of the
            masks of real bones measure up to 98 mm³, the smallest true fragment 168 mm³.
        min_ridge_mm2: contact of at least this area inside one fragment is reported.
        seen_level: `regions`: probability from which distances from contact are taken; low, since
            regions too many are put together again, and regions too few are not divided.
        reach_mm: `regions`: distances from contact beyond this are alike: as wide a hole in it is
            closed.
        slope_per_mm: `regions`: how much the landscape falls with the distance from contact, in
            log-odds.
        crack_weight: `regions`: what a line counts for that is one standard deviation darker than
            the bone.
        smoothing_mm: `regions`: standard deviation of the Gaussian that smooths the landscape.
        least_rise: `regions`: those between which the landscape rises by less are one.
    """

    mode: RecoveryMode = "hierarchical"
    paper_dilation_mm: float = 5.0
    min_diameter_mm: float = 5.0
    levels_mm: tuple[float, ...] = (8.0, 5.0, 3.0, 2.0, 1.0, 0.0)
    contact_level: float = 0.1
    min_seed_mm3: float = 30.0
    min_open_seed_mm3: float = 150.0
    min_wall_mm: float = 2.0
    contact_cost: float = 3.0
    support_reach_mm: float = 0.0
    interface_reach_mm: float = 1.5
    deep_boundary_mm: float = 3.0
    marrow_depth_mm: float = 5.0
    marrow_weight: float = 0.3
    merge_support: float = 0.35
    merge_support_small: float = 0.9
    small_mm3: float = 3_000.0
    large_mm3: float = 30_000.0
    min_neck: float = 0.02
    min_fragment_mm3: float = 150.0
    min_piece_mm3: float = 125.0
    min_ridge_mm2: float = 100.0
    seen_level: float = 0.02
    reach_mm: float = 8.0
    slope_per_mm: float = 0.5
    crack_weight: float = 1.0
    smoothing_mm: float = 0.8
    least_rise: float = 0.5

    def __post_init__(self) -> None:
        if self.mode not in get_args(RecoveryMode):
            raise ValueError(f"mode must be one of {get_args(RecoveryMode)}, got {self.mode!r}")
        levels = self.levels_mm
        if not levels or min(levels) < 0.0 or list(levels) != sorted(set(levels), reverse=True):
            raise ValueError(f"levels_mm must fall strictly and be >= 0, got {levels}")
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        for name in _NOT_NEGATIVE:
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and >= 0, got {getattr(self, name)}")
        if not 0.0 < self.small_mm3 < self.large_mm3:
            raise ValueError(
                f"need 0 < small_mm3 < large_mm3, got {self.small_mm3} and {self.large_mm3}"
            )

    def required_support(self, volume_mm3: float) -> float:
        """Share of its interface that contact must support for a fragment of this volume to stay.

        Args:
            volume_mm3: volume of the smaller of the two neighbours.
        """
        if volume_mm3 <= self.small_mm3:
            return self.merge_support_small
        if volume_mm3 >= self.large_mm3:
            return self.merge_support
        largeness = math.log(volume_mm3 / self.small_mm3) / math.log(
            self.large_mm3 / self.small_mm3
        )
        return self.merge_support_small + largeness * (
            self.merge_support - self.merge_support_small
        )

    def voxels(self, volume_mm3: float, spacing_mm: Spacing) -> int:
        """The fewest voxels of a grid that hold this volume; at least one."""
        return max(1, math.ceil(volume_mm3 / math.prod(spacing_mm) - 1e-9))


_SHARES = (
    "contact_level",
    "marrow_weight",
    "merge_support",
    "merge_support_small",
    "seen_level",
)
_NOT_NEGATIVE = (
    "reach_mm",
    "slope_per_mm",
    "crack_weight",
    "smoothing_mm",
    "least_rise",
    "paper_dilation_mm",
    "min_diameter_mm",
    "min_seed_mm3",
    "contact_cost",
    "min_open_seed_mm3",
    "min_wall_mm",
    "support_reach_mm",
    "interface_reach_mm",
    "deep_boundary_mm",
    "marrow_depth_mm",
    "min_neck",
    "min_fragment_mm3",
    "min_piece_mm3",
    "min_ridge_mm2",
)
