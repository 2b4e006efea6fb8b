"""`fracseg evaluate` of one pair, from files to table and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner, Result

from FractureSegmentationLib.cli.evaluate import evaluate
from FractureSegmentationLib.errors import FracSegError, InputError

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
    report = {"schema": "fracseg-report/1", "numbering": numbering}
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, [str(a) for a in arguments], standalone_mode=False)


def figures(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json", tmp_path / "out.json", "--overwrite")
    assert result.return_value == 0, result.exception
    return json.loads((tmp_path / "out.json").read_text())


def headline(scored: dict[str, Any], metric: str = "iou") -> Any:
    return scored["summary"]["every_bone"][metric]["mean"]


def refusal(*arguments: object) -> FracSegError:
    error = run(*arguments).exception
    assert isinstance(error, InputError), error
    return error


def test_two_files_are_scored_with_the_numberings_that_were_named(tmp_path: Path) -> None:
    """Sacrum 1 right; of the left hip 11 is predicted as 51 and 12 is missing: (1 + 1/2) / 2."""
    truth = write_labels(tmp_path / "t.mha", (1, 10), (11, 10), (12, 10), (0, 3))
    prediction = write_labels(tmp_path / "p.nrrd", (1, 10), (51, 10), (0, 13))

    scored = figures(tmp_path, prediction, truth, *FLAGS)

    assert scored["schema"] == "fracseg-evaluation/2"
    assert (scored["protocol"], scored["is_reconstructed"]) == ("clean", False)
    assert headline(scored) == pytest.approx(0.75)
    (case,) = scored["cases"]
    sacrum, hip = case["bones"]
    assert case["figures"]["found"] == 2
    assert (sacrum["bone"], hip["bone"]) == ("sacrum", "left_hip")
    assert hip["figures"]["iou"] == 0.5
    assert [f["prediction"] for f in hip["fragments"]] == [51, None]
    assert hip["fragments"][0]["volume_mm3"] == pytest.approx(1200.0)


def test_table_shows_a_row_per_bone_and_the_headline(tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "t.nii.gz", (1, 10), (11, 10), (0, 3))
    prediction = write_labels(tmp_path / "p.nii.gz", (1, 10), (0, 13))

    lines = run(prediction, truth, *FLAGS).output.splitlines()

    assert lines[0] == "Protocol clean"
    assert lines[2].split()[:5] == ["bone", "true", "found", "IoU", "Dice"]
    assert lines[3].split()[:4] == ["sacrum", "1", "1", "1.0000"]
    assert lines[4].split()[:4] == ["left_hip", "1", "0", "0.0000"]
    assert lines[5].split()[:5] == ["all", "bones", "2", "1", "0.5000"]
    assert "Worst cases" not in lines


def test_distances_can_be_left_out(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "t.mha", (1, 20))

    scored = figures(tmp_path, path, path, "--gt-numbering", "fracseg",
                     "--pred-numbering", "fracseg", "--no-distances")  # fmt: skip

    assert headline(scored, "hd95_mm") is None
    assert headline(scored) == 1.0
    assert scored["settings"]["with_distances"] is False


def test_protocol_of_2024_is_told_in_the_table_and_in_json(tmp_path: Path) -> None:
    """One prediction over two true fragments of 10 columns: 0.5 and 0.5. Both hips are absent."""
    truth = write_labels(tmp_path / "t.mha", (1, 10), (2, 10))
    prediction = write_labels(tmp_path / "p.mha", (1, 20))

    scored = figures(tmp_path, prediction, truth, *FLAGS, "--protocol", "pengwin2024")

    (case,) = scored["cases"]
    assert scored["protocol"] == "pengwin2024"
    assert case["figures"]["fragment_iou"] == 0.5
    assert case["figures"]["anatomical_iou"] == pytest.approx(1 / 3)
    assert case["figures"]["anatomical_hd95_mm"] == "Infinity"
    assert "left_hip: not in the truth" in " ".join(case["notes"])
    text = run(prediction, truth, *FLAGS, "--protocol", "pengwin2024").output
    assert "compatible with the official CT evaluator of 2024" in text.splitlines()[0]
    assert "inf" in text


def test_protocol_of_2026_says_everywhere_that_it_is_reconstructed(tmp_path: Path) -> None:
    """IoU of the two merged fragments 0.5: detected from 0.5 on, not from 0.6 on."""
    truth = write_labels(tmp_path / "t.mha", (1, 10), (2, 10))
    prediction = write_labels(tmp_path / "p.mha", (1, 20))
    arguments = (prediction, truth, "--protocol", "pengwin2026", *FLAGS)

    scored = figures(tmp_path, *arguments)
    strict = figures(tmp_path, *arguments, "--match-iou", "0.6")
    run(*arguments, "--csv", tmp_path / "out.csv")

    assert scored["is_reconstructed"] is True
    assert "RECONSTRUCTED" in scored["title"]
    assert "RECONSTRUCTED" in run(*arguments).output.splitlines()[0]
    assert "RECONSTRUCTED" in CliRunner().invoke(evaluate, ["--help"]).output
    assert (
        (tmp_path / "out.csv")
        .read_text()
        .splitlines()[1]
        .startswith("pengwin2026 (reconstructed),t,sacrum,")
    )
    assert scored["cases"][0]["figures"]["recall"] == 1.0
    assert strict["cases"][0]["figures"]["recall"] == 0.0
    assert strict["settings"]["match_iou"] == 0.6


def test_result_folder_says_itself_how_it_is_numbered(tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "t.mha", (21, 20))
    result = write_result(tmp_path / "result", "fracseg", (101, 20))

    for prediction in (result, result / "fragments.nii.gz"):
        scored = figures(tmp_path, prediction, truth, "--gt-numbering", "pengwin2024")
        assert headline(scored) == 1.0


def test_numbering_is_never_guessed_nor_overruled(tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "t.mha", (21, 20))
    result = write_result(tmp_path / "result", "fracseg", (101, 20))

    assert "--gt-numbering" in refusal(result, truth).remedy
    assert "--pred-numbering" in refusal(truth, truth, "--gt-numbering", "fracseg").remedy
    assert "numbered fracseg" in refusal(result, truth, "--gt-numbering", "pengwin2024",
                                         "--pred-numbering", "pengwin2026").message  # fmt: skip


def test_segmentation_of_a_part_of_the_grid_is_put_in_its_place(tmp_path: Path) -> None:
    """3D Slicer saves the box around the segments: here 20 columns from x = 5 on, of 25."""
    whole = write_labels(tmp_path / "whole.mha", (1, 25), (0, 5))
    part = write_labels(tmp_path / "part.mha", (1, 20), origin=5.0)

    for prediction, truth in ((part, whole), (whole, part)):
        assert headline(figures(tmp_path, prediction, truth, *FLAGS)) == 0.8


def test_unusable_inputs_are_refused_with_a_remedy(tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "t.mha", (1, 20))
    elsewhere = write_labels(tmp_path / "e.mha", (1, 20), origin=0.4)
    strange = write_labels(tmp_path / "s.mha", (99, 20))
    (tmp_path / "empty").mkdir()

    assert "prediction was not found" in refusal(tmp_path / "no", truth, *FLAGS).message
    assert "share one grid" in refusal(elsewhere, truth, *FLAGS).message
    assert "label 99" in refusal(truth, strange, *FLAGS).message
    assert "no label file" in refusal(tmp_path / "empty", truth, *FLAGS).message
    for error in (refusal(tmp_path / "no", truth, *FLAGS), refusal(elsewhere, truth, *FLAGS)):
        assert error.remedy
        assert str(tmp_path) not in str(error)


def test_real_truth_against_itself_is_perfect_in_every_protocol(
    real_data: Path, tmp_path: Path
) -> None:
    """Case 003 has 5 fragments in 3 bones; all are larger than 1 cm³."""
    truth = real_data / "real" / "003"

    for protocol, metric in (
        ("clean", "iou"), ("pengwin2024", "fragment_iou"), ("pengwin2026", "local_dice"),
    ):  # fmt: skip
        scored = figures(
            tmp_path, truth, truth, "--protocol", protocol,
            "--pred-numbering", "pengwin2024", "--gt-numbering", "pengwin2024", "--no-distances",
        )  # fmt: skip
        assert scored["cases"][0]["name"] == "003"
        assert scored["cases"][0]["figures"][metric] == 1.0
        assert scored["cases"][0]["figures"]["fragments"] == 5
