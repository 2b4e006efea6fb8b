"""Found, invented, missed, merged and split fragments."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.evaluation.matching import (
    FragmentCounts,
    count_fragments,
    overlap_table,
)


def counts_of(prediction: list[int], truth: list[int]) -> FragmentCounts:
    return count_fragments(
        overlap_table(np.array(prediction).reshape(1, 1, -1), np.array(truth).reshape(1, 1, -1))
    )


def test_fragment_is_found_from_an_iou_of_one_half() -> None:
    """2 of 4 voxels: IoU exactly 0.5 is found; 1 of 3, 0.33, is missed and its match invented."""
    assert counts_of([1, 1, 0, 0], [1, 1, 1, 1]) == FragmentCounts(found=1)
    assert counts_of([1, 0, 0], [1, 1, 1]) == FragmentCounts(invented=1, missed=1)


def test_prediction_that_covers_half_of_two_fragments_is_one_merge() -> None:
    """The prediction holds 4 of 4 and 1 of 2 true voxels."""
    counts = counts_of([7, 7, 7, 7, 7, 0], [1, 1, 1, 1, 2, 2])

    assert (counts.merges, counts.splits) == (1, 0)
    assert (counts.found, counts.missed, counts.invented) == (1, 1, 0)


def test_prediction_that_takes_less_than_half_of_the_second_is_no_merge() -> None:
    assert counts_of([7, 7, 7, 0, 0], [1, 1, 2, 2, 2]).merges == 0


def test_fragment_that_covers_half_of_two_predictions_is_one_split() -> None:
    counts = counts_of([1, 1, 1, 1, 2, 2], [5, 5, 5, 5, 5, 0])

    assert (counts.merges, counts.splits) == (0, 1)
    assert (counts.found, counts.missed, counts.invented) == (1, 0, 1)


def test_fragment_that_takes_less_than_half_of_the_second_prediction_is_no_split() -> None:
    """It holds 4 of 4 and 1 of 3 predicted voxels."""
    assert counts_of([1, 1, 1, 1, 2, 2, 2], [5, 5, 5, 5, 5, 0, 0]).splits == 0


def test_precision_recall_and_f1_follow_from_the_counts() -> None:
    counts = FragmentCounts(found=3, invented=1, missed=2)

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
    a = FragmentCounts(found=1, invented=2, missed=3, merges=4, splits=5)
    b = FragmentCounts(found=10, invented=20, missed=30, merges=40, splits=50)

    assert a + b == FragmentCounts(found=11, invented=22, missed=33, merges=44, splits=55)
