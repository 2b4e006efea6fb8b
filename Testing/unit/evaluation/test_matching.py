"""Matching and overlap of labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from FractureSegmentationLib.evaluation.matching import (
    FragmentCounts,
    Match,
    count_fragments,
    match_table,
    overlap_table,
)
from FractureSegmentationLib.types import LabelArray


def matches_of(prediction: LabelArray, truth: LabelArray) -> tuple[Match, ...]:
    return match_table(overlap_table(prediction, truth))


def a_row(*labels: int) -> LabelArray:
    return np.array(labels, np.uint16).reshape(1, 1, -1)


def test_iou_and_dice_of_two_shifted_boxes_are_those_counted_by_hand() -> None:
    """4 voxels each, 3 shared: IoU 3 / 5, Dice 6 / 8."""
    (match,) = matches_of(a_row(0, 7, 7, 7, 7), a_row(3, 3, 3, 3, 0))

    assert match == Match(truth=3, prediction=7, iou=0.6, dice=0.75)


def test_matching_takes_the_best_sum_and_not_the_best_pair_first() -> None:
    """IoU: (1, 10) 6/14, (1, 20) 4/10, (2, 10) 4/10. The greedy way leaves 2 without a partner."""
    truth = a_row(*[1] * 10, *[2] * 4)
    prediction = a_row(*[20] * 4, *[10] * 10)

    matches = matches_of(prediction, truth)

    assert [(m.truth, m.prediction) for m in matches] == [(1, 20), (2, 10)]
    assert [m.iou for m in matches] == pytest.approx([0.4, 0.4])


def test_one_prediction_never_stands_for_two_fragments() -> None:
    matches = matches_of(a_row(9, 9, 9, 9), a_row(1, 1, 1, 2))

    assert [(m.truth, m.prediction) for m in matches] == [(1, 9), (2, 0)]
    assert matches[1].iou == 0.0


def test_pair_without_a_common_voxel_is_missing() -> None:
    (match,) = matches_of(a_row(0, 5), a_row(4, 0))

    assert match == Match(truth=4, prediction=0, iou=0.0, dice=0.0)


def test_empty_truth_and_empty_prediction_have_no_matches() -> None:
    assert matches_of(a_row(0, 0), a_row(0, 0)) == ()
    assert matches_of(a_row(0, 3), a_row(0, 0)) == ()


def test_table_counts_voxels_of_labels_alone_and_together() -> None:
    table = overlap_table(a_row(8, 8, 6, 0, 6), a_row(2, 1, 1, 1, 0))

    assert table.truth_labels.tolist() == [1, 2]
    assert table.prediction_labels.tolist() == [6, 8]
    assert table.truth_voxels.tolist() == [3, 1]
    assert table.prediction_voxels.tolist() == [2, 2]
    assert table.shared_voxels.tolist() == [[1, 1], [0, 1]]


def test_labels_too_large_for_bins_are_counted_all_the_same() -> None:
    """60,000 x 60,000 pairs do not fit in bins: the sorting way must give the same table."""
    table = overlap_table(a_row(60000, 60000, 1), a_row(60000, 2, 2))

    assert table.truth_labels.tolist() == [2, 60000]
    assert table.shared_voxels.tolist() == [[1, 1], [0, 1]]


def test_restricted_table_keeps_the_full_volume_of_its_labels() -> None:
    table = overlap_table(a_row(8, 8, 6), a_row(2, 1, 1)).restricted([1, 99], [8])

    assert table.truth_labels.tolist() == [1]
    assert table.prediction_voxels.tolist() == [2]
    assert table.shared_voxels.tolist() == [[1]]


@pytest.mark.parametrize(
    ("prediction", "truth", "reason"),
    [
        (np.zeros((1, 1, 2), np.int16), np.zeros((1, 2, 1), np.int16), "share no grid"),
        (np.full((1, 1, 2), -1, np.int16), np.ones((1, 1, 2), np.int16), "positive"),
    ],
)
def test_unusable_labels_are_refused(
    prediction: LabelArray, truth: LabelArray, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        overlap_table(prediction, truth)


_SMALL_LABELS = arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 4))


@given(prediction=_SMALL_LABELS, truth=_SMALL_LABELS)
def test_matches_are_one_to_one_and_their_iou_is_that_of_the_masks(
    prediction: LabelArray, truth: LabelArray
) -> None:
    matches = matches_of(prediction, truth)

    assert [m.truth for m in matches] == [v for v in np.unique(truth) if v]
    taken = [m.prediction for m in matches if m.prediction]
    assert len(taken) == len(set(taken))
    for m in matches:
        true, predicted = truth == m.truth, (prediction == m.prediction) & (m.prediction > 0)
        assert m.iou == pytest.approx((true & predicted).sum() / (true | predicted).sum())
        assert m.dice == pytest.approx(2 * m.iou / (1 + m.iou))


@given(labels=_SMALL_LABELS, shift=st.integers(1, 200))
def test_renaming_labels_changes_nothing(labels: LabelArray, shift: int) -> None:
    renamed = np.where(labels > 0, 300 - labels.astype(np.int32) + shift, 0)

    assert all(m.iou == 1.0 for m in matches_of(renamed, labels))


def counts_of(prediction: list[int], truth: list[int]) -> FragmentCounts:
    return count_fragments(
        overlap_table(np.array(prediction).reshape(1, 1, -1), np.array(truth).reshape(1, 1, -1))
    )


def test_fragment_is_detected_from_an_iou_of_one_half() -> None:
    """2 of 4 voxels: IoU exactly 0.5 is detected; 1 of 3 is missed and its match invented."""
    assert counts_of([1, 1, 0, 0], [1, 1, 1, 1]) == FragmentCounts(detected=1)
    assert counts_of([1, 0, 0], [1, 1, 1]) == FragmentCounts(invented=1, missed=1)


def test_prediction_that_covers_half_of_two_fragments_is_one_merge() -> None:
    """The prediction holds 4 of 4 and 1 of 2 true voxels."""
    counts = counts_of([7, 7, 7, 7, 7, 0], [1, 1, 1, 1, 2, 2])

    assert (counts.merges, counts.splits) == (1, 0)
    assert (counts.detected, counts.missed, counts.invented) == (1, 1, 0)


def test_prediction_that_takes_less_than_half_of_the_second_is_no_merge() -> None:
    assert counts_of([7, 7, 7, 0, 0], [1, 1, 2, 2, 2]).merges == 0


def test_fragment_that_covers_half_of_two_predictions_is_one_split() -> None:
    counts = counts_of([1, 1, 1, 1, 2, 2], [5, 5, 5, 5, 5, 0])

    assert (counts.merges, counts.splits) == (0, 1)
    assert (counts.detected, counts.missed, counts.invented) == (1, 0, 1)


def test_fragment_that_takes_less_than_half_of_the_second_prediction_is_no_split() -> None:
    """It holds 4 of 4 and 1 of 3 predicted voxels."""
    assert counts_of([1, 1, 1, 1, 2, 2, 2], [5, 5, 5, 5, 5, 0, 0]).splits == 0


def test_precision_recall_and_f1_follow_from_the_counts() -> None:
    counts = FragmentCounts(detected=3, invented=1, missed=2)

    assert counts.precision == 3 / 4
    assert counts.recall == 3 / 5
    assert counts.f1 == 6 / 9


def test_nothing_predicted_where_nothing_is_broken_off_is_perfect() -> None:
    nothing = FragmentCounts()

    assert (nothing.precision, nothing.recall, nothing.f1) == (1.0, 1.0, 1.0)


def test_missing_everything_has_neither_precision_nor_recall() -> None:
    all_missed = FragmentCounts(missed=2)

    assert (all_missed.precision, all_missed.recall, all_missed.f1) == (0.0, 0.0, 0.0)


def test_counts_of_two_bones_add_up() -> None:
    a = FragmentCounts(detected=1, invented=2, missed=3, merges=4, splits=5)
    b = FragmentCounts(detected=10, invented=20, missed=30, merges=40, splits=50)

    assert a + b == FragmentCounts(detected=11, invented=22, missed=33, merges=44, splits=55)
