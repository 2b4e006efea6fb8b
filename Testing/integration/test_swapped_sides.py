"""Sides that the anatomy contradicts, through the command line: a warning, in report and events."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.geometry import Direction, Geometry
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.volume import LabelVolume, Volume

SACRUM, LEFT_HIP, RIGHT_HIP = 1, 2, 3
SWAPPED = np.array([0, 1, 3, 2], np.uint8)
SUPINE: Direction = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
PRONE: Direction = ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0))
FEET_FIRST: Direction = ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))
LEANING: Direction = ((0.0, 0.28, 0.96), (0.0, 0.96, -0.28), (1.0, 0.0, 0.0))


def a_small_pelvis() -> np.ndarray:
    """(20, 20, 36) of a third of the size of a body, k up, j back, i left: a sacrum, two hips."""
    labels = np.zeros((20, 20, 36), np.uint8)
    labels[9:17, 12:18, 15:21] = SACRUM
    labels[3:15, 4:12, 24:32] = LEFT_HIP
    labels[3:15, 4:12, 4:12] = RIGHT_HIP
    return labels


def warnings_of(
    tmp_path: Path,
    labels: np.ndarray,
    direction: Direction,
    capsys: pytest.CaptureFixture[str],
    spacing_mm: tuple[float, float, float] = (1.4, 1.0, 1.2),
) -> list[str]:
    """What `fracseg segment` says of sides, when the sacrum alone is asked for."""
    geometry = Geometry(
        shape=labels.shape,  # type: ignore[arg-type]
        spacing_mm=spacing_mm,
        direction=direction,
        origin_lps_mm=(100.0, -50.0, 20.0),
    )
    hu = np.where(labels > 0, 500, 40).astype(np.int16)
    write_volume(tmp_path / "ct.nii.gz", Volume(voxels=hu, geometry=geometry))
    write_volume(tmp_path / "bones.nii.gz", LabelVolume(voxels=labels, geometry=geometry))
    call = ["segment", str(tmp_path / "ct.nii.gz"), str(tmp_path / "out")]
    call += ["--bones", str(tmp_path / "bones.nii.gz"), "--only", "sacrum", "--device", "cpu"]

    assert run([*call, "--no-meshes", "--progress", "json"]) == 0

    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line]
    told = [one["message"] for one in events if one.get("event") == "warning"]
    assert told == report["warnings"]
    return [text for text in told if "Left and right" in text]


@pytest.fixture(autouse=True)
def _tiny_model(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))


@pytest.mark.parametrize(
    ("direction", "reversed_axes"),
    [(SUPINE, ()), (PRONE, (1, 2)), (FEET_FIRST, (0, 2)), (LEANING, ())],
)
def test_a_right_header_of_any_position_is_not_warned_of(
    tmp_path: Path,
    direction: Direction,
    reversed_axes: tuple[int, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = np.flip(a_small_pelvis(), reversed_axes)

    assert warnings_of(tmp_path, np.ascontiguousarray(labels), direction, capsys) == []


@pytest.mark.parametrize("direction", [SUPINE, LEANING])
@pytest.mark.parametrize("is_named_by_place", [True, False])
def test_rows_and_columns_reversed_against_the_header_are_warned_of(
    tmp_path: Path,
    direction: Direction,
    *,
    is_named_by_place: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = np.ascontiguousarray(a_small_pelvis()[:, ::-1, ::-1])
    if is_named_by_place:
        labels = SWAPPED[labels]

    told = warnings_of(tmp_path, labels, direction, capsys)

    assert told[0].startswith("Left and right may be swapped: the sacrum lies in front of the hip")


def test_rows_and_columns_exchanged_against_the_header_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.ascontiguousarray(np.rot90(a_small_pelvis(), axes=(1, 2)))

    told = warnings_of(tmp_path, labels, SUPINE, capsys)

    assert "the hip bones do not lie beside each other" in told[0]


@pytest.mark.parametrize("direction", [SUPINE, LEANING])
def test_a_mask_whose_left_bone_lies_on_the_right_is_warned_of(
    tmp_path: Path, direction: Direction, capsys: pytest.CaptureFixture[str]
) -> None:
    told = warnings_of(tmp_path, SWAPPED[a_small_pelvis()], direction, capsys)

    assert len(told) == 1
    assert "the left hip bone lies to the right of the right hip bone" in told[0]


def test_half_a_pelvis_is_not_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = a_small_pelvis()
    labels[labels == LEFT_HIP] = 0

    assert warnings_of(tmp_path, labels, SUPINE, capsys) == []
