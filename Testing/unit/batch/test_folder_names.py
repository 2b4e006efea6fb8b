"""Folder names: safe everywhere, and each there once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.batch.case_list import folder_names


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("pelvis 7", "pelvis_7"),
        ("Müller", "Müller"),
        ("../../etc/passwd", "etc_passwd"),
        ("a/b\\c:d", "a_b_c_d"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("=1+2", "1_2"),
        ("end. ", "end"),
        ("CON", "case-CON"),
        ("aux.txt", "case-aux.txt"),
        ("\u202egnp.exe", "gnp.exe"),
        ("...", "case-001"),
        ("x" * 300, "x" * 80),
        ("ä" * 60, "ä" * 40),
    ],
)
def test_a_name_is_kept_as_far_as_every_file_system_allows(wish: str, name: str) -> None:
    assert folder_names([wish]) == (name,)


def test_equal_names_get_a_number_also_where_only_case_differs() -> None:
    assert folder_names(["a", "A", "a/", "a-2"]) == ("a", "A-2", "a-3", "a-2-2")


def test_a_given_name_does_not_take_the_place_of_a_later_default() -> None:
    assert folder_names(["case-002", ""]) == ("case-002", "case-002-2")


def test_no_case_is_called_like_the_summary() -> None:
    assert folder_names(["Summary.csv", "summary.json"]) == ("Summary.csv-2", "summary.json-2")


def test_the_thousandth_case_does_not_rename_the_first() -> None:
    names = folder_names([""] * 1000)

    assert (names[0], names[-1]) == ("case-001", "case-1000")


@given(st.lists(st.text(max_size=120), min_size=1, max_size=12))
def test_any_texts_become_different_names_of_one_folder_level(wishes: list[str]) -> None:
    names = folder_names(wishes)

    assert len({name.casefold() for name in names}) == len(wishes)
    for name in names:
        assert name
        assert not set(name) & set('/\\:*?"<>|\0 =@+')
        assert name[0] not in ".-"
        assert len(name.encode()) <= 100
