"""`fracseg evaluate`, from files to table and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner, Result

from FractureSegmentationLib.cli.evaluate import evaluate
from FractureSegmentationLib.errors import EnvironmentProblemError, FracSegError, InputError

FLAGS = ("--pred-numbering", "fracseg", "--gt-numbering", "pengwin2024")


def write_labels(path: Path, *pieces: tuple[int, int], origin: float = 0.0) -> Path:
    """A 12 x 10 x n grid of 1 mm: slabs of (label, columns); one column is 120 mm³."""
    row = np.repeat([p[0] for p in pieces], [p[1] for p in pieces]).astype(np.uint16)
    image = sitk.GetImageFromArray(np.tile(row, (12, 10, 1)))
    image.SetOrigin((origin, 0.0, 0.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def write_result(folder: Path, numbering: str, *pieces: tuple[int, int]) -> Path:
    write_labels(folder / "fragments.nii.gz", *pieces)
    write_labels(folder / "bones.nii.gz", (1, 20))
    report = {"schema": "fracseg-report/1", "numbering": numbering}
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, [str(a) for a in arguments])


def figures(tmp_path: Path, *arguments: object) -> dict:
    result = run(*arguments, "--json", tmp_path / "out.json")
    assert result.exit_code == 0, result.exception
    return json.loads((tmp_path / "out.json").read_text())


def refusal(*arguments: object) -> FracSegError:
    error = run(*arguments).exception
    assert isinstance(error, InputError), error
    return error


def test_two_files_are_scored_with_the_numberings_that_were_named(tmp_path: Path) -> None:
    """Sacrum 1 right; of the left hip 11 is found as 51 and 12 is missing: (1 + 1/2) / 2."""
    truth = write_labels(tmp_path / "t.mha", (1, 10), (11, 10), (12, 10), (0, 3))
    prediction = write_labels(tmp_path / "p.nrrd", (1, 10), (51, 10), (0, 13))

    scored = figures(tmp_path, prediction, truth, *FLAGS)

    assert scored["schema"] == "fracseg-evaluation/1"
    assert scored["protocol"] == "clean"
    assert scored["summary"]["headline"]["iou"] == pytest.approx(0.75)
    assert scored["summary"]["counts"]["missed"] == 1
    (case,) = scored["cases"]
    sacrum, hip = case["bones"]
    assert (sacrum["bone"], hip["bone"]) == ("sacrum", "left_hip")
    assert hip["headline"]["iou"] == 0.5
    assert [f["prediction"] for f in hip["fragments"]] == [51, None]
    assert hip["fragments"][0]["volume_mm3"] == pytest.approx(1200.0)


def test_table_shows_a_row_per_bone_and_the_headline(tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "t.nii.gz", (1, 10), (11, 10), (0, 3))
    prediction = write_labels(tmp_path / "p.nii.gz", (1, 10), (0, 13))

    lines = run(prediction, truth, *FLAGS).output.splitlines()

    assert lines[0].split()[:4] == ["bone", "pieces", "IoU", "Dice"]
    assert lines[1].split()[:3] == ["sacrum", "1/1", "1.0000"]
    assert lines[2].split()[:3] == ["left_hip", "0/1", "0.0000"]
    assert lines[3].split()[:4] == ["all", "bones", "1/2", "0.5000"]


def test_distances_can_be_left_out(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "t.mha", (1, 20))

    scored = figures(tmp_path, path, path, "--gt-numbering", "fracseg",
                     "--pred-numbering", "fracseg", "--no-distances")  # fmt: skip

    assert scored["summary"]["headline"]["hd95_mm"] is None
    assert scored["summary"]["headline"]["iou"] == 1.0


def test_result_folder_says_itself_how_it_is_numbered(tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "t.mha", (21, 20))
    result = write_result(tmp_path / "result", "fracseg", (101, 20))

    for prediction in (result, result / "fragments.nii.gz"):
        scored = figures(tmp_path, prediction, truth, "--gt-numbering", "pengwin2024")
        assert scored["summary"]["headline"]["iou"] == 1.0


def test_numbering_is_never_guessed_nor_overruled(tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "t.mha", (21, 20))
    result = write_result(tmp_path / "result", "fracseg", (101, 20))

    assert "--gt-numbering" in refusal(result, truth).remedy
    assert "--pred-numbering" in refusal(truth, truth, "--gt-numbering", "fracseg").remedy
    assert "numbered fracseg" in refusal(result, truth, "--gt-numbering", "pengwin2024",
                                         "--pred-numbering", "pengwin2026").message  # fmt: skip


def test_folders_pair_by_place_and_name_and_say_what_was_left_out(tmp_path: Path) -> None:
    for name in ("a/1", "a/2", "b/1"):
        write_labels(tmp_path / "truth" / f"{name}.mha", (11, 20))
        if name != "a/2":
            write_labels(tmp_path / "predicted" / f"{name}.nii.gz", (51, 20))
    write_labels(tmp_path / "predicted" / "c.nii.gz", (51, 20))

    result = run(tmp_path / "predicted", tmp_path / "truth", *FLAGS)

    assert result.exit_code == 0
    assert "without a prediction: a/2" in result.stderr
    assert "without a truth: c" in result.stderr
    assert "2 cases" in result.stdout


def test_results_pair_with_truths_named_like_their_folders_or_files(tmp_path: Path) -> None:
    """Other files of a result are no predictions."""
    write_result(tmp_path / "results" / "001", "fracseg", (101, 20))
    write_result(tmp_path / "results" / "002", "fracseg", (101, 20))
    write_labels(tmp_path / "truth" / "001.mha", (21, 20))
    write_labels(tmp_path / "truth" / "002" / "fragments.nii.gz", (21, 10), (22, 10))

    scored = figures(
        tmp_path, tmp_path / "results", tmp_path / "truth", "--gt-numbering", "pengwin2024"
    )

    assert [case["name"] for case in scored["cases"]] == ["001", "002/fragments"]
    assert scored["summary"]["counts"]["merges"] == 1


def test_segmentation_of_a_part_of_the_grid_is_put_in_its_place(tmp_path: Path) -> None:
    """3D Slicer saves the box around the segments: here 20 columns from x = 5 on, of 25."""
    whole = write_labels(tmp_path / "whole.mha", (1, 25), (0, 5))
    part = write_labels(tmp_path / "part.mha", (1, 20), origin=5.0)

    for prediction, truth in ((part, whole), (whole, part)):
        assert figures(tmp_path, prediction, truth, *FLAGS)["summary"]["headline"]["iou"] == 0.8


def test_unusable_inputs_are_refused_with_a_remedy(tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "t.mha", (1, 20))
    elsewhere = write_labels(tmp_path / "e.mha", (1, 20), origin=0.4)
    strange = write_labels(tmp_path / "s.mha", (99, 20))
    (tmp_path / "empty").mkdir()
    write_labels(tmp_path / "one" / "x.mha", (1, 20))
    write_labels(tmp_path / "two" / "y.mha", (1, 20))

    assert "prediction was not found" in refusal(tmp_path / "no", truth, *FLAGS).message
    assert "share one grid" in refusal(elsewhere, truth, *FLAGS).message
    assert "label 99" in refusal(truth, strange, *FLAGS).message
    assert "no label file" in refusal(tmp_path / "empty", truth, *FLAGS).message
    assert "has the name" in refusal(tmp_path / "one", tmp_path / "two", *FLAGS).message
    for error in (refusal(tmp_path / "no", truth, *FLAGS), refusal(elsewhere, truth, *FLAGS)):
        assert error.remedy
        assert str(tmp_path) not in str(error)


def test_json_that_cannot_be_written_is_the_machines_fault(tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "t.mha", (1, 20))

    error = run(truth, truth, *FLAGS, "--json", tmp_path / "no" / "x.json").exception

    assert isinstance(error, EnvironmentProblemError)
