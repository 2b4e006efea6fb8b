"""A result folder with more or fewer fragments, through the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FractureSegmentationLib.cli.main import run as run_command
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.pipeline.segment import segment_case
from Testing.unit.test_pipeline import (  # noqa: F401  fixtures, one of them automatic
    _readers_for_networks,
    a_request,
    broken_hip,
)


@pytest.fixture
def result(broken_hip: Any, tmp_path: Path) -> Path:  # noqa: F811
    """A hip in two fragments, 51 and 52, of which the tree says that they are two."""
    segment_case(a_request(broken_hip, tmp_path))
    return tmp_path / "out"


@dataclass(frozen=True)
class Said:
    status: int
    output: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs the command; its exit status and all that it printed."""

    def call(*arguments: str) -> Said:
        status = run_command(["regroup", *arguments])
        printed = capsys.readouterr()
        return Said(status, printed.out + printed.err)

    return call


def report_of(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def test_the_report_keeps_the_tree_and_the_folder_the_regions(result: Path) -> None:
    (bone,) = report_of(result)["bones"]
    regions = read_labels(result / "regions.nrrd")

    assert bone["merge_tree"]["regions"] == regions.voxels.max() == 2
    ((a, b, probability),) = bone["merge_tree"]["merges"]
    assert (a, b) == (1, 2)
    assert probability < 0.5
    assert (regions.voxels > 0).sum() == (read_labels(result / "bones.nii.gz").voxels > 0).sum()


def test_fewer_and_more_lead_there_and_back(result: Path, run: Callable[..., Said]) -> None:
    before = read_labels(result / "fragments.nii.gz").voxels
    old = report_of(result)

    fewer = run(str(result), "--bone", "left_hip", "--fewer")

    assert fewer.status == 0, fewer.output
    assert "Left hip bone: 2 became 1 fragment" in fewer.output
    assert set(np.unique(read_labels(result / "fragments.nii.gz").voxels)) == {0, 51}
    (bone,) = report_of(result)["bones"]
    assert bone["finding"] == "one piece found"
    assert [fragment["label"] for fragment in bone["fragments"]] == [51]
    assert bone["fragments"][0]["confidence"] < 1.0
    assert sorted(path.name for path in (result / "meshes").iterdir()) == ["left_hip_1.stl"]
    assert not (result / "preview.png").exists()

    more = run(str(result), "--more")

    assert more.status == 0, more.output
    assert np.array_equal(read_labels(result / "fragments.nii.gz").voxels, before)
    again = report_of(result)["bones"][0]
    for fragment, one in zip(again["fragments"], old["bones"][0]["fragments"], strict=True):
        assert fragment["label"] == one["label"]
        assert fragment["volume_mm3"] == one["volume_mm3"]
        assert fragment["confidence"] == pytest.approx(one["confidence"], abs=0.1)
        (touching,), (other,) = fragment["neighbours"], one["neighbours"]
        assert touching["label"] == other["label"]
        assert touching["area_mm2"] == pytest.approx(other["area_mm2"], rel=0.25)


def test_the_nearest_number_of_fragments_is_taken(result: Path, run: Callable[..., Said]) -> None:
    assert "stays 2 fragments" in run(str(result), "--fragments", "9").output
    assert "2 became 1 fragment" in run(str(result), "--fragments", "1").output


def test_a_level_twice_changes_nothing_the_second_time(
    result: Path, run: Callable[..., Said]
) -> None:
    assert "2 became 1 fragment" in run(str(result), "--level", "0").output
    written = (result / "report.json").stat().st_mtime_ns

    assert "stays 1 fragment" in run(str(result), "--level", "0").output
    assert (result / "report.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("options", [[], ["--more", "--fewer"], ["--level", "2"]])
def test_one_wish_is_needed(result: Path, run: Callable[..., Said], options: list[str]) -> None:
    assert run(str(result), *options).status == 2


def test_a_result_of_an_older_version_says_why_it_cannot(
    result: Path, run: Callable[..., Said]
) -> None:
    (result / "regions.nrrd").unlink()

    said = run(str(result), "--fewer")

    assert said.status != 0
    assert "kept no merge trees" in said.output
    assert set(np.unique(read_labels(result / "fragments.nii.gz").voxels)) == {0, 51, 52}


def test_a_bone_that_is_not_there_is_named(result: Path, run: Callable[..., Said]) -> None:
    said = run(str(result), "--bone", "sacrum", "--fewer")

    assert "no merge tree of the sacrum" in said.output


@pytest.mark.parametrize(
    "damage",
    [
        {"offset": -1},
        {"merges": [[1, 9, 0.5]]},
        {"merges": [[1, 2]]},
        {"regions": 1},
        {"level": 7},
    ],
)
def test_a_damaged_tree_is_refused_and_nothing_is_lost(
    result: Path, run: Callable[..., Said], damage: dict[str, Any]
) -> None:
    report = report_of(result)
    report["bones"][0]["merge_tree"].update(damage)
    (result / "report.json").write_text(json.dumps(report), encoding="utf-8")

    said = run(str(result), "--fewer")

    assert said.status != 0
    assert "Segment the CT again" in said.output
    assert set(np.unique(read_labels(result / "fragments.nii.gz").voxels)) == {0, 51, 52}


def test_regions_of_another_ct_are_refused(result: Path, run: Callable[..., Said]) -> None:
    regions = read_labels(result / "regions.nrrd")
    moved = regions.geometry.to_lps(np.array([[0.0, 0.3, 0.0]]))[0]
    x, y, z = (float(v) for v in moved)
    geometry = replace(regions.geometry, origin_lps_mm=(x, y, z))
    write_volume(result / "regions.nrrd", replace(regions, geometry=geometry))

    said = run(str(result), "--fewer")

    assert "grid" in said.output
