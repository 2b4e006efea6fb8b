"""How a predicted map becomes fragments: one frozen value, lengths in mm, never in voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from FractureSegmentationLib.types import Spacing

RecoveryMode = Literal["hierarchical", "paper"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryConfig:
    """Settings of `recover_fragments`.

    Whether two regions are one fragment is no setting: a model that was trained for it judges that
    (`instances/judge.py`). The eight settings of `hierarchical` are chosen on simulated bones of
    bodies that no network was trained on, never on patients.

    Attributes:
        mode: `paper` is the published recipe; `hierarchical` the default: regions around seeds at
            several distances from contact, put together as far as they are one fragment.
        paper_dilation_mm: `paper`: contact is grown by this before interiors are separated.
        min_diameter_mm: `paper`: seeds with a shorter bounding-box diagonal are dropped.
        levels_mm: distances from contact at which seeds are looked for, falling. A component of
            interior that holds no seed of an earlier level becomes one.
        contact_level: probability from which a voxel counts as contact; low, since regions too many
            are put together again, and regions too few are not divided.
        min_seed_mm3: smallest component that becomes a seed.
        min_wall_mm: contact up to this thickness, measured between voxel centres, is no wall.
        contact_cost: how much longer crossing certain contact takes than crossing bone, as a factor
            on top of 1.
        min_fragment_mm3: a touching region below this joins the neighbour it most likely belongs
            to.
        min_piece_mm3: a disconnected piece below this joins the nearest fragment. Specks of the
            masks of real bones measure up to 98 mm³, the smallest true fragment 168 mm³.
        min_ridge_mm2: contact of at least this area inside one fragment is reported.
    """

    mode: RecoveryMode = "hierarchical"
    paper_dilation_mm: float = 5.0
    min_diameter_mm: float = 5.0
    levels_mm: tuple[float, ...] = (8.0, 5.0, 3.0, 2.0, 1.0, 0.0)
    contact_level: float = 0.1
    min_seed_mm3: float = 30.0
    min_wall_mm: float = 2.0
    contact_cost: float = 3.0
    min_fragment_mm3: float = 150.0
    min_piece_mm3: float = 125.0
    min_ridge_mm2: float = 100.0

    def __post_init__(self) -> None:
        if self.mode not in get_args(RecoveryMode):
            raise ValueError(f"mode must be one of {get_args(RecoveryMode)}, got {self.mode!r}")
        levels = self.levels_mm
        if not levels or min(levels) < 0.0 or list(levels) != sorted(set(levels), reverse=True):
            raise ValueError(f"levels_mm must fall strictly and be >= 0, got {levels}")
        if not 0.0 <= self.contact_level <= 1.0:
            raise ValueError(f"contact_level must lie in [0, 1], got {self.contact_level}")
        for name in _NOT_NEGATIVE:
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and >= 0, got {getattr(self, name)}")

    def voxels(self, volume_mm3: float, spacing_mm: Spacing) -> int:
        """The fewest voxels of a grid that hold this volume; at least one."""
        return max(1, math.ceil(volume_mm3 / math.prod(spacing_mm) - 1e-9))


_NOT_NEGATIVE = (
    "paper_dilation_mm",
    "min_diameter_mm",
    "min_seed_mm3",
    "min_wall_mm",
    "contact_cost",
    "min_fragment_mm3",
    "min_piece_mm3",
    "min_ridge_mm2",
)
