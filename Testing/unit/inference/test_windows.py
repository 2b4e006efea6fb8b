"""Where the predictor looks: every marked voxel, well inside a window, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.inference.windows import gaussian_weights, padding_to, plan_windows


def test_a_row_of_bone_is_covered_by_evenly_spread_windows() -> None:
    """20 voxels by windows of 10 that share a quarter: 1 + ceil(10 / 7.5) = 3, at 0, 5 and 10."""
    where = np.ones((1, 1, 20), bool)
    windows = plan_windows(where, (1, 1, 10), 0.25)
    assert [w[2] for w in windows] == [slice(0, 10), slice(5, 15), slice(10, 20)]


def test_a_small_bone_gets_one_window_with_the_bone_in_its_middle() -> None:
    where = np.zeros((30, 30, 30), bool)
    where[10:14, 3:5, 28:30] = True
    (window,) = plan_windows(where, (10, 10, 10), 0.5)
    assert window == (slice(7, 17), slice(0, 10), slice(20, 30))


def test_a_window_without_bone_of_its_own_is_left_out() -> None:
    """Two lumps in opposite corners: of the 2 x 2 windows, the other two have nothing to say."""
    where = np.zeros((1, 20, 20), bool)
    where[0, :5, :5] = True
    where[0, -5:, -5:] = True
    windows = plan_windows(where, (1, 10, 10), 0.0)
    assert [(w[1].start, w[2].start) for w in windows] == [(0, 0), (10, 10)]


def test_nothing_marked_needs_no_window() -> None:
    assert plan_windows(np.zeros((9, 9, 9), bool), (4, 4, 4), 0.5) == ()


def test_windows_that_do_not_fit_and_senseless_overlaps_are_refused() -> None:
    with pytest.raises(ValueError, match="no window"):
        plan_windows(np.ones((3, 9, 9), bool), (4, 4, 4), 0.5)
    with pytest.raises(ValueError, match="overlap"):
        plan_windows(np.ones((9, 9, 9), bool), (4, 4, 4), 1.0)


@given(
    seed=st.integers(0, 1000),
    patch=st.tuples(*[st.integers(2, 8)] * 3),
    overlap=st.floats(0.0, 0.8),
)
def test_every_marked_voxel_is_seen_and_every_window_fits(
    seed: int, patch: tuple[int, int, int], overlap: float
) -> None:
    rng = np.random.default_rng(seed)
    where = rng.random(rng.integers(8, 24, 3)) < 0.02
    seen = np.zeros(where.shape, bool)
    for window in plan_windows(where, patch, overlap):
        assert seen[window].shape == patch
        seen[window] = True
    assert not (where & ~seen).any()


def test_the_middle_of_a_window_counts_most_and_its_corner_little() -> None:
    """One standard deviation (8 / 8 = 1 voxel) from the middle of 9 x 1 x 1: exp(-1/2 (8/9)^2)."""
    weights = gaussian_weights((9, 1, 1)).ravel()
    assert weights[4] == 1.0
    assert weights[5] == pytest.approx(np.exp(-0.5 * (8 / 9) ** 2))
    assert gaussian_weights((9, 9, 9)).min() == pytest.approx(1e-3)


def test_a_grid_too_small_is_padded_on_both_sides() -> None:
    assert padding_to((5, 8, 9), (8, 8, 8)) == ((1, 2), (0, 0), (0, 0))
