"""File and object names: whatever a segment is called, the file stays where it belongs."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.results.naming import file_stems, safe_stem


def a_segment(name: str, segment_id: str = "x", **tags: str) -> Segment:
    return Segment(
        id=segment_id,
        name=name,
        label_value=1,
        color=(0.0, 0.0, 0.0),
        tags={key.replace("_", "."): value for key, value in tags.items()},
    )


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("ribs", "ribs"),
        ("Left hip bone – fragment 1 (main)", "Left_hip_bone_fragment_1_main"),
        ("../../etc/passwd", "etc_passwd"),
        ("..", "segment"),
        ("/", "segment"),
        ("C:\\Windows\\x", "C_Windows_x"),
        (".hidden", "hidden"),
        ("a.b-c_d", "a.b-c_d"),
        ("a\nb\tc\0d", "a_b_c_d"),
        ("Größe 骨", "Größe_骨"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("end. ", "end"),
        ("x" * 300, "x" * 100),
        ("骨" * 80, "骨" * 33),
        ("", "segment"),
    ],
)
def test_a_name_becomes_a_file_name(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


@given(st.text())
def test_no_name_leaves_its_folder(name: str) -> None:
    file = f"{safe_stem(name)}.stl"

    for path in (PurePosixPath(file), PureWindowsPath(file)):
        assert path.parts == (file,)
        assert path.drive == ""
    assert not file.startswith(".")
    assert file.isprintable()
    assert len(file.encode()) <= 110


def test_a_fragment_of_ours_keeps_its_id_whatever_it_was_renamed_to() -> None:
    segment = a_segment("posterior wall", "left_hip_2", FracSeg_Bone="left_hip")

    assert file_stems([segment]) == {"left_hip_2": "left_hip_2"}


def test_an_id_is_no_file_name_only_because_a_tag_says_so() -> None:
    segment = a_segment("chip", "../../left_hip_2", FracSeg_Bone="left_hip")

    assert file_stems([segment]) == {"../../left_hip_2": "chip"}


def test_equal_names_are_counted_and_capitals_do_not_tell_them_apart() -> None:
    segments = [a_segment(name, f"id{n}") for n, name in enumerate(("Rib", "rib", "rib_2", "RIB"))]

    assert list(file_stems(segments).values()) == ["Rib", "rib_2", "rib_2_2", "RIB_3"]
