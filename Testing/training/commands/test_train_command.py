"""`fracseg train`, `ablate` and `benchmark` as a user calls them."""

from __future__ import annotations

import csv
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from phantom_cases import a_case
from tiny_runs import TINY

from fracseg_training.benchmarks.ablation import train_and_judge
from fracseg_training.benchmarks.folds import fold_model, fold_predictor, seen_warning
from fracseg_training.benchmarks.whole_pelvis import broken_bone_iou, mean_bone_dice
from fracseg_training.commands.ablate import ablate
from fracseg_training.commands.benchmark import benchmark
from fracseg_training.commands.train import train
from fracseg_training.data.cases import save_case
from fracseg_training.fragments import config as train_config
from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.errors import EnvironmentProblemError, InputError, MissingWeightsError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.networks.patients import has_seen
from FractureSegmentationLib.networks.weights import load_model
from FractureSegmentationLib.volume import LabelVolume


@pytest.fixture
def tiny_preset(monkeypatch: pytest.MonkeyPatch) -> str:
    """A preset small enough for a test, under a name of its own."""
    monkeypatch.setitem(train_config.PRESETS, "tiny", replace(TINY, steps=2))
    return "tiny"


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Two patients with a broken and a whole bone each."""
    folder = tmp_path / "cases"
    for patient in ("one", "two"):
        save_case(folder, a_case(fragments=2, patient=patient))
        save_case(folder, a_case(fragments=1, patient=patient))
    return folder


def test_training_writes_a_model_that_the_library_loads(
    cases: Path, tiny_preset: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = [str(cases), str(run), "--preset", tiny_preset, "--exclude-patient", "one"]

    result = CliRunner().invoke(train, [*arguments, "--name", "fold_one"])

    assert result.exit_code == 0, result.output
    spec, _ = load_model(run / "model")
    assert spec.name == "fold_one"
    assert spec.folds == ("one",)
    assert "2 cases of 1 anatomies" in result.output
    assert spec.results["steps"] == 2


def test_training_can_start_from_a_model(cases: Path, tiny_preset: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    CliRunner().invoke(train, [str(cases), str(first), "--preset", tiny_preset])

    result = CliRunner().invoke(
        train,
        [str(cases), str(second), "--preset", tiny_preset, "--initial", str(first / "model")],
    )

    assert result.exit_code == 0, result.output
    assert (second / "model" / "model.safetensors").exists()


def call(*arguments: object) -> Result:
    return CliRunner().invoke(train, [str(argument) for argument in arguments])


def test_unknown_patient_is_refused_with_those_there_are(cases: Path, tmp_path: Path) -> None:
    for option in ("--exclude-patient", "--validate"):
        result = call(cases, tmp_path / "run", option, "1")

        assert isinstance(result.exception, InputError)
        assert f"{option}: there is no case of patient 1" in str(result.exception)
        assert "one, two" in str(result.exception)


def test_patient_that_chooses_the_weights_is_not_left_out(cases: Path, tmp_path: Path) -> None:
    result = call(cases, tmp_path / "run", "--validate", "one", "--exclude-patient", "one")

    assert "do not leave that patient out" in str(result.exception)


def test_run_is_not_resumed_without_the_patient_it_was_started_with(
    cases: Path, tiny_preset: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert call(cases, run, "--preset", tiny_preset).exit_code == 0

    result = call(cases, run, "--preset", tiny_preset, "--exclude-patient", "one")

    assert isinstance(result.exception, InputError)
    assert "exclude patient was [] and is ['one']" in str(result.exception)
    assert load_model(run / "model")[0].folds == ()


def test_rerun_says_where_it_resumes_and_validates_the_patient_named(
    cases: Path, tiny_preset: str, tmp_path: Path
) -> None:
    arguments = (cases, tmp_path / "run", "--preset", tiny_preset, "--validate", "two")
    first = call(*arguments)

    again = call(*arguments)

    assert "2 cases of 1 anatomies" in first.output
    assert "validation on 2 bones of two" in first.output
    assert "resuming from step" not in first.output
    assert "resuming from step 2 of 2" in again.output
    assert "validation_score" in load_model(tmp_path / "run" / "model")[0].results


def test_unfinished_run_is_exported(cases: Path, tiny_preset: str, tmp_path: Path) -> None:
    arguments = (cases, tmp_path / "run", "--preset", tiny_preset)
    call(*arguments)
    shutil.rmtree(tmp_path / "run" / "model")

    result = call(*arguments, "--export")

    assert "(step 2)" in result.output
    load_model(tmp_path / "run" / "model")


def test_missing_package_is_named_with_its_remedy(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)

    result = call(cases, tmp_path / "run")

    assert isinstance(result.exception, EnvironmentProblemError)
    assert "lightning_fabric" in str(result.exception)
    assert "pip install 'fracture-segmentation[train]'" in str(result.exception)


def test_card_knows_who_was_trained_on_without_naming_them(
    cases: Path, tiny_preset: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    call(cases, run, "--preset", tiny_preset, "--exclude-patient", "two")

    spec, _ = load_model(run / "model")

    assert has_seen(spec, "one") is True
    assert has_seen(spec, "two") is False
    assert has_seen(replace(spec, results={}), "one") is None
    assert "no test" in seen_warning("one", run / "model")
    assert seen_warning("two", run / "model") == ""
    assert fold_model("two", run / "model") == run / "model"
    (tmp_path / "folds").mkdir()
    (run / "model").rename(tmp_path / "folds" / "fold_two")
    assert fold_model("two", tmp_path / "folds").name == "fold_two"


def test_ablation_writes_its_table_from_a_short_run(
    cases: Path, tiny_preset: str, tmp_path: Path
) -> None:
    arguments = [str(cases), str(tmp_path / "runs"), "--preset", tiny_preset, "--steps", "1"]

    result = CliRunner().invoke(ablate, [*arguments, "--hold-out", "one", "--device", "cpu"])

    assert result.exit_code == 0, result.output
    with (tmp_path / "runs" / "table.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["preset"] == tiny_preset
    assert 0.0 <= float(row["headline_iou"]) <= 1.0
    assert 0.0 <= float(row["probe_auc"]) <= 1.0
    assert float(row["bank_rank"]) >= 1.0


def test_ablation_marks_what_it_requires() -> None:
    assert "[required]" in CliRunner().invoke(ablate, ["--help"]).output


def test_unknown_preset_is_refused_with_those_there_are(cases: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(train, [str(cases), str(tmp_path / "r"), "--preset", "huge"])

    assert result.exit_code == 2
    assert "small-no-memory" in result.output


def test_ablation_judges_the_patient_that_was_held_out(cases: Path, tmp_path: Path) -> None:
    row = train_and_judge(cases, tmp_path / "run", replace(TINY, steps=2), ["one"])

    assert row.summary.whole == 1
    assert 0.0 <= row.summary.headline_iou <= 1.0
    assert row.prior is not None
    assert len(row.prior.probe_auc) == 3
    assert all(0.0 <= area <= 1.0 for area in row.prior.probe_auc)


def test_ablation_of_an_unknown_patient_is_refused(cases: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no real case of patient nine"):
        train_and_judge(cases, tmp_path / "run", TINY, ["one", "nine"])
    with pytest.raises(InputError, match="no simulated case of patient one"):
        train_and_judge(cases, tmp_path / "run", TINY, ["one"], is_simulated=True)


def test_presets_can_be_listed() -> None:
    result = CliRunner().invoke(ablate, ["--list"])

    assert result.output.split() == list(train_config.PRESETS)


def test_every_benchmark_explains_itself() -> None:
    for name, command in benchmark.commands.items():
        result = CliRunner().invoke(benchmark, [name, "--help"])
        assert result.exit_code == 0
        assert (command.help or "").split("\n")[0][:20] in result.output


def test_patient_without_a_fold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="leave patient 999 out"):
        fold_predictor("999", tmp_path)


def test_real_patients_without_weights_get_the_command_that_makes_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(benchmark, ["real", str(tmp_path)])

    assert isinstance(result.exception, MissingWeightsError)
    assert "fracseg train CASES RUN --exclude-patient P" in result.exception.remedy
    assert "--model" in result.exception.remedy


def test_bone_dice_averages_over_the_true_bones() -> None:
    """Bone 1: 2 of 2 and 2 voxels: 1. Bone 2: 1 shared of 2 and 1: 2/3. Bone 5 is no true one."""
    truth = np.array([[[1, 1, 2, 2, 0]]])
    found = np.array([[[1, 1, 2, 0, 5]]])

    assert mean_bone_dice(found, truth) == pytest.approx((1.0 + 2.0 / 3.0) / 2.0)


def test_only_broken_bones_enter_the_fragment_score() -> None:
    """The left hip bone (51, 52) is found as one: IoU 1/2 and 0. The sacrum is whole: left out."""
    truth = np.zeros((10, 10, 30), np.uint16)
    truth[..., :10], truth[..., 10:20], truth[..., 20:] = 51, 52, 1
    found = np.where(truth > 50, 51, 9).astype(np.uint16)
    geometry = Geometry(shape=truth.shape, spacing_mm=(1.0, 1.0, 1.0))

    score = broken_bone_iou(
        LabelVolume(voxels=found, geometry=geometry), LabelVolume(voxels=truth, geometry=geometry)
    )

    assert FRACSEG.fragment_of(51)[0].slug == "left_hip"
    assert score == pytest.approx(0.25)
