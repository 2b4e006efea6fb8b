"""Plan files: what is read and written, and what is refused with the fragment named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FractureSegmentationLib.errors import EnvironmentProblemError, InputError, OutputExistsError
from FractureSegmentationLib.planning.plan_file import read_plan, write_plan
from FractureSegmentationLib.planning.pose import turn_about
from Testing.unit.planning.poses import shift_by

IDENTITY = np.eye(4).tolist()


def a_plan(path: Path, pose: Any = IDENTITY, **changes: Any) -> Path:
    entries: dict[str, Any] = {"schema": "fracseg-plan/1", "space": "LPS", "unit": "mm"}
    entries = {**entries, "poses": {"left_hip_2": pose}, **changes}
    file = path / "plan.json"
    file.write_text(json.dumps({key: value for key, value in entries.items() if value is not None}))
    return file


def changed(row: int, column: int, value: Any) -> list[list[Any]]:
    matrix = [list(one) for one in IDENTITY]
    matrix[row][column] = value
    return matrix


def test_a_pose_is_read_as_written(tmp_path: Path) -> None:
    c, s = math.cos(0.3), math.sin(0.3)
    pose = [[c, -s, 0, 12.5], [s, c, 0, -3], [0, 0, 1, 0.25], [0, 0, 0, 1]]

    (found,) = read_plan(a_plan(tmp_path, pose)).values()

    np.testing.assert_array_equal(found, pose)


def test_a_rotation_written_with_five_digits_is_taken(tmp_path: Path) -> None:
    pose = [[0.95534, -0.29552, 0, 0], [0.29552, 0.95534, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]

    assert "left_hip_2" in read_plan(a_plan(tmp_path, pose))


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        (changed(0, 0, 1.01), "scales or shears"),
        (changed(0, 1, 0.01), "scales or shears"),
        (changed(2, 2, -1), "mirrors"),
        (changed(3, 0, 1), "row 0 0 0 1"),
        (changed(3, 3, 0.001), "row 0 0 0 1"),
        (changed(0, 3, math.nan), "not finite"),
        (changed(0, 3, math.inf), "not finite"),
        (changed(0, 3, 10**400), "too large"),
        (changed(0, 3, "12"), "4 x 4"),
        (changed(0, 3, True), "4 x 4"),
        (changed(0, 3, None), "4 x 4"),
        (IDENTITY[:3], "4 x 4"),
        ([row[:3] for row in IDENTITY], "4 x 4"),
        ({"rotation": 3}, "4 x 4"),
    ],
)
def test_what_is_no_rigid_motion_is_refused_by_the_name_of_the_fragment(
    tmp_path: Path, pose: Any, words: str
) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        read_plan(a_plan(tmp_path, pose))

    assert "left_hip_2" in refusal.value.message
    assert "LPS and mm" in refusal.value.remedy


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": None}, "does not say that it is a plan"),
        ({"schema": "fracseg-report/1"}, "does not say that it is a plan"),
        ({"schema": "fracseg-plan/2"}, "another version"),
        ({"space": "RAS"}, '"space" is "LPS"'),
        ({"space": None}, '"space" is "LPS"'),
        ({"unit": "m"}, '"unit" is "mm"'),
        ({"poses": None}, 'no "poses"'),
        ({"poses": [IDENTITY]}, 'no "poses"'),
    ],
)
def test_a_plan_says_what_it_is_and_where_it_is_measured(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read_plan(a_plan(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, '"\udcff"', "1" * 20_000_000])
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(InputError, match="no readable JSON object"):
        read_plan(path)


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was not found"):
        read_plan(tmp_path / "plan.json")
    with pytest.raises(InputError, match="could not be read"):
        read_plan(tmp_path)


def test_two_poses_of_one_fragment_are_refused(tmp_path: Path) -> None:
    """JSON allows them, and Python would take the second without a word."""
    path = a_plan(tmp_path)
    text = path.read_text()
    path.write_text(text.replace('"poses": {', f'"poses": {{"left_hip_2": {IDENTITY}, '))

    with pytest.raises(InputError, match="names something twice"):
        read_plan(path)


def test_a_plan_is_written_by_rows_and_read_back_bit_by_bit(tmp_path: Path) -> None:
    poses = {
        "left_hip_2": turn_about((1.0, 2.0, 3.0), 17.3, (4.0, 5.0, 6.0)),
        'chip "ä"': shift_by((0.1, -2.0, 1e-7)),
    }

    write_plan(tmp_path / "plan.json", poses)

    found = read_plan(tmp_path / "plan.json")
    assert list(found) == list(poses)
    for name, pose in poses.items():
        np.testing.assert_array_equal(found[name], pose)
    entries = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert (entries["schema"], entries["space"], entries["unit"]) == ("fracseg-plan/1", "LPS", "mm")
    assert entries["poses"]['chip "ä"'][0] == [1.0, 0.0, 0.0, 0.1]


def test_a_plan_that_moves_nothing_is_a_plan(tmp_path: Path) -> None:
    write_plan(tmp_path / "plan.json", {})

    assert read_plan(tmp_path / "plan.json") == {}


def test_a_plan_is_replaced_only_when_asked_and_only_by_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, {"a": np.eye(4)})
    with pytest.raises(OutputExistsError, match="exists already"):
        write_plan(path, {"b": np.eye(4)})
    write_plan(path, {"b": np.eye(4)}, overwrite=True)
    assert list(read_plan(path)) == ["b"]

    letter = tmp_path / "letter.json"
    letter.write_text('{"schema": "letter/1"}')
    (tmp_path / "link.json").symlink_to(path)
    for foreign in (letter, tmp_path / "link.json", tmp_path):
        with pytest.raises(OutputExistsError, match="is no plan"):
            write_plan(foreign, {"c": np.eye(4)}, overwrite=True)
    assert letter.read_text() == '{"schema": "letter/1"}'
    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == ["letter.json", "link.json", "plan.json"]


def test_a_plan_that_fails_half_way_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, {"a": np.eye(4)})

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EnvironmentProblemError, match="could not be written"):
        write_plan(path, {"b": np.eye(4)}, overwrite=True)

    assert list(read_plan(path)) == ["a"]
    assert [one.name for one in tmp_path.iterdir()] == ["plan.json"]


def test_a_plan_in_a_folder_that_is_not_there_is_the_users_affair(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblemError, match="could not be written"):
        write_plan(tmp_path / "nowhere" / "plan.json", {})


def test_a_mirrored_pose_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mirrors"):
        write_plan(tmp_path / "plan.json", {"a": np.diag([-1.0, 1.0, 1.0, 1.0])})

    assert list(tmp_path.iterdir()) == []
