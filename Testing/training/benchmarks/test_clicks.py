"""The simulated user: errors are what they claim to be, clicks are counted and judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fracseg_training.benchmarks.clicks.errors import (
    SimulatedError,
    simulated_errors,
    true_cases,
)
from fracseg_training.benchmarks.clicks.evidence import (
    click_evidence,
    fold_contact,
    perfect_contact,
)
from fracseg_training.benchmarks.clicks.table import CorrectedError, corrected_errors, summary_lines
from fracseg_training.benchmarks.clicks.user import MOST_ACTIONS, Correction, correct
from fracseg_training.commands.benchmark import benchmark
from FractureSegmentationLib.errors import MissingWeightsError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.volume import LabelVolume, Volume

GEOMETRY = Geometry(shape=(24, 24, 80), spacing_mm=(1.0, 1.0, 1.0))


def truth() -> LabelVolume:
    """Bars of 20 x 20: sacrum 1 from x = 2 to 11; left hip 11 from 16 to 55, 12 from 56 to 77."""
    voxels = np.zeros(GEOMETRY.shape, np.uint8)
    inner = (slice(2, 22), slice(2, 22))
    voxels[(*inner, slice(2, 12))] = 1
    voxels[(*inner, slice(16, 56))] = 11
    voxels[(*inner, slice(56, 78))] = 12
    return LabelVolume(voxels=voxels, geometry=GEOMETRY)


def bones() -> LabelVolume:
    values = np.array([0, 1, *[0] * 9, 2, 2], np.uint8)
    return LabelVolume(voxels=values[truth().voxels], geometry=GEOMETRY)


def ct() -> Volume:
    """700 HU of bone, darker beside the fracture at x = 56."""
    hu = np.where(truth().voxels > 0, 700, 0).astype(np.int16)
    hu[2:22, 2:22, 55:57] = 150
    return Volume(voxels=hu, geometry=GEOMETRY)


@pytest.fixture(scope="module")
def errors() -> dict[str, SimulatedError]:
    hip = list(true_cases("one", truth()))[1]
    found = simulated_errors(hip, np.random.default_rng(0))
    return {f"{error.kind} {error.what}": error for error in found}


def test_every_fragment_and_pair_gets_its_errors(errors: dict[str, SimulatedError]) -> None:
    assert list(errors) == [
        "merged 1 and 2",
        "split 1",
        "split 2",
        "stolen 1 to 2",
        "stolen 2 to 1",
    ]
    sizes = {
        name: {r.label: r.voxels for r in error.wrong.records} for name, error in errors.items()
    }
    assert sizes["merged 1 and 2"] == {11: 24_800}
    assert set(sizes["split 1"]) == {11, 12, 13}
    assert sizes["split 1"][12] == 8_800
    assert 1_900 <= 16_000 - sizes["stolen 1 to 2"][11] <= 2_200
    assert 1_900 <= 8_800 - sizes["stolen 2 to 1"][12] <= 2_200


def test_the_stolen_piece_hangs_together_and_touches_the_taker(
    errors: dict[str, SimulatedError],
) -> None:
    error = errors["stolen 1 to 2"]
    right, wrong = error.case.truth.labels.voxels, error.wrong.labels.voxels
    stolen = np.argwhere((right == 11) & (wrong == 12))

    assert set(np.unique(right[right != wrong]).tolist()) == {11}
    assert stolen[:, 2].max() == np.argwhere(right == 11)[:, 2].max()


def test_one_split_undoes_a_merge_and_one_merge_undoes_a_split(
    errors: dict[str, SimulatedError],
) -> None:
    """With both fragments in one, the small one of 8,800 is missed: IoU 16,000 / 24,800 and 0."""
    evidence = click_evidence(ct(), bones(), truth(), perfect_contact)

    merged = correct(errors["merged 1 and 2"], evidence, "centre", np.random.default_rng(0))
    split = correct(errors["split 1"], evidence, "centre", np.random.default_rng(0))

    assert merged.before == pytest.approx((1.0 + (16_000 / 24_800) / 2.0) / 2.0)
    assert merged.actions == len(merged.split_seconds) == 1
    assert merged.bone_after > 0.99
    assert (split.actions, split.split_seconds, split.after) == (1, [], 1.0)


def test_a_stolen_piece_takes_a_split_and_a_merge(errors: dict[str, SimulatedError]) -> None:
    evidence = click_evidence(ct(), bones(), truth(), perfect_contact)

    for trial in range(2):
        correction = correct(
            errors["stolen 2 to 1"], evidence, "random", np.random.default_rng(trial)
        )
        assert 2 <= correction.actions <= MOST_ACTIONS
        assert correction.bone_after > correction.before * 0.5
        assert correction.is_restored


def test_a_perfect_map_is_contact_at_the_fracture_only() -> None:
    """The cube of 7 voxels reaches 3 voxels to each side of the border at x = 55 | 56."""
    contact = click_evidence(ct(), bones(), truth(), perfect_contact).contact

    assert contact is not None
    assert np.flatnonzero(contact.voxels[12, 12]).tolist() == [53, 54, 55, 56, 57, 58]
    assert contact.voxels.max() == 255


def test_there_is_no_fold_contact_without_weights(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="leave patient one out"):
        fold_contact("one", tmp_path)


def test_all_errors_of_a_patient_are_corrected_with_centres_and_random_points() -> None:
    evidence = click_evidence(ct(), bones(), truth(), perfect_contact)

    corrected = list(corrected_errors("one", truth(), evidence, seed=0))

    assert [p.error.kind for p in corrected] == [
        "split",
        "merged",
        "split",
        "split",
        *["stolen"] * 2,
    ]
    assert [len(p.corrections) for p in corrected] == [1, 6, 1, 1, 6, 6]
    assert all(p.worst_random.is_restored for p in corrected)


def test_the_worst_play_counts(errors: dict[str, SimulatedError]) -> None:
    error = errors["merged 1 and 2"]
    good = Correction(clicks="random", before=0.5, after=0.99, bone_after=0.98, split_seconds=[1.0])
    bad = Correction(clicks="random", before=0.5, after=0.90, bone_after=0.80, split_seconds=[3.0])
    corrected = CorrectedError(error=error, corrections=(good, good, bad, good))

    assert corrected.worst_random is bad
    text = "\n".join(summary_lines([corrected]))
    assert "centre 1 of 1 (lowest 0.990" in text
    assert "worst random 0 of 1 (lowest 0.900" in text
    assert "3.00 s at most" in text


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    """The folder of a patient with one bone, the sacrum of the bars."""
    folder = tmp_path / "nobody"
    folder.mkdir()
    small = tuple(slice(0, n) for n in (24, 24, 14))
    k, j, i = small
    write_volume(folder / "fragments.nii.gz", truth().cropped((k, j, i)))
    write_volume(folder / "bones.nii.gz", bones().cropped((k, j, i)))
    write_volume(folder / "ct.nii.gz", ct().cropped((k, j, i)))
    return folder


def clicks(*arguments: object) -> Result:
    return CliRunner().invoke(benchmark, ["clicks", *map(str, arguments)])


def test_the_command_says_how_to_make_the_weights_it_needs(nobody: Path) -> None:
    result = clicks(nobody)

    assert isinstance(result.exception, MissingWeightsError)
    assert "none ship" in result.exception.message
    assert "fracseg train CASES RUN --exclude-patient P" in result.exception.remedy
    assert "--model" in result.exception.remedy


def test_a_perfect_map_needs_no_weights(nobody: Path) -> None:
    result = clicks(nobody, "--map", "oracle")

    assert result.exit_code == 0, result.output
    assert "perfect contact map" in result.output


def test_a_patient_without_a_fold_is_played_without_a_map(nobody: Path, tmp_path: Path) -> None:
    (tmp_path / "folds").mkdir()

    result = clicks(nobody, "--model", tmp_path / "folds")

    assert result.exit_code == 0, result.output
    assert "no fold weights leave this patient out: CT intensity, no map" in result.output
    assert "split   1 errors" in result.output
    assert "restored to 0.95 within three actions: centre 1 of 1" in result.output
