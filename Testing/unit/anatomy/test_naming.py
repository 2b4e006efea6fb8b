from __future__ import annotations

import itertools

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.catalogue import BONES, Rgb, bone_named
from FractureSegmentationLib.anatomy.naming import (
    Segment,
    fragment_color,
    fragment_segment,
    segment_name,
    terminology_tag,
)
from FractureSegmentationLib.anatomy.numbering import PENGWIN_2024


def _lab(color: Rgb) -> np.ndarray:
    """CIELAB (D65) of an sRGB colour: distances of 2 are just visible side by side."""
    rgb = np.asarray(color)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ linear / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_first_fragment_is_called_main() -> None:
    bone = bone_named("left_hip")

    assert segment_name(bone, 1) == "Left hip bone – fragment 1 (main)"
    assert segment_name(bone, 2) == "Left hip bone – fragment 2"


def test_a_bone_in_one_piece_is_not_called_a_fragment() -> None:
    bone = bone_named("sacrum")

    assert segment_name(bone, 1, is_only_piece=True) == "Sacrum – one piece"
    assert "Fracture^" not in terminology_tag(bone, is_only_piece=True).replace("~", "^")


def test_terminology_names_the_bone_as_region_and_its_side() -> None:
    parts = terminology_tag(bone_named("right_femur")).split("~")

    assert parts[1:4] == [
        "SCT^49755003^Morphologically Abnormal Structure",
        "SCT^72704001^Fracture",
        "99FRACSEG^FRAGMENT^Fragment",
    ]
    assert parts[5:] == ["SCT^71341001^Femur", "SCT^24028007^Right"]


@pytest.mark.parametrize("is_only_piece", [False, True])
@pytest.mark.parametrize("slug", [bone.slug for bone in BONES])
def test_terminology_always_has_seven_parts_and_no_separator_of_tags(
    slug: str, is_only_piece: bool
) -> None:
    tag = terminology_tag(bone_named(slug), is_only_piece=is_only_piece)

    assert len(tag.split("~")) == 7
    assert "|" not in tag


def test_an_unpaired_bone_keeps_an_empty_side() -> None:
    assert terminology_tag(bone_named("sacrum")).endswith("SCT^54735007^Sacrum~^^")


def test_the_main_fragment_has_the_hue_of_its_bone() -> None:
    """Hue 0.57, saturation 0.60, value 0.88: blue = 0.88, red = 0.88 * (1 - 0.60)."""
    red, green, blue = fragment_color(bone_named("left_hip"), 1)

    assert blue == pytest.approx(0.88)
    assert red == pytest.approx(0.352)
    assert red < green < blue


@pytest.mark.parametrize("slug", [bone.slug for bone in BONES])
def test_the_first_twelve_fragments_of_a_bone_can_be_told_apart(slug: str) -> None:
    labs = [_lab(fragment_color(bone_named(slug), index)) for index in range(1, 13)]

    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(labs, 2)) > 12.0


def test_main_fragments_of_pelvic_bones_and_femora_differ_clearly() -> None:
    slugs = ("sacrum", "left_hip", "right_hip", "left_femur", "right_femur")
    labs = [_lab(fragment_color(bone_named(slug), 1)) for slug in slugs]

    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(labs, 2)) > 25.0


def test_no_two_of_fifty_fragments_share_a_colour() -> None:
    colors = {fragment_color(bone_named("sacrum"), index) for index in range(1, 51)}

    assert len(colors) == 50
    assert all(0.0 <= channel <= 1.0 for color in colors for channel in color)


def test_a_segment_carries_everything_that_slicer_is_told() -> None:
    segment = fragment_segment(bone_named("right_hip"), 3, confidence=0.8768)

    assert segment.id == "right_hip_3"
    assert segment.label_value == 103
    assert segment.tags["FracSeg.Bone"] == "right_hip"
    assert segment.tags["FracSeg.Index"] == "3"
    assert segment.tags["FracSeg.Confidence"] == "0.877"
    assert segment.tags["DICOM.SegmentAlgorithmType"] == "AUTOMATIC"
    assert segment.tags["Segmentation.Status"] == "notstarted"


def test_a_segment_without_confidence_does_not_invent_one() -> None:
    assert "FracSeg.Confidence" not in fragment_segment(bone_named("sacrum"), 1).tags


def test_a_segment_follows_the_numbering_asked_for() -> None:
    segment = fragment_segment(bone_named("left_hip"), 2, numbering=PENGWIN_2024)

    assert segment.label_value == 12


def test_tags_of_a_segment_cannot_be_changed_from_outside() -> None:
    tags = {"A": "1"}
    segment = Segment(id="a", name="A", label_value=1, color=(0.0, 0.0, 0.0), tags=tags)

    tags["A"] = "2"

    assert segment.tags["A"] == "1"
    with pytest.raises(TypeError):
        segment.tags["A"] = "3"  # type: ignore[index]


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"name": ""},
        {"label_value": 0},
        {"color": (0.0, 0.0, 1.5)},
    ],
)
def test_an_impossible_segment_is_refused(change: dict[str, object]) -> None:
    fields: dict[str, object] = {"id": "a", "name": "A", "label_value": 1, "color": (0.0, 0.0, 0.0)}

    with pytest.raises(ValueError, match=r"segment|label_value|color"):
        Segment(**{**fields, **change})  # type: ignore[arg-type]


def test_fragment_zero_does_not_exist() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        segment_name(bone_named("sacrum"), 0)
    with pytest.raises(ValueError, match="counted from 1"):
        fragment_color(bone_named("sacrum"), 0)


def test_confidence_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence"):
        fragment_segment(bone_named("sacrum"), 1, confidence=1.2)
