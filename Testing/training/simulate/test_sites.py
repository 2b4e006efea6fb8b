"""Named patterns at landmarks: on a femur and a sacrum made of balls, tubes and a wedge."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest

from fracseg_training.simulate.bone_points import BonePoints, bone_points
from fracseg_training.simulate.config import PatternConfig
from fracseg_training.simulate.pattern import break_bone
from fracseg_training.simulate.sites import SitePattern, draw_pattern, femoral_head_mm

MM = (1.0, 1.0, 1.0)
ALWAYS = PatternConfig(anatomical_share=1.0, count_weights=(1.0,))
HEAD = np.array([150.0, 45.0, 40.0])


def femur_mask(*, is_left: bool = True) -> npt.NDArray[np.bool_]:
    """A head of 23 mm at (150, 45, 40), a neck of 13 mm down to a shaft of 14 mm along k at 85.

    Of the left femur: it lies away from the midline, so its shaft has the higher i.
    """
    k, j, i = np.indices((180, 90, 115), dtype=float)
    head = (k - HEAD[0]) ** 2 + (j - HEAD[1]) ** 2 + (i - HEAD[2]) ** 2 < 23.0**2
    shaft = ((j - 45.0) ** 2 + (i - 85.0) ** 2 < 14.0**2) & (k < 145.0)
    axis = np.array([-45.0, 0.0, 45.0]) / np.hypot(45.0, 45.0)
    along = (k - HEAD[0]) * axis[0] + (i - HEAD[2]) * axis[2]
    square = (k - HEAD[0]) ** 2 + (j - HEAD[1]) ** 2 + (i - HEAD[2]) ** 2
    neck = (along > 0) & (along < 64.0) & (square - along**2 < 13.0**2)
    mask = head | shaft | neck
    return mask if is_left else np.ascontiguousarray(mask[:, :, ::-1])


def sacrum_mask() -> npt.NDArray[np.bool_]:
    """100 mm high, 30 mm thick, 110 mm wide above and 40 mm below; its midline at i = 70."""
    k, j, i = np.indices((110, 40, 141), dtype=float)
    half = 20.0 + 35.0 * (k - 5.0) / 100.0
    return (k >= 5) & (k < 105) & (j >= 5) & (j < 35) & (np.abs(i - 70.0) <= half)


def drawn(slug: str, bone: BonePoints, count: int = 60) -> dict[str, SitePattern]:
    """One pattern of every name that is drawn."""
    found: dict[str, SitePattern] = {}
    for seed in range(count):
        pattern = draw_pattern(slug, bone, np.random.default_rng(seed))
        assert pattern is not None
        found.setdefault(pattern.name, pattern)
    return found


@pytest.mark.parametrize("is_left", [True, False])
def test_the_femoral_head_is_found_on_either_side(is_left: bool) -> None:
    bone = bone_points(femur_mask(is_left=is_left), MM)

    head = femoral_head_mm("left_femur" if is_left else "right_femur", bone)

    expected = HEAD if is_left else np.array([HEAD[0], HEAD[1], 114.0 - HEAD[2]])
    assert np.linalg.norm(head - expected) < 2.5


def test_a_neck_fracture_parts_the_head_from_the_shaft() -> None:
    mask = femur_mask()
    bone = bone_points(mask, MM)
    seen = Counter[str]()
    for seed in range(20):
        pattern = break_bone(bone, ALWAYS, np.random.default_rng(seed), "left_femur")
        labels = np.zeros(mask.shape, int)
        labels[tuple(bone.index.T)] = pattern.labels
        seen[pattern.name] += 1
        if pattern.name == "femoral neck":
            assert labels[tuple(HEAD.astype(int))] != labels[60, 45, 85]

    assert {"femoral neck", "trochanteric"} <= set(seen)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("sacrum zone I", 0.5, 0.8),
        ("sacrum zone II", 0.25, 0.45),
        ("sacrum zone III", 0.0, 0.15),
    ],
)
def test_sacral_zones_lie_so_far_from_the_midline(name: str, low: float, high: float) -> None:
    """Half of the greatest width is 55 mm."""
    bone = bone_points(sacrum_mask(), MM)

    (cut,) = drawn("sacrum", bone)[name].cuts

    assert low * 55.0 - 1.0 <= abs(cut.site_mm[2] - 70.0) <= high * 55.0 + 1.0
    assert cut.normal is not None
    assert abs(cut.normal[2]) == 1.0


def test_a_u_fracture_has_a_cut_on_either_side_and_one_across() -> None:
    bone = bone_points(sacrum_mask(), MM)

    first, second, across = drawn("sacrum", bone)["sacrum U or H"].cuts

    assert (first.site_mm[2] - 70.0) * (second.site_mm[2] - 70.0) < 0
    assert across.normal is not None
    assert across.normal.tolist() == [1.0, 0.0, 0.0]


def test_left_and_right_break_alike() -> None:
    left = bone_points(femur_mask(), MM)
    right = bone_points(femur_mask(is_left=False), MM)
    for seed in range(10):
        one = draw_pattern("left_femur", left, np.random.default_rng(seed))
        other = draw_pattern("right_femur", right, np.random.default_rng(seed))
        assert one is not None
        assert other is not None
        assert one.name == other.name
        if one.name == "femoral neck":
            mirrored = other.cuts[0].site_mm * [1, 1, -1] + [0, 0, 114]
            assert np.linalg.norm(one.cuts[0].site_mm - mirrored) < 3.0


def test_the_same_seed_breaks_a_bone_alike() -> None:
    bone = bone_points(sacrum_mask(), MM)
    first, again = (break_bone(bone, ALWAYS, np.random.default_rng(3), "sacrum") for _ in range(2))

    assert first.name == again.name != ""
    assert np.array_equal(first.labels, again.labels)


def test_bones_of_other_kinds_and_stumps_have_no_pattern() -> None:
    rng = np.random.default_rng(0)

    assert draw_pattern("left_tibia", bone_points(femur_mask(), MM), rng) is None
    assert draw_pattern("sacrum", bone_points(np.ones((9, 9, 9), bool), MM), rng) is None


def test_every_hip_pattern_can_be_drawn_on_a_phantom() -> None:
    from fracseg_training.phantoms.pelvis import pelvis_phantom

    phantom = pelvis_phantom(np.random.default_rng(1), (2.0, 2.0, 2.0))
    bone = bone_points(phantom.bones == 2, phantom.spacing_mm)

    found = drawn("left_hip", bone, 120)

    assert {"iliac wing", "pubic rami", "acetabulum both columns", "acetabulum T"} <= set(found)
    broken = [
        break_bone(bone, ALWAYS, np.random.default_rng(seed), "left_hip").name for seed in range(10)
    ]
    assert sum(name != "" for name in broken) >= 8
