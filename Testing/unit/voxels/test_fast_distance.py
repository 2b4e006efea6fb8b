"""Distances and dilations by short cuts, held against the long way."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from FractureSegmentationLib.types import Spacing
from FractureSegmentationLib.voxels.distance import label_depth_mm, within_mm
from FractureSegmentationLib.voxels.sparse_distance import sparse_depth_mm

SPACINGS: tuple[Spacing, ...] = ((1.0, 1.0, 1.0), (2.5, 0.8, 1.0), (0.7, 1.3, 3.0))
random_grids = st.tuples(st.integers(1, 14), st.integers(1, 14), st.integers(1, 19))


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


@settings(max_examples=60, deadline=None)
@given(
    shape=random_grids,
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.05, 0.4, 0.95]),
    spacing_mm=st.sampled_from(SPACINGS),
    limit_mm=st.sampled_from([1.0, 3.0, 5.7, 30.0]),
)
def test_visiting_only_labelled_voxels_gives_the_same_depth(
    shape: tuple[int, int, int], seed: int, share: float, spacing_mm: Spacing, limit_mm: float
) -> None:
    """Labels that reach the border of the array included: nobody lies beyond it."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(shape) < share, rng.integers(1, 4, shape), 0).astype(np.uint8)

    found = sparse_depth_mm(labels, spacing_mm, limit_mm)

    expected = np.zeros(shape)
    for label in range(1, 4):
        own = labels == label
        mm = distance_transform_edt(own, sampling=spacing_mm) if not own.all() else np.inf
        expected += np.where(own, np.minimum(mm, limit_mm), 0.0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_bone_in_a_wide_box_and_in_a_tight_one_has_the_same_depth() -> None:
    """The tight box is full of labels, the wide one almost empty: two ways, one result."""
    labels = np.random.default_rng(4).integers(1, 3, (6, 7, 8)).astype(np.uint8)
    tight, wide = np.pad(labels, 1), np.pad(labels, 12)

    found = label_depth_mm(wide, (1.0, 0.8, 2.0), 3.0)[11:-11, 11:-11, 11:-11]

    np.testing.assert_array_equal(found, label_depth_mm(tight, (1.0, 0.8, 2.0), 3.0))
