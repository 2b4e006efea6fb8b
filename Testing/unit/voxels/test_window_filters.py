"""Window extrema, by hand and against scipy's filters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter, minimum_filter

from FractureSegmentationLib.voxels.windows import (
    another_label_near,
    window_maximum,
    window_minimum,
)


@given(
    seed=st.integers(0, 10_000),
    radius=st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 5)),
)
def test_window_extrema_equal_scipys(seed: int, radius: tuple[int, int, int]) -> None:
    values = np.random.default_rng(seed).normal(size=(7, 5, 6)).astype(np.float32)
    size = [2 * r + 1 for r in radius]

    np.testing.assert_array_equal(
        window_maximum(values, radius), maximum_filter(values, size, mode="nearest")
    )
    np.testing.assert_array_equal(
        window_minimum(values, radius), minimum_filter(values, size, mode="nearest")
    )


def test_window_of_radius_zero_is_a_copy() -> None:
    values = np.zeros((2, 2, 2), np.uint8)

    result = window_maximum(values, 0)
    result[:] = 1

    assert not values.any()


def test_another_label_is_near_only_within_the_cube_and_background_is_none() -> None:
    """Labels 1 . . 2 . 0-filled: 1 and 2 are three steps apart."""
    labels = np.array([1, 0, 0, 2, 0, 0], np.uint8).reshape(1, 1, 6)

    assert not another_label_near(labels, 2).any()
    near = another_label_near(labels, 3)
    assert near.ravel().tolist() == [True, False, False, True, False, False]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_the_largest_label_of_a_type_is_a_label_like_any_other(dtype: type) -> None:
    labels = np.array([5, np.iinfo(dtype).max - 1], dtype).reshape(1, 1, 2)

    assert another_label_near(labels, 1).all()
