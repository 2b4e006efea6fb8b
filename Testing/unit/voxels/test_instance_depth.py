"""Distances up to a limit, by hand and against the full transform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from FractureSegmentationLib.voxels.distance import distance_to_mm, label_depth_mm


def test_depth_counts_another_label_as_outside() -> None:
    """Labels 1 1 1 2 2 along k at 2 mm: each voxel's nearest foreigner is k steps away."""
    labels = np.array([1, 1, 1, 2, 2], np.uint8).reshape(5, 1, 1)

    depth_mm = label_depth_mm(labels, (2.0, 1.0, 1.0), limit_mm=20.0)

    assert depth_mm.ravel().tolist() == [6.0, 4.0, 2.0, 2.0, 4.0]


def test_depth_is_zero_in_the_background_and_capped_at_the_limit() -> None:
    labels = np.array([0, 3, 3, 3, 3], np.uint16).reshape(1, 1, 5)

    depth_mm = label_depth_mm(labels, (1.0, 1.0, 1.0), limit_mm=2.5)

    assert depth_mm.ravel().tolist() == [0.0, 1.0, 2.0, 2.5, 2.5]


@given(seed=st.integers(0, 10_000), limit_mm=st.sampled_from([1.0, 3.3, 50.0]))
def test_depth_equals_one_full_transform_per_label(seed: int, limit_mm: float) -> None:
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 4, (3, 2, 3)), np.ones((3, 3, 2))).astype(np.uint8)
    spacing_mm = tuple(rng.uniform(0.5, 2.0, 3))

    depth_mm = label_depth_mm(labels, spacing_mm, limit_mm)

    for label in range(1, 4):
        own = labels == label
        if own.any() and not own.all():
            expected = np.minimum(distance_transform_edt(own, sampling=spacing_mm), limit_mm)
            np.testing.assert_allclose(depth_mm[own], expected[own], rtol=1e-5)


def test_distance_to_a_mask_is_measured_in_mm() -> None:
    mask = np.zeros((3, 1, 3), bool)
    mask[0, 0, 0] = True

    distance_mm = distance_to_mm(mask, (3.0, 1.0, 2.0), limit_mm=30.0)

    assert distance_mm[0, 0, 0] == 0.0
    assert distance_mm[2, 0, 0] == 6.0
    assert distance_mm[1, 0, 2] == pytest.approx(5.0)


def test_depth_leaves_its_input_alone() -> None:
    labels = np.ones((4, 4, 4), np.uint8)
    labels.flags.writeable = False

    assert label_depth_mm(labels, (1.0, 1.0, 1.0), 3.0).min() == 3.0
