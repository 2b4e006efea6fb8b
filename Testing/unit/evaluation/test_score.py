"""Scores of one bone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.numbering import FRACSEG, PENGWIN_2024, PENGWIN_2026
from FractureSegmentationLib.evaluation.score import BoneScorer, score_bone, score_case
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import LabelVolume

SPACING_MM = (1.0, 2.0, 5.0)
"""One voxel is 10 mm³: 50 voxels reach the headline's 500 mm³."""


def a_bone() -> LabelArray:
    """Fragment 1 of 60 voxels, 2 of 50, 3 of 10, in a row of 120 (600, 500 and 100 mm³)."""
    return np.repeat([1, 2, 3], [60, 50, 10]).astype(np.uint16).reshape(1, 1, -1)


def test_headline_averages_fragments_of_500_mm3_and_counts_a_missing_one_as_zero() -> None:
    truth = a_bone()
    prediction = np.where(truth == 2, 0, truth)

    score = score_bone(prediction, truth, SPACING_MM)

    assert [f.iou for f in score.fragments] == [1.0, 0.0, 1.0]
    assert [f.volume_mm3 for f in score.fragments] == [600.0, 500.0, 100.0]
    assert score.headline.iou == 0.5
    assert score.headline.dice == 0.5
    assert score.all_fragments.iou == pytest.approx(2 / 3)
    assert score.bone.iou == pytest.approx(70 / 120)
    assert score.bone.dice == pytest.approx(140 / 190)


def test_missing_fragment_enters_the_distances_with_its_own_size() -> None:
    """Fragment 2: centres of 50 voxels of 5 mm, radius 24.5 * 5 mm; the other is 0 mm away."""
    truth = a_bone()

    score = score_bone(np.where(truth == 2, 0, truth), truth, SPACING_MM)

    assert score.fragments[1].hd95_mm == pytest.approx(245.0)
    assert score.fragments[1].assd_mm == pytest.approx(122.5)
    assert score.headline.hd95_mm == pytest.approx(122.5)


def test_spurious_fragments_are_the_large_predictions_without_a_partner() -> None:
    """Fragment 1 is cut into 61 (50 voxels) and 62 (10 voxels); 2 into 71 and 72 of 25 each."""
    prediction = np.repeat([62, 61, 71, 72, 3], [10, 50, 25, 25, 10]).reshape(1, 1, -1)

    assert score_bone(prediction, a_bone(), SPACING_MM).spurious == 0
    assert score_bone(a_bone(), prediction, SPACING_MM).spurious == 0
    added = np.append(prediction, np.full(50, 80)).reshape(1, 1, -1)
    truth = np.append(a_bone(), np.zeros(50, np.uint16)).reshape(1, 1, -1)
    assert score_bone(added, truth, SPACING_MM).spurious == 1
    assert score_bone(added[..., :-1], truth[..., :-1], SPACING_MM).spurious == 0


def test_bone_that_is_only_predicted_has_no_means_but_spurious_fragments() -> None:
    score = score_bone(a_bone(), np.zeros_like(a_bone()), SPACING_MM)

    assert score.fragments == ()
    assert math.isnan(score.headline.iou)
    assert score.spurious == 2
    assert score.counts.invented == 3


def test_bone_that_was_not_predicted_scores_zero() -> None:
    score = score_bone(np.zeros_like(a_bone()), a_bone(), SPACING_MM)

    assert score.headline.iou == 0.0
    assert score.bone.iou == 0.0
    assert score.bone.hd95_mm == pytest.approx(2 * 59.5 * 5.0)
    assert score.counts.recall == 0.0


def test_bone_with_small_fragments_only_has_no_headline() -> None:
    truth = np.where(a_bone() == 3, 3, 0)

    score = score_bone(truth, truth, SPACING_MM)

    assert math.isnan(score.headline.iou)
    assert score.all_fragments.iou == 1.0


def test_distances_are_left_out_when_not_asked_for() -> None:
    score = score_bone(a_bone(), a_bone(), SPACING_MM, with_distances=False)

    assert score.headline.iou == 1.0
    assert math.isnan(score.headline.hd95_mm)
    assert math.isnan(score.bone.assd_mm)


def test_scorer_keeps_bones_apart() -> None:
    """Label 2 predicted where 1 is true: alone as a bone, 1 has no partner."""
    truth = np.full((1, 1, 60), 1)
    prediction = np.full((1, 1, 60), 2)
    scorer = BoneScorer(prediction, truth, SPACING_MM)

    assert scorer.score([1], [1]).headline.iou == 0.0
    assert scorer.score([1], [2]).headline.iou == 1.0


def test_inputs_stay_as_they_were() -> None:
    truth = a_bone()
    truth.flags.writeable = False

    assert score_bone(truth, truth, SPACING_MM).headline.assd_mm == 0.0


def test_real_bones_score_one_against_themselves(real_data: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(real_data / "real" / "003" / "fragments.nii.gz"))
    truth = sitk.GetArrayFromImage(image)

    score = score_bone(truth, truth, image.GetSpacing()[::-1])

    assert score.headline.iou == score.headline.dice == 1.0
    assert score.headline.hd95_mm == 0.0
    assert score.counts.detected == 5


def a_case(*pieces: tuple[int, int]) -> LabelVolume:
    """A row of (label, voxels); one voxel is 10 mm³."""
    labels = np.repeat([p[0] for p in pieces], [p[1] for p in pieces]).astype(np.uint16)
    geometry = Geometry(shape=(1, 1, len(labels)), spacing_mm=(1.0, 2.0, 5.0))
    return LabelVolume(voxels=labels.reshape(1, 1, -1), geometry=geometry)


def test_headline_is_the_mean_over_bones_of_the_means_over_their_fragments() -> None:
    """Sacrum 1 of 1 detected; left hip 1 of 3: (1 + 1/3) / 2, not 2/4."""
    truth = a_case((1, 60), (51, 60), (52, 60), (53, 60))
    prediction = a_case((1, 60), (51, 60), (0, 120))

    score = score_case(prediction, truth, FRACSEG, FRACSEG)

    assert [name for name, _ in score.bones] == ["sacrum", "left_hip"]
    assert score.headline.iou == pytest.approx(2 / 3)
    assert score.counts.missed == 2


def test_numberings_of_prediction_and_truth_may_differ() -> None:
    """PENGWIN 2024 calls the left hip 11, ours calls it 51."""
    truth = a_case((1, 60), (11, 60), (21, 60))
    prediction = a_case((1, 60), (51, 60), (101, 60))

    assert score_case(prediction, truth, FRACSEG, PENGWIN_2024).headline.iou == 1.0


def test_fragment_of_another_bone_never_matches() -> None:
    """A left hip predicted as right: the left scores 0, the right is spurious and no mean."""
    score = score_case(a_case((101, 60)), a_case((51, 60)), FRACSEG, FRACSEG)

    assert [name for name, _ in score.bones] == ["left_hip", "right_hip"]
    assert score.headline.iou == 0.0
    assert score.spurious == 1
    assert score.whole_bones.iou == 0.0


def test_bone_without_a_fragment_of_500_mm3_stays_out_of_the_headline_only() -> None:
    truth = a_case((1, 60), (51, 10))
    prediction = a_case((1, 60), (0, 10))

    score = score_case(prediction, truth, FRACSEG, FRACSEG)

    assert score.headline.iou == 1.0
    assert score.all_fragments.iou == 0.5


def test_femora_are_one_bone_against_a_numbering_that_gives_them_one_range() -> None:
    """PENGWIN 2026 has 151 for either femur; ours calls the right one 201."""
    score = score_case(a_case((201, 60)), a_case((151, 60)), FRACSEG, PENGWIN_2026)

    assert [name for name, _ in score.bones] == ["left_femur+right_femur"]
    assert score.headline.iou == 1.0


def test_other_grid_and_unknown_label_are_refused() -> None:
    with pytest.raises(ValueError, match="different grids"):
        score_case(a_case((1, 60)), a_case((1, 61)), FRACSEG, FRACSEG)
    with pytest.raises(ValueError, match="belongs to no bone"):
        score_case(a_case((31, 60)), a_case((1, 60)), PENGWIN_2024, FRACSEG)
