"""The files that `fracseg evaluate` writes: what they hold, and that they are whole or absent."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner, Result

from FractureSegmentationLib.cli.evaluate import evaluate
from FractureSegmentationLib.errors import EnvironmentProblemError, InputError, OutputExistsError
from FractureSegmentationLib.evaluation import picture

FLAGS = ("--pred-numbering", "pengwin2024", "--gt-numbering", "pengwin2024")
needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed"
)


def write_labels(path: Path, *pieces: tuple[int, int]) -> Path:
    """A 12 x 10 x n grid of 1 mm: slabs of (label, columns); one column is 120 mm³."""
    row = np.repeat([p[0] for p in pieces], [p[1] for p in pieces]).astype(np.uint16)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(np.tile(row, (12, 10, 1))), str(path))
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Case a: the sacrum is right, of the left hip 11 is right and 12 missing. Case b: damaged."""
    write_labels(tmp_path / "truth" / "a.mha", (1, 10), (11, 10), (12, 10))
    write_labels(tmp_path / "predicted" / "a.mha", (1, 10), (11, 10), (0, 10))
    write_labels(tmp_path / "truth" / "b.mha", (1, 10))
    (tmp_path / "predicted" / "b.mha").write_bytes(b"ObjectType = Image\n")
    return tmp_path / "predicted", tmp_path / "truth"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, [*map(str, arguments), *FLAGS], standalone_mode=False)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def listing(folder: Path) -> dict[str, bytes]:
    """Every entry below a folder, hidden ones too, with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def test_csv_file_has_a_row_per_bone_and_per_case(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    run(*folders, "--csv", tmp_path / "out.csv")

    rows = table(tmp_path / "out.csv")
    assert [(row["case"], row["bone"]) for row in rows] == [
        ("a", "sacrum"), ("a", "left_hip"), ("a", "all bones"), ("b", "all bones"),
    ]  # fmt: skip
    assert [row["iou"] for row in rows] == ["1.0", "0.5", "0.75", ""]
    assert {row["protocol"] for row in rows} == {"clean"}
    assert rows[3]["failure"].startswith("The image file is damaged")


def test_csv_folder_has_cases_bones_fragments_and_summary(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "new" / "tables"

    run(*folders, "--csv", out)

    assert sorted(path.name for path in out.iterdir()) == [
        "bones.csv", "cases.csv", "fragments.csv", "summary.csv",
    ]  # fmt: skip
    assert [row["iou"] for row in table(out / "cases.csv")] == ["0.75", ""]
    assert [row["bone"] for row in table(out / "bones.csv")] == ["sacrum", "left_hip"]
    fragments = table(out / "fragments.csv")
    assert [(row["truth"], row["prediction"]) for row in fragments] == [
        ("1", "1"), ("11", "11"), ("12", ""),
    ]  # fmt: skip
    assert fragments[2]["volume_mm3"] == "1200.0"
    over = {(row["over"], row["figure"]): row for row in table(out / "summary.csv")}
    assert over["every bone", "iou"]["n"] == "2"
    assert over["every bone", "iou"]["mean"] == "0.75"
    assert over["left_hip", "iou"]["median"] == "0.5"
    assert over["cases", "iou"]["sd"] == ""


@needs_matplotlib
def test_picture_is_a_png_that_is_always_the_same(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    result = run(*folders, "--picture", tmp_path / "one.png", "--protocol", "pengwin2026")
    run(*folders, "--picture", tmp_path / "two.png", "--protocol", "pengwin2026")

    assert result.return_value == 2
    image = sitk.ReadImage(str(tmp_path / "one.png"))
    assert image.GetSize()[0] == 1760
    assert image.GetSize()[1] > 800
    assert np.unique(sitk.GetArrayViewFromImage(image)).size > 50
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@needs_matplotlib
def test_picture_can_be_drawn_of_infinite_and_missing_figures(tmp_path: Path) -> None:
    """Protocol 2024 of a case without hips and without any prediction: infinite, NaN, nothing."""
    truth = write_labels(tmp_path / "t.mha", (1, 10))
    nothing = write_labels(tmp_path / "p.mha", (0, 10))

    result = run(nothing, truth, "--picture", tmp_path / "x.png", "--protocol", "pengwin2024")

    assert result.return_value == 0
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_picture_without_matplotlib_is_refused_before_anything_is_scored(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture.importlib.util, "find_spec", lambda _: None)

    result = run(*folders, "--picture", tmp_path / "x.png")

    assert isinstance(result.exception, EnvironmentProblemError)
    assert "pip install matplotlib" in result.exception.remedy
    assert "Not scored" not in result.stderr


def test_picture_of_another_kind_is_a_usage_error(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    assert "png" in str(run(*folders, "--picture", tmp_path / "x.pdf").exception)


def outputs(tmp_path: Path) -> tuple[object, ...]:
    return ("--json", tmp_path / "o" / "x.json", "--csv", tmp_path / "o" / "tables")


def test_existing_outputs_are_replaced_only_on_request_and_if_they_are_ours(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    assert run(*folders, *outputs(tmp_path)).return_value == 2
    before = listing(tmp_path)

    refused = run(*folders, *outputs(tmp_path)).exception
    assert isinstance(refused, OutputExistsError)
    assert "--overwrite" in refused.remedy
    assert listing(tmp_path) == before
    assert run(*folders, *outputs(tmp_path), "--overwrite").return_value == 2
    assert listing(tmp_path) == before


@pytest.mark.parametrize("name", ["x.json", "tables/notes.txt", "tables/cases.csv"])
def test_files_of_others_are_never_replaced(
    folders: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    (tmp_path / "o" / "tables").mkdir(parents=True)
    (tmp_path / "o" / name).write_text("mine")
    before = listing(tmp_path)

    error = run(*folders, *outputs(tmp_path), "--overwrite").exception

    assert isinstance(error, OutputExistsError)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("place", ["truth/x.json", "predicted/a/x.json", "truth/a.mha"])
def test_outputs_keep_away_from_the_inputs(
    folders: tuple[Path, Path], tmp_path: Path, place: str
) -> None:
    before = listing(tmp_path)

    error = run(*folders, "--json", tmp_path / place, "--overwrite").exception

    assert isinstance(error, OutputExistsError)
    assert "prediction or the truth" in error.message
    assert listing(tmp_path) == before


def test_two_outputs_of_one_name_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    error = run(*folders, "--json", tmp_path / "x.csv", "--csv", tmp_path / "x.csv").exception

    assert isinstance(error, InputError)
    assert "same name" in error.message


def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_scored(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")

    result = run(*folders, "--json", tmp_path / "file" / "x.json")

    assert isinstance(result.exception, EnvironmentProblemError)
    assert "Not scored" not in result.stderr


@needs_matplotlib
@pytest.mark.parametrize("had_previous", [False, True])
def test_if_one_output_fails_the_others_are_as_they_were(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    had_previous: bool,
) -> None:
    """The picture comes last; the disk is full then."""
    if had_previous:
        run(*folders, *outputs(tmp_path))
        path = tmp_path / "o" / "x.json"
        path.write_text(path.read_text().replace('"clean"', '"earlier"'))
    before = listing(tmp_path)

    def full(path: Path, evaluation: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("FractureSegmentationLib.cli.evaluate.write_picture", full)
    result = run(*folders, *outputs(tmp_path), "--picture", tmp_path / "p" / "x.png", "--overwrite")

    assert isinstance(result.exception, EnvironmentProblemError)
    assert listing(tmp_path) == before


def test_if_a_name_cannot_be_given_the_earlier_ones_are_taken_back(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third rename of the publication, that of the new tables, fails."""
    run(*folders, *outputs(tmp_path))
    path = tmp_path / "o" / "x.json"
    path.write_text(path.read_text().replace('"clean"', '"earlier"'))
    before = listing(tmp_path)
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self.name == "tables":
            raise OSError(5, "Input/output error")
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    result = run(*folders, *outputs(tmp_path), "--overwrite")

    assert isinstance(result.exception, EnvironmentProblemError)
    assert listing(tmp_path) == before
    assert '"earlier"' in path.read_text()


def test_what_a_killed_evaluation_left_behind_is_gone_after_the_next(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    from FractureSegmentationLib.io.temporary import private_sibling, released

    left = private_sibling(tmp_path / "x.json")
    released(left)
    (left / "x.json").write_text("half")

    run(*folders, "--json", tmp_path / "x.json")

    assert not left.exists()
    assert json.loads((tmp_path / "x.json").read_text())["protocol"] == "clean"
