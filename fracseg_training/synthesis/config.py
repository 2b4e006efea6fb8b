"""How synthetic CTs vary. Physical units; every range is drawn from once per volume.

Density and thickness of bone are fitted to the profiles of real hip bones and sacra below their
surface, see `Testing/training/synthesis/test_bone_profile.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

Range = tuple[float, float]
"""Smallest and largest value of a draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisConfig:
    """Ranges and shares of the draws behind one synthetic CT.

    Attributes:
        cortex_hu: brightest cortical bone.
        cortex_mm: thickness of the cortical shell of flat bones; that of the sacrum is thinner.
        shaft_cortex_mm: thickness of the cortex of long bones, away from their ends.
        trabecular_hu: mean of trabecular bone.
        trabecular_sd_hu: its variation within a bone.
        muscle_hu: mean of muscle.
        fat_hu: mean of fat.
        vessel_contrast_share: share of volumes with contrast medium in the vessels.
        bowel_contrast_share: share of volumes with contrast medium in the bowel.
        bladder_contrast_share: share of volumes with contrast medium in the bladder.
        fat_mm: thickness of the fat under the skin.
        arm_share: share of volumes with an arm or a hand beside or on the body.
        metal_share: share of volumes with an implant in or at a bone.
        table_share: share of volumes that show the patient table.
        narrow_view_share: share of volumes whose field of view cuts the body at the sides.
        psf_mm: standard deviation of the point spread function.
        noise_hu: standard deviation of the noise in soft tissue.
        streak_share: share of volumes whose noise is drawn out from side to side.
    """

    cortex_hu: Range = (750.0, 1500.0)
    cortex_mm: Range = (0.55, 1.5)
    shaft_cortex_mm: Range = (3.0, 7.5)
    trabecular_hu: Range = (10.0, 200.0)
    trabecular_sd_hu: Range = (20.0, 70.0)
    muscle_hu: Range = (35.0, 75.0)
    fat_hu: Range = (-120.0, -80.0)
    vessel_contrast_share: float = 0.45
    bowel_contrast_share: float = 0.25
    bladder_contrast_share: float = 0.2
    fat_mm: Range = (4.0, 45.0)
    arm_share: float = 0.35
    metal_share: float = 0.2
    table_share: float = 0.7
    narrow_view_share: float = 0.3
    psf_mm: Range = (0.4, 1.6)
    noise_hu: Range = (5.0, 70.0)
    streak_share: float = 0.3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_share"):
                if not 0.0 <= value <= 1.0:
                    raise ValueError(f"{field.name} must lie in [0, 1], got {value}")
            elif value[0] > value[1]:
                raise ValueError(f"{field.name} must be (smallest, largest), got {value}")
