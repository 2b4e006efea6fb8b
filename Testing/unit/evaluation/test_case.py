"""Scores of a case with several bones."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.numbering import FRACSEG, PENGWIN_2024, PENGWIN_2026
from FractureSegmentationLib.evaluation.score import score_case
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import LabelVolume


def a_case(*pieces: tuple[int, int]) -> LabelVolume:
    """A row of (label, voxels); one voxel is 10 mm³."""
    labels = np.repeat([p[0] for p in pieces], [p[1] for p in pieces]).astype(np.uint16)
    geometry = Geometry(shape=(1, 1, len(labels)), spacing_mm=(1.0, 2.0, 5.0))
    return LabelVolume(voxels=labels.reshape(1, 1, -1), geometry=geometry)


def test_headline_is_the_mean_over_bones_of_the_means_over_their_fragments() -> None:
    """Sacrum 1 of 1 found; left hip 1 of 3: (1 + 1/3) / 2, not 2/4."""
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
