"""The catalogue of bones is data that other data relies on."""

from __future__ import annotations

import pytest

from FractureSegmentationLib.anatomy.catalogue import (
    BONES,
    Bone,
    bone_named,
    bone_of_mask_value,
)

PUBLISHED_MASK_VALUES = {
    "sacrum": 1,
    "left_hip": 2,
    "right_hip": 3,
    "left_femur": 4,
    "right_femur": 5,
    "left_tibia": 6,
    "right_tibia": 7,
    "left_fibula": 8,
    "right_fibula": 9,
    "left_patella": 10,
    "right_patella": 11,
}


def test_mask_values_are_those_published() -> None:
    """Files on other people's disks hold these numbers: an entry may be added, never changed."""
    assert {bone.slug: bone.mask_value for bone in BONES} == PUBLISHED_MASK_VALUES


@pytest.mark.parametrize("bone", BONES, ids=lambda bone: bone.slug)
def test_slug_name_and_side_agree(bone: Bone) -> None:
    prefix = f"{bone.side}_" if bone.side else ""

    assert bone.slug.startswith(prefix)
    assert bone.side in ("left", "right", "")
    assert ("left" in bone.slug) == (bone.side == "left")
    assert ("right" in bone.slug) == (bone.side == "right")
    assert bone.name.lower().split()[0] == (bone.side or bone.slug)


def test_every_paired_bone_has_its_other_side_under_the_same_code() -> None:
    for bone in BONES:
        if bone.side:
            other = "right" if bone.side == "left" else "left"
            twin = bone_named(bone.slug.replace(bone.side, other))
            assert twin.region == bone.region


def test_colour_families_differ() -> None:
    hues = sorted(bone.hue for bone in BONES)
    gaps = [after - before for before, after in zip(hues, [*hues[1:], hues[0] + 1.0], strict=True)]

    assert all(0.0 <= hue < 1.0 for hue in hues)
    assert min(gaps) > 0.04


def test_bones_are_found_by_slug_and_by_mask_value() -> None:
    for bone in BONES:
        assert bone_named(bone.slug) is bone
        assert bone_of_mask_value(bone.mask_value) is bone


def test_an_unknown_slug_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'skull'; known: sacrum, left_hip"):
        bone_named("skull")


@pytest.mark.parametrize("value", [0, -1, 12])
def test_an_unknown_mask_value_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 11, got {value}"):
        bone_of_mask_value(value)
