"""How a predicted map becomes fragments: one frozen value, lengths in mm, never in voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from FractureSegmentationLib.types import Spacing

RecoveryMode = Literal["regions", "paper"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryConfig:
    """Settings of `recover_fragments`.

    Whether two regions are one fragment is no setting: a model that was trained for it judges that
    (`instances/judge.py`). The eight settings of `regions` are chosen on simulated bones of
    bodies that no network was trained on, never on patients.

    Attributes:
        mode: `paper` is the published recipe; `regions` the default: more regions than fragments,
            put together as far as they are one.
        paper_dilation_mm: `paper`: contact is grown by this before interiors are separated.
        min_diameter_mm: `paper`: seeds with a shorter bounding-box diagonal are dropped.
        contact_level: probability from which distances from contact are taken; low, since regions
            too many are put together again, and regions too few are not divided.
        reach_mm: distances from contact beyond this are alike: as wide a hole in it is closed.
        slope_per_mm: how much the landscape falls with the distance from contact, in log-odds.
        crack_weight: what a line counts for that is one standard deviation darker than the bone.
        smoothing_mm: standard deviation of the Gaussian that smooths the landscape.
        least_rise: regions between which the landscape rises by less are one.
        min_fragment_mm3: a touching region below this joins the neighbour it most likely belongs
            to.
        min_piece_mm3: a disconnected piece below this joins the nearest fragment. Specks of the
            masks of real bones measure up to 98 mm³, the smallest true fragment 168 mm³.
        min_ridge_mm2: contact of at least this area inside one fragment is reported; it
            decides nothing.
    """

    mode: RecoveryMode = "regions"
    paper_dilation_mm: float = 5.0
    min_diameter_mm: float = 5.0
    contact_level: float = 0.02
    reach_mm: float = 8.0
    slope_per_mm: float = 0.5
    crack_weight: float = 1.0
    smoothing_mm: float = 0.8
    least_rise: float = 0.5
    min_fragment_mm3: float = 150.0
    min_piece_mm3: float = 125.0
    min_ridge_mm2: float = 100.0

    def __post_init__(self) -> None:
        if self.mode not in get_args(RecoveryMode):
            raise ValueError(f"mode must be one of {get_args(RecoveryMode)}, got {self.mode!r}")
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
    "reach_mm",
    "slope_per_mm",
    "crack_weight",
    "smoothing_mm",
    "least_rise",
    "min_fragment_mm3",
    "min_piece_mm3",
    "min_ridge_mm2",
)
