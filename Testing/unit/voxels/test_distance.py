"""Distances and dilations, by hand, against scipy's transform, and with and without `edt`."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from FractureSegmentationLib.types import Spacing
from FractureSegmentationLib.voxels.distance import distance_to_mm, label_depth_mm, within_mm

SPACINGS: tuple[Spacing, ...] = ((1.0, 1.0, 1.0), (2.5, 0.8, 1.0), (0.7, 1.3, 3.0))
random_grids = st.tuples(st.integers(1, 14), st.integers(1, 14), st.integers(1, 19))


@pytest.fixture(params=["edt", "scipy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the library, and as where it cannot be imported."""
    if request.param == "scipy":
        monkeypatch.setitem(sys.modules, "edt", None)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_depth_counts_another_label_as_outside() -> None:
    """Labels 1 1 1 2 2 along k at 2 mm: each voxel's nearest foreign voxel is k steps away."""
    labels = np.array([1, 1, 1, 2, 2], np.uint8).reshape(5, 1, 1)

    depth_mm = label_depth_mm(labels, (2.0, 1.0, 1.0), limit_mm=20.0)

    assert depth_mm.ravel().tolist() == [6.0, 4.0, 2.0, 2.0, 4.0]


@pytest.mark.usefixtures("way")
def test_depth_is_zero_in_the_background_and_capped_at_the_limit() -> None:
    labels = np.array([0, 3, 3, 3, 3], np.uint16).reshape(1, 1, 5)

    depth_mm = label_depth_mm(labels, (1.0, 1.0, 1.0), limit_mm=2.5)

    assert depth_mm.ravel().tolist() == [0.0, 1.0, 2.0, 2.5, 2.5]


@pytest.mark.usefixtures("way")
def test_distance_to_a_mask_is_measured_in_mm() -> None:
    mask = np.zeros((3, 1, 3), bool)
    mask[0, 0, 0] = True

    distance_mm = distance_to_mm(mask, (3.0, 1.0, 2.0), limit_mm=30.0)

    assert distance_mm[0, 0, 0] == 0.0
    assert distance_mm[2, 0, 0] == 6.0
    assert distance_mm[1, 0, 2] == pytest.approx(5.0)


@pytest.mark.usefixtures("way")
def test_nothing_is_further_away_than_the_limit() -> None:
    """A voxel in the corner of a wide array, and an empty mask: the limit everywhere else."""
    mask = np.zeros((20, 20, 20), bool)
    mask[0, 0, 0] = True

    assert distance_to_mm(mask, (1.0, 1.0, 1.0), 3.0)[19, 19, 19] == 3.0
    assert (distance_to_mm(np.zeros_like(mask), (1.0, 1.0, 1.0), 3.0) == 3.0).all()


@pytest.mark.usefixtures("way")
def test_depth_leaves_its_input_alone() -> None:
    labels = np.ones((4, 4, 4), np.uint8)
    labels.flags.writeable = False

    assert label_depth_mm(labels, (1.0, 1.0, 1.0), 3.0).min() == 3.0


@settings(max_examples=60, deadline=None)
@given(
    shape=random_grids,
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.05, 0.4, 0.95]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.uint32]),
    spacing_mm=st.sampled_from(SPACINGS),
    limit_mm=st.sampled_from([1.0, 3.0, 5.7, 30.0]),
)
def test_depth_equals_one_full_transform_per_label(
    shape: tuple[int, int, int],
    seed: int,
    share: float,
    dtype: type,
    spacing_mm: Spacing,
    limit_mm: float,
) -> None:
    """Labels that reach the border of the array included: nothing lies beyond it."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(shape) < share, rng.integers(1, 4, shape), 0).astype(dtype)

    depth_mm = label_depth_mm(labels, spacing_mm, limit_mm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "edt", None)
        by_scipy = label_depth_mm(labels, spacing_mm, limit_mm)

    expected = np.zeros(shape)
    for label in range(1, 4):
        own = labels == label
        mm = distance_transform_edt(own, sampling=spacing_mm) if not own.all() else np.inf
        expected += np.where(own, np.minimum(mm, limit_mm), 0.0)
    assert depth_mm.dtype == by_scipy.dtype == np.float32
    np.testing.assert_allclose(depth_mm, expected, atol=3e-6)
    np.testing.assert_allclose(by_scipy, expected, atol=3e-6)


def test_a_bone_in_a_wide_box_and_in_a_tight_one_has_the_same_depth() -> None:
    labels = np.random.default_rng(4).integers(1, 3, (6, 7, 8)).astype(np.uint8)
    tight, wide = np.pad(labels, 1), np.pad(labels, 12)

    inner = label_depth_mm(wide, (1.0, 0.8, 2.0), 3.0)[11:-11, 11:-11, 11:-11]

    np.testing.assert_array_equal(inner, label_depth_mm(tight, (1.0, 0.8, 2.0), 3.0))


@settings(max_examples=60, deadline=None)
@given(
    shape=random_grids,
    seed=st.integers(0, 10_000),
    spacing_mm=st.sampled_from(SPACINGS),
    reach_mm=st.sampled_from([0.0, 1.0, 3.0, 5.0, 11.0]),
)
def test_within_reach_is_what_the_distance_transform_says(
    shape: tuple[int, int, int], seed: int, spacing_mm: Spacing, reach_mm: float
) -> None:
    mask = np.random.default_rng(seed).random(shape) < 0.03

    near = within_mm(mask, spacing_mm, reach_mm)

    far = distance_transform_edt(~mask, sampling=spacing_mm) if mask.any() else np.inf
    np.testing.assert_array_equal(near, np.broadcast_to(far <= reach_mm, shape))


def test_a_ball_of_two_voxels_has_33_of_them() -> None:
    """Offsets with a squared length up to 4: 1 + 6 + 12 + 8 + 6."""
    mask = np.zeros((9, 9, 9), bool)
    mask[4, 4, 4] = True

    assert within_mm(mask, (1.0, 1.0, 1.0), 2.0).sum() == 33
