"""The bones the project knows. A new bone is one entry here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["", "left", "right"]
Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded term: scheme (e.g. SCT), value, meaning."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bone:
    """One bone.

    Attributes:
        slug: the word used in files, options and code.
        mask_value: its value in a bone mask; also fixes the labels of its fragments.
        name: what a person reads.
        side: left, right or "" for an unpaired bone.
        region: SNOMED CT code of the bone, without its side.
        hue: centre of its colour family, 0 to 1 on the colour circle.
    """

    slug: str
    mask_value: int
    name: str
    side: Side
    region: Code
    hue: float


SACRUM = Code(scheme="SCT", value="54735007", meaning="Sacrum")
HIP = Code(scheme="SCT", value="29836001", meaning="Hip bone")
FEMUR = Code(scheme="SCT", value="71341001", meaning="Femur")
TIBIA = Code(scheme="SCT", value="12611008", meaning="Tibia")
FIBULA = Code(scheme="SCT", value="87342007", meaning="Fibula")
PATELLA = Code(scheme="SCT", value="64234005", meaning="Patella")

BONES: tuple[Bone, ...] = (
    Bone(slug="sacrum", mask_value=1, name="Sacrum", side="", region=SACRUM, hue=0.12),
    Bone(slug="left_hip", mask_value=2, name="Left hip bone", side="left", region=HIP, hue=0.57),
    Bone(slug="right_hip", mask_value=3, name="Right hip bone", side="right", region=HIP, hue=0.35),
    Bone(slug="left_femur", mask_value=4, name="Left femur", side="left", region=FEMUR, hue=0.75),
    Bone(slug="right_femur", mask_value=5, name="Right femur", side="right", region=FEMUR, hue=0.97),
    Bone(slug="left_tibia", mask_value=6, name="Left tibia", side="left", region=TIBIA, hue=0.50),
    Bone(slug="right_tibia", mask_value=7, name="Right tibia", side="right", region=TIBIA, hue=0.28),
    Bone(slug="left_fibula", mask_value=8, name="Left fibula", side="left", region=FIBULA, hue=0.65),
    Bone(slug="right_fibula", mask_value=9, name="Right fibula", side="right", region=FIBULA, hue=0.88),
    Bone(slug="left_patella", mask_value=10, name="Left patella", side="left", region=PATELLA, hue=0.05),
    Bone(slug="right_patella", mask_value=11, name="Right patella", side="right", region=PATELLA, hue=0.20),
)

_BY_SLUG = {bone.slug: bone for bone in BONES}
_BY_VALUE = {bone.mask_value: bone for bone in BONES}


def bone_named(slug: str) -> Bone:
    """The bone called `slug`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if slug not in _BY_SLUG:
        raise ValueError(f"no bone is called {slug!r}; known: {', '.join(_BY_SLUG)}")
    return _BY_SLUG[slug]


def bone_of_mask_value(value: int) -> Bone:
    """The bone that has `value` in a bone mask.

    Raises:
        ValueError: no bone has it.
    """
    if value not in _BY_VALUE:
        raise ValueError(f"bone masks hold 1 to {len(BONES)}, got {value}")
    return _BY_VALUE[value]
