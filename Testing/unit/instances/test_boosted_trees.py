"""Boosted trees as arrays: evaluated as where they were trained, refused where broken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from FractureSegmentationLib.instances.learned.boosted_trees import BoostedTrees

# One tree: x0 <= 1 gives +2; else x1 <= 0 gives -1, and what is more gives +1.
STUMPS = BoostedTrees(
    feature=np.array([[0, -1, 1, -1, -1]], np.int32),
    threshold=np.array([[1.0, 0.0, 0.0, 0.0, 0.0]], np.float32),
    left=np.array([[1, -1, 3, -1, -1]], np.int32),
    right=np.array([[2, -1, 4, -1, -1]], np.int32),
    value=np.array([[0.0, 2.0, 0.0, -1.0, 1.0]], np.float32),
    offset=0.5,
    columns=2,
)


def test_a_row_goes_left_up_to_the_threshold() -> None:
    rows = np.array([[1.0, 9.0], [1.1, 0.0], [1.1, 0.1]], np.float32)

    odds = np.array([2.5, -0.5, 1.5])
    assert STUMPS.probability(rows) == pytest.approx(1.0 / (1.0 + np.exp(-odds)))


def test_arrays_bring_the_trees_back() -> None:
    again = BoostedTrees.from_arrays(STUMPS.to_arrays("edges"), "edges")

    rows = np.random.default_rng(0).normal(size=(50, 2))
    assert np.array_equal(again.probability(rows), STUMPS.probability(rows))


def test_no_row_is_no_probability() -> None:
    assert STUMPS.probability(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left", np.array([[0, -1, 3, -1, -1]], np.int32)),
        ("right", np.array([[2, -1, 9, -1, -1]], np.int32)),
        ("feature", np.array([[2, -1, 1, -1, -1]], np.int32)),
        ("value", np.array([[0.0, np.nan, 0.0, -1.0, 1.0]], np.float32)),
        ("value", np.zeros((1, 4), np.float32)),
    ],
)
def test_arrays_that_are_no_trees_are_refused(field: str, value: np.ndarray) -> None:
    with pytest.raises(ValueError, match="tree"):
        replace(STUMPS, **{field: value})


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="2 features"):
        STUMPS.probability(np.zeros((1, 3)))
