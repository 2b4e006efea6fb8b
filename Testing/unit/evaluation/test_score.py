"""Scores of one bone."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.evaluation.score import BoneScorer, score_bone
from FractureSegmentationLib.types import LabelArray

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


def test_real_bones_score_one_against_themselves_within_seconds(real_data: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(real_data / "real" / "003" / "fragments.nii.gz"))
    truth = sitk.GetArrayFromImage(image)
    start = time.perf_counter()

    score = score_bone(truth, truth, image.GetSpacing()[::-1])

    assert time.perf_counter() - start < 10.0
    assert score.headline.iou == score.headline.dice == 1.0
    assert score.headline.hd95_mm == 0.0
    assert score.counts.found == 5
