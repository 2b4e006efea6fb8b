"""(bone, index) and label values, in our numbering and in PENGWIN's."""

from __future__ import annotations

import pytest

from FractureSegmentationLib.anatomy.catalogue import BONES, bone_named
from FractureSegmentationLib.anatomy.numbering import (
    FRACSEG,
    NUMBERINGS,
    PENGWIN_2024,
    PENGWIN_2026,
    Numbering,
)


@pytest.mark.parametrize(
    ("slug", "first", "last"),
    [
        ("sacrum", 1, 50),
        ("left_hip", 51, 100),
        ("right_hip", 101, 150),
        ("left_femur", 151, 200),
        ("right_femur", 201, 250),
        ("left_tibia", 251, 300),
        ("right_tibia", 301, 350),
        ("left_fibula", 351, 400),
        ("right_fibula", 401, 450),
        ("left_patella", 451, 500),
        ("right_patella", 501, 550),
    ],
)
def test_our_labels_are_those_published(slug: str, first: int, last: int) -> None:
    bone = bone_named(slug)

    assert FRACSEG.label_of(bone, 1) == first
    assert FRACSEG.label_of(bone, 50) == last


@pytest.mark.parametrize(
    ("numbering", "slug", "index", "label"),
    [
        (PENGWIN_2024, "sacrum", 10, 10),
        (PENGWIN_2024, "left_hip", 1, 11),
        (PENGWIN_2024, "right_hip", 10, 30),
        (PENGWIN_2026, "sacrum", 50, 50),
        (PENGWIN_2026, "left_hip", 1, 51),
        (PENGWIN_2026, "right_hip", 50, 150),
        (PENGWIN_2026, "left_femur", 25, 175),
        (PENGWIN_2026, "right_femur", 25, 175),
    ],
)
def test_pengwin_labels_are_those_of_the_challenge(
    numbering: Numbering, slug: str, index: int, label: int
) -> None:
    assert numbering.label_of(bone_named(slug), index) == label


@pytest.mark.parametrize("numbering", [FRACSEG, PENGWIN_2024], ids=lambda n: n.name)
def test_every_label_leads_back_to_its_fragment_and_no_two_share_one(numbering: Numbering) -> None:
    listed = [bone_named(slug) for slug, _ in numbering.first_labels]
    fragments = [(bone, index) for bone in listed for index in range(1, numbering.capacity + 1)]
    labels = [numbering.label_of(bone, index) for bone, index in fragments]

    assert len(set(labels)) == len(fragments)
    assert [numbering.fragment_of(label) for label in labels] == fragments


def test_a_femur_label_of_2026_is_read_as_the_first_side_listed() -> None:
    assert PENGWIN_2026.fragment_of(175) == (bone_named("left_femur"), 25)


@pytest.mark.parametrize(
    ("numbering", "slug", "index", "words"),
    [
        (PENGWIN_2024, "left_hip", 11, "pengwin2024 holds 10 fragments of the left hip bone, not"),
        (PENGWIN_2024, "left_femur", 1, "pengwin2024 has no labels for the left femur"),
        (PENGWIN_2026, "right_tibia", 1, "pengwin2026 has no labels for the right tibia"),
        (FRACSEG, "sacrum", 51, "fracseg holds 50 fragments of the sacrum, not 51"),
        (FRACSEG, "sacrum", 0, "not 0"),
    ],
)
def test_what_a_numbering_cannot_hold_is_refused_naming_the_bone(
    numbering: Numbering, slug: str, index: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        numbering.label_of(bone_named(slug), index)


@pytest.mark.parametrize(
    ("numbering", "label"),
    [(FRACSEG, 0), (FRACSEG, 551), (PENGWIN_2024, 31), (PENGWIN_2026, 201), (FRACSEG, -3)],
)
def test_a_label_of_no_bone_is_refused(numbering: Numbering, label: int) -> None:
    with pytest.raises(ValueError, match=f"label {label} belongs to no bone"):
        numbering.fragment_of(label)


def test_our_numbering_holds_every_bone_of_the_catalogue_in_uint16() -> None:
    assert max(FRACSEG.label_of(bone, FRACSEG.capacity) for bone in BONES) < 2**16


def test_numberings_are_found_by_the_word_a_user_types() -> None:
    assert NUMBERINGS == {
        "fracseg": FRACSEG,
        "pengwin2024": PENGWIN_2024,
        "pengwin2026": PENGWIN_2026,
    }
