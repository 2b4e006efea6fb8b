"""`fracseg prepare` on the command line: what it refuses, what it shows, what it completes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner, Result

from fracseg_training.commands.prepare import prepare
from fracseg_training.data import sources
from fracseg_training.data.cases import load_cases
from FractureSegmentationLib.errors import InputError


def write_patient(folder: Path, *, shade: int = 400) -> Path:
    """A patient whose sacrum is a block of 12 x 16 x 16 mm in one piece."""
    folder.mkdir(parents=True)
    bones = np.zeros((16, 20, 20), np.uint8)
    bones[2:14, 2:18, 2:18] = 1
    for name, voxels in (("ct", bones.astype(np.int16) * shade), ("bones", bones),
                         ("fragments", bones)):  # fmt: skip
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(folder / f"{name}.nii.gz"))
    return folder


def write_label_map(path: Path) -> tuple[Path, Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 4, 4), np.uint8)), str(path))
    names = path.with_name("names.json")
    names.write_text("{}")
    return path, names


def run(*arguments: object) -> Result:
    """Errors of the program are raised, those of usage end with status 2."""
    result = CliRunner().invoke(prepare, [str(a) for a in arguments])
    if isinstance(result.exception, Exception):
        raise result.exception
    return result


def voxels(out: Path) -> dict[str, bytes]:
    """Everything that a folder's cases hold, by name."""
    return {
        case.info.name: case.hu.tobytes() + case.fragments.tobytes() for case in load_cases(out)
    }


def test_two_patients_of_one_name_are_refused_before_any_work(tmp_path: Path) -> None:
    one, two = write_patient(tmp_path / "a" / "p1"), write_patient(tmp_path / "b" / "p1")

    with pytest.raises(InputError, match="same name: p1"):
        run(tmp_path / "out", "--real", one, "--real", two, "--per-bone", 1)

    assert not (tmp_path / "out").exists()


def test_two_label_maps_of_one_anatomy_are_refused(tmp_path: Path) -> None:
    one = write_label_map(tmp_path / "body_1.nii.gz")
    two = write_label_map(tmp_path / "body_2.nii.gz")

    with pytest.raises(InputError, match="same patient: body"):
        run(tmp_path / "out", "--label-map", *one, "--label-map", *two)


def test_a_label_map_whose_cases_would_replace_those_of_phantoms_is_refused(
    tmp_path: Path,
) -> None:
    labels = write_label_map(tmp_path / "phantom_1.nii.gz")

    with pytest.raises(InputError, match="phantom_0"):
        run(tmp_path / "out", "--label-map", *labels, "--phantoms", 1)


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ([], "give --real, --label-map or --phantoms"),
        (["--found-cts", "2"], "needs a label map"),
        (["--found-bodies", "2"], "needs a label map"),
        (["--label-map", "LABELS", "NAMES", "--label-map-cts", "0"], "above 0"),
        (["--label-map", "LABELS", "NAMES", "--found-bodies", "1"], "--real"),
        (["--phantoms", "-1"], "--phantoms"),
    ],
)
def test_what_would_make_nothing_is_an_error_of_usage(
    tmp_path: Path, options: list[str], needed: str
) -> None:
    labels, names = write_label_map(tmp_path / "body.nii.gz")
    given = {"LABELS": str(labels), "NAMES": str(names)}

    asked = run(tmp_path / "out", *(given.get(option, option) for option in options))

    assert asked.exit_code == 2
    assert needed in " ".join(asked.output.split())


def test_missing_files_of_all_patients_are_named_before_any_work(tmp_path: Path) -> None:
    whole, lacking = write_patient(tmp_path / "p1"), write_patient(tmp_path / "p2")
    (lacking / "bones.nii.gz").unlink()
    (tmp_path / "p3").mkdir()

    with pytest.raises(InputError) as caught:
        run(
            tmp_path / "out", *(x for p in (whole, lacking, tmp_path / "p3") for x in ("--real", p))
        )

    assert "p2: bones.nii.gz; p3: ct.nii.gz, bones.nii.gz, fragments.nii.gz" in str(caught.value)
    assert "p1" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_every_finished_job_is_shown_with_the_time_left(tmp_path: Path, workers: int) -> None:
    folders = [write_patient(tmp_path / f"p{n}") for n in range(2)]

    done = run(
        tmp_path / "out", *(x for f in folders for x in ("--real", f)),
        "--per-bone", 1, "--workers", workers,
    )  # fmt: skip

    lines = done.stderr.splitlines()
    assert re.fullmatch(r"1/2 done, 2 cases made, \d+:\d\d:\d\d left", lines[0])
    assert lines[1] == "2/2 done, 4 cases made, 0:00:00 left"
    assert done.stdout == "4 cases made\n"


def test_brackets_in_names_are_no_pattern(tmp_path: Path) -> None:
    """As a pattern `p[1]` is p1, whose cases would be taken for those of the other patient."""
    one, other = write_patient(tmp_path / "p1"), write_patient(tmp_path / "p[1]")
    out = tmp_path / "out"

    run(out, "--real", one, "--per-bone", 2)
    run(out, "--real", other, "--per-bone", 2)
    again = run(out, "--real", other, "--per-bone", 2)

    patients = [case.info.patient for case in load_cases(out)]
    assert (patients.count("p1"), patients.count("p[1]")) == (3, 3)
    assert again.stdout == "1 cases made\n"  # the real one, which is written anew


def test_a_name_that_begins_like_another_hides_no_case(tmp_path: Path) -> None:
    """`p` has a sacrum, and `p_sacrum` has one too."""
    out = tmp_path / "out"

    run(out, "--real", write_patient(tmp_path / "p_sacrum"), "--per-bone", 1)
    made = run(out, "--real", write_patient(tmp_path / "p"), "--per-bone", 1)

    assert made.stdout == "2 cases made\n"


def test_a_run_killed_within_a_ct_is_completed_whatever_the_number_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two bones one is there when the run ends, beside ten cases of other seeds."""
    bones_of = sources.bones_of
    monkeypatch.setattr(sources, "bones_of", lambda *a, **k: list(bones_of(*a, **k))[:2])
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = ("--phantoms", 1, "--per-made-bone", 1)
    run(whole, *arguments, "--seed", 50)
    for seed in range(5):
        run(killed, *arguments, "--seed", seed)
    save, saved = sources.save_missing, []

    def save_missing(*given: object) -> int:
        if saved:
            raise KeyboardInterrupt
        saved.append(given)
        return save(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(sources, "save_missing", save_missing)
        CliRunner().invoke(prepare, [str(a) for a in (killed, *arguments, "--seed", 50)])
    resumed = run(killed, *arguments, "--seed", 50)
    again = run(killed, *arguments, "--seed", 50)

    assert len(saved) == 1
    assert resumed.stdout == "1 cases made\n"
    assert again.stdout == "0 cases made\n"
    assert voxels(whole).items() <= voxels(killed).items()


def test_a_deleted_case_of_a_complete_ct_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bones_of = sources.bones_of
    monkeypatch.setattr(sources, "bones_of", lambda *a, **k: list(bones_of(*a, **k))[:1])
    out = tmp_path / "out"
    run(out, "--phantoms", 1, "--per-made-bone", 1)
    (case,) = out.glob("*.npz")
    case.unlink()

    assert run(out, "--phantoms", 1, "--per-made-bone", 1).stdout == "1 cases made\n"
    assert case.is_file()
    assert json.loads((out / "done" / "phantom_0.json").read_text())["cases"] == [case.stem]
