"""The list of cases: what is understood, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.batch.case_list import ListedCase, folder_names, read_case_list
from FractureSegmentationLib.errors import InputError


def read(tmp_path: Path, text: str | bytes) -> tuple[ListedCase, ...]:
    path = tmp_path / "cases.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_case_list(path)


def test_a_plain_text_holds_one_ct_per_line_relative_to_the_list(tmp_path: Path) -> None:
    cases = read(tmp_path, "# pelves\nDoe, Jane.nii.gz\n\n/data/two\n")

    assert [case.ct for case in cases] == [tmp_path / "Doe, Jane.nii.gz", Path("/data/two")]
    assert [case.line for case in cases] == [2, 4]
    assert [case.name for case in cases] == ["case-001", "case-002"]
    assert cases[0].series is None
    assert cases[0].bones is None


def test_names_never_come_from_the_path_of_the_ct(tmp_path: Path) -> None:
    (case,) = read(tmp_path, "ct\nDOE_JANE_19700101.nii.gz\n")

    assert case.name == "case-001"


def test_a_table_names_its_columns_in_any_order(tmp_path: Path) -> None:
    cases = read(
        tmp_path, 'name,bones,ct,series\none,masks/1.nii.gz,"a,b.nii",\n,threshold,dicom,2\n'
    )

    assert cases[0] == ListedCase(
        name="one", line=2, ct=tmp_path / "a,b.nii", bones=tmp_path / "masks" / "1.nii.gz"
    )
    assert cases[1] == ListedCase(
        name="case-002", line=3, ct=tmp_path / "dicom", series="2", bones="threshold"
    )


@pytest.mark.parametrize("separator", [";", "\t"])
def test_what_spreadsheets_write_is_understood(tmp_path: Path, separator: str) -> None:
    text = f"CT{separator}Name\r\n# left out\r\na.nii{separator}ä\r\n\r\n"

    (case,) = read(tmp_path, b"\xef\xbb\xbf" + text.encode())

    assert (case.name, case.line, case.ct.name) == ("ä", 3, "a.nii")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no case"),
        ("# nothing\n\n", "names no case"),
        ("ct,name\n", "names no case"),
        ("ct,patient\na,b\n", "there is no other column"),
        ("name,series\na,b\n", "Name ct once"),
        ("ct,ct\na,b\n", "Name ct once"),
        ("ct,name\na,b\n,c\n", "Line 3 of the list names no CT"),
        ("ct,name\nDoe, Jane,x\n", "Line 2 of the list has more values"),
        (b"\xff\xfe\x00", "is not a text"),
        (b"PK\x03\x04\x00\x00", "not a text"),
    ],
)
def test_what_is_no_list_is_refused_with_a_remedy_and_without_its_content(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)

    assert words in str(caught.value)
    assert caught.value.remedy
    assert "Doe" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="could not be read"):
        read_case_list(tmp_path / "nowhere.csv")


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
