"""`fracseg evaluate` of many cases: pairing, damaged ones, summaries, exit status."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner, Result

from FractureSegmentationLib.cli.evaluate import evaluate
from FractureSegmentationLib.cli.main import run as run_program
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.evaluation import run as evaluation_run

GT = ("--gt-numbering", "pengwin2024")
FLAGS = ("--pred-numbering", "fracseg", *GT)


def write_labels(path: Path, *pieces: tuple[int, int], origin: float = 0.0) -> Path:
    """A 12 x 10 x n grid of 1 mm: slabs of (label, columns); one column is 120 mm³."""
    row = np.repeat([p[0] for p in pieces], [p[1] for p in pieces]).astype(np.uint16)
    image = sitk.GetImageFromArray(np.tile(row, (12, 10, 1)))
    image.SetOrigin((origin, 0.0, 0.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def write_result(folder: Path, *pieces: tuple[int, int]) -> Path:
    write_labels(folder / "fragments.nii.gz", *pieces)
    write_labels(folder / "bones.nii.gz", (1, 20))
    report = {"schema": "fracseg-report/1", "numbering": "fracseg"}
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, [str(a) for a in arguments], standalone_mode=False)


def figures(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json", tmp_path / "out.json", "--overwrite")
    assert result.exception is None, result.exception
    return json.loads((tmp_path / "out.json").read_text())


def names(scored: dict[str, Any]) -> list[str]:
    return [case["name"] for case in scored["cases"]]


def test_folders_pair_by_place_and_name_and_list_what_has_no_partner(tmp_path: Path) -> None:
    for name in ("a/1", "a/2", "b/1"):
        write_labels(tmp_path / "truth" / f"{name}.mha", (11, 20))
        if name != "a/2":
            write_labels(tmp_path / "predicted" / f"{name}.nii.gz", (51, 20))
    write_labels(tmp_path / "predicted" / "c.nii.gz", (51, 20))
    arguments = (tmp_path / "predicted", tmp_path / "truth", *FLAGS)

    result = run(*arguments)
    tolerant = run(*arguments, "--ignore-unpaired")

    assert (result.return_value, tolerant.return_value) == (2, 0)
    assert "1 truths without a prediction: a/2." in result.stderr
    assert "1 predictions without a truth: c." in result.stderr
    assert tolerant.stderr == ""
    assert "Truths without a prediction: a/2" in tolerant.stdout
    assert "Over 2 cases" in result.stdout
    scored = figures(tmp_path, *arguments)
    assert names(scored) == ["a/1", "b/1"]
    assert scored["truths_without_prediction"] == ["a/2"]
    assert scored["predictions_without_truth"] == ["c"]


def test_anonymous_tables_number_the_truths_by_name_and_name_no_file(tmp_path: Path) -> None:
    """Of four truths the second has no prediction and the fourth is damaged."""
    for name in ("Ann", "Bob", "Cyd", "Dee"):
        write_labels(tmp_path / "truth" / f"{name}.mha", (11, 20))
        if name != "Bob":
            write_labels(tmp_path / "predicted" / f"{name}.mha", (51, 20))
    write_labels(tmp_path / "predicted" / "Eve.mha", (51, 20))
    (tmp_path / "predicted" / "Dee.mha").write_text("nothing")
    places = [tmp_path / "predicted", tmp_path / "truth"]
    outputs = [tmp_path / "scores.json", tmp_path / "tables"]

    result = run(*places, *FLAGS, "--anonymous", "--json", outputs[0], "--csv", outputs[1])

    assert result.return_value == 2
    scored = json.loads(outputs[0].read_text())
    assert names(scored) == ["case-001", "case-003"]
    assert [failure["name"] for failure in scored["failed"]] == ["case-004"]
    assert scored["truths_without_prediction"] == ["case-002"]
    assert scored["predictions_without_truth"] == ["prediction-001"]
    tables = [path.read_text() for path in outputs[1].iterdir()]
    text = "".join([result.stdout, result.stderr, outputs[0].read_text(), *tables])
    assert "case-003" in result.stdout
    assert not [name for name in ("Ann", "Bob", "Cyd", "Dee", "Eve") if name in text]


def test_the_command_line_leaves_with_the_status(tmp_path: Path) -> None:
    """0: all paired and scored; 2: a truth without a prediction."""
    for name in ("1", "2"):
        write_labels(tmp_path / "truth" / f"{name}.mha", (11, 20))
    write_labels(tmp_path / "predicted" / "1.mha", (51, 20))
    arguments = ["evaluate", str(tmp_path / "predicted"), str(tmp_path / "truth"), *FLAGS]

    assert run_program(arguments) == 2
    assert run_program([*arguments, "--ignore-unpaired"]) == 0


def test_results_and_case_folders_pair_by_the_name_of_their_folder(tmp_path: Path) -> None:
    """The other files of a result or of a case, images among them, are no label maps."""
    for name in ("001", "002", "003"):
        write_result(tmp_path / "results" / name, (101, 20))
    write_labels(tmp_path / "truth" / "001.mha", (21, 20))
    write_labels(tmp_path / "truth" / "002" / "fragments.nii.gz", (21, 10), (22, 10))
    write_labels(tmp_path / "truth" / "003" / "label.mha", (21, 20))
    write_labels(tmp_path / "truth" / "003" / "image.mha", (999, 20))

    scored = figures(tmp_path, tmp_path / "results", tmp_path / "truth", *GT)

    assert names(scored) == ["001", "002", "003"]
    assert [case["figures"]["merges"] for case in scored["cases"]] == [0, 1, 0]
    assert scored["predictions_without_truth"] == scored["truths_without_prediction"] == []


def test_a_case_folder_may_be_compared_with_a_file_of_another_name(tmp_path: Path) -> None:
    result = write_result(tmp_path / "result", (101, 20))
    truth = write_labels(tmp_path / "case" / "label.nrrd", (21, 20))

    assert names(figures(tmp_path, result, truth.parent, *GT)) == ["case"]


def test_working_folders_of_a_running_segmentation_are_passed_over(tmp_path: Path) -> None:
    write_result(tmp_path / "results" / "001", (101, 20))
    write_result(tmp_path / "results" / ".002.fracseg-1-00000000", (101, 20))
    write_labels(tmp_path / "truth" / "001.mha", (21, 20))

    scored = figures(tmp_path, tmp_path / "results", tmp_path / "truth", *GT)

    assert scored["predictions_without_truth"] == []


def test_two_files_of_one_name_are_refused_by_name(tmp_path: Path) -> None:
    for name in ("x.mha", "x.nii.gz", "y.mha"):
        write_labels(tmp_path / "truth" / name, (21, 20))

    error = run(tmp_path / "truth", tmp_path / "truth", *FLAGS).exception

    assert isinstance(error, InputError)
    assert "prediction go by one name: x." in error.message


def test_folders_without_a_common_name_are_refused(tmp_path: Path) -> None:
    write_labels(tmp_path / "one" / "x.mha", (1, 20))
    write_labels(tmp_path / "two" / "y.mha", (1, 20))

    error = run(tmp_path / "one", tmp_path / "two", *FLAGS).exception

    assert isinstance(error, InputError)
    assert "has the name" in error.message


@pytest.mark.parametrize("key", ["trained_on", "validated_on"])
def test_cases_that_the_weights_have_seen_are_warned_of(tmp_path: Path, key: str) -> None:
    """The weights saw 001 (a case folder) and not 002 (a file); 003 was kept out of training."""
    digest = hashlib.sha256(b"001").hexdigest()[:16]
    for name in ("001", "002", "003"):
        folder = write_result(tmp_path / "results" / name, (101, 20))
        report = json.loads((folder / "report.json").read_text())
        report["weights"] = [{"name": "mine", "sha256": "", "folds": ["003"], key: [digest]}]
        (folder / "report.json").write_text(json.dumps(report))
    write_labels(tmp_path / "truth" / "001" / "label.mha", (21, 20))
    write_labels(tmp_path / "truth" / "002.mha", (21, 20))
    write_labels(tmp_path / "truth" / "003.mha", (21, 20))
    places = (tmp_path / "results", tmp_path / "truth", *GT)
    said = "the weights mine were trained or chosen on this patient: its figures are no test"

    text = run(*places, "--csv", tmp_path / "one.csv").stdout
    anonymous = run(*places, "--anonymous", "--csv", tmp_path / "tables").stdout
    scored = figures(tmp_path, *places)

    assert f"Warnings\n001: {said}\n" in text
    assert f"Warnings\ncase-001: {said}\n" in anonymous
    assert text.count(said) == anonymous.count(said) == 1
    assert [case["warnings"] for case in scored["cases"]] == [[said], [], []]
    for table in (tmp_path / "one.csv", tmp_path / "tables" / "cases.csv"):
        rows = list(csv.DictReader(table.open(newline="")))
        assert [row["case"] for row in rows if row["warnings"] == said] in (["001"], ["case-001"])


@pytest.fixture
def four_cases(tmp_path: Path) -> tuple[Path, Path]:
    """001 right; 002 truncated; 003 a result without its fragments; 004 of another grid."""
    for name in ("001", "002", "003", "004"):
        write_labels(tmp_path / "truth" / f"{name}.mha", (21, 20))
        write_result(tmp_path / "results" / name, (101, 20))
    damaged = tmp_path / "results" / "002" / "fragments.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    (tmp_path / "results" / "003" / "fragments.nii.gz").unlink()
    write_labels(tmp_path / "results" / "004" / "fragments.nii.gz", (101, 20), origin=0.4)
    return tmp_path / "results", tmp_path / "truth"


def test_damaged_cases_are_reported_and_do_not_stop_the_rest(
    four_cases: tuple[Path, Path], tmp_path: Path
) -> None:
    result = run(*four_cases, *GT)
    scored = figures(tmp_path, *four_cases, *GT)

    assert result.return_value == 2
    assert "Not scored: 002: The image file is damaged" in result.stderr
    assert "Not scored: 3 cases" in result.stdout
    assert names(scored) == ["001"]
    assert [case["name"] for case in scored["failed"]] == ["002", "003", "004"]
    assert {case["code"] for case in scored["failed"]} == {"bad_input"}
    assert all(case["remedy"] for case in scored["failed"])
    assert str(tmp_path) not in json.dumps(scored)


def test_a_bug_in_one_case_is_the_most_alarming_status(
    four_cases: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of a bug in 002, a refusal of 003 and 004, and no memory for 001, the bug is reported."""
    original = evaluation_run.read_pair

    def read_pair(prediction: Any, truth: Any, *numberings: Any) -> Any:
        if truth.stem == "001":
            raise MemoryError
        if truth.stem == "002":
            raise RuntimeError(f"a bug that names {tmp_path}")
        return original(prediction, truth, *numberings)

    write_labels(tmp_path / "truth" / "005.mha", (21, 20))
    write_result(tmp_path / "results" / "005", (101, 20))
    monkeypatch.setattr(evaluation_run, "read_pair", read_pair)

    result = run(*four_cases, *GT)

    assert result.return_value == 1
    assert "Not scored: 001: There is not enough memory" in result.stderr
    assert "Not scored: 002: Something unexpected happened: RuntimeError" in result.stderr
    assert str(tmp_path) not in result.output


def test_if_no_case_can_be_scored_nothing_is_written(
    four_cases: tuple[Path, Path], tmp_path: Path
) -> None:
    error = run(*four_cases, "--json", tmp_path / "out.json").exception

    assert isinstance(error, InputError)
    assert "--gt-numbering" in error.remedy
    assert not (tmp_path / "out.json").exists()


def test_summary_names_the_spread_and_the_worst_case(tmp_path: Path) -> None:
    """Right hip covered by 20, 15, 10 of 20 columns: IoU 1, 0.75, 0.5; quartiles 0.625, 0.875."""
    for name, columns in (("good", 20), ("fair", 15), ("poor", 10)):
        write_labels(tmp_path / "truth" / f"{name}.mha", (21, 20))
        write_labels(tmp_path / "predicted" / f"{name}.mha", (101, columns), (0, 20 - columns))
    arguments = (tmp_path / "predicted", tmp_path / "truth", *FLAGS)

    scored = figures(tmp_path, *arguments)
    lines = run(*arguments).stdout.splitlines()

    spread = scored["summary"]["cases"]["iou"]
    assert spread == scored["summary"]["bones"]["right_hip"]["iou"]
    assert (spread["count"], spread["mean"], spread["median"]) == (3, 0.75, 0.75)
    assert (spread["q1"], spread["q3"], spread["sd"]) == (0.625, 0.875, 0.25)
    assert scored["summary"]["worst"]["iou"] == {"name": "poor", "value": 0.5}
    assert [worst["name"] for worst in scored["worst_cases"]] == ["poor", "fair", "good"]
    row = next(line.split() for line in lines[lines.index("Over 3 cases") :] if "IoU " in line)
    assert row == ["IoU", "3", "0.7500", "0.2500", "0.5000", "0.6250", "0.7500", "0.8750",
                   "1.0000", "poor"]  # fmt: skip
    worst = lines.index("Worst cases")
    assert lines[worst + 2].split() == ["poor", "0.5000", "right_hip"]


def test_volumes_of_one_case_only_are_held_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a pair is read, no label volume of an earlier pair is alive any more."""
    import weakref

    alive: list[weakref.ref[Any]] = []
    most = 0
    original = evaluation_run.read_pair

    def read_pair(*arguments: Any) -> Any:
        nonlocal most
        most = max(most, sum(ref() is not None for ref in alive))
        pair = original(*arguments)
        alive.extend(weakref.ref(volume.voxels.base) for volume in pair)
        return pair

    monkeypatch.setattr(evaluation_run, "read_pair", read_pair)
    for number in range(4):
        write_labels(tmp_path / "truth" / f"{number}.mha", (21, 20))

    result = run(tmp_path / "truth", tmp_path / "truth", "--pred-numbering", "pengwin2024", *GT)

    assert result.return_value == 0
    assert len(alive) == 8
    assert most == 0


def test_folders_are_scored_from_python_as_on_the_command_line(tmp_path: Path) -> None:
    prediction = write_labels(tmp_path / "p" / "one.nii.gz", (1, 10), (2, 10))
    write_labels(tmp_path / "p" / "two.nii.gz", (1, 20))
    truth = write_labels(tmp_path / "t" / "one.nii.gz", (1, 10), (2, 10))
    write_labels(tmp_path / "t" / "two.nii.gz", (1, 10), (2, 10))

    scored = evaluation_run.evaluate_folders(
        prediction.parent,
        truth.parent,
        prediction_numbering="fracseg",
        truth_numbering="pengwin2024",
    )

    assert [(name, case.values["iou"]) for name, case in scored.cases] == [
        ("one", 1.0),
        ("two", 0.25),  # one of two fragments is matched, with half of its prediction
    ]
