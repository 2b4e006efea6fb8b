"""Connected components and their tables."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from FractureSegmentationLib.voxels.components import (
    Connectivity,
    connected_components,
    label_components,
    without_small_components,
)


def test_components_carry_sizes_boxes_and_centres() -> None:
    mask = np.zeros((3, 4, 5), bool)
    mask[0, 0, 0:2] = True
    mask[2, 3, 4] = True

    found = connected_components(mask, 6)

    assert found.count == 2
    assert found.sizes.tolist() == [57, 2, 1]
    assert found.boxes[1] == (slice(0, 1), slice(0, 1), slice(0, 2))
    np.testing.assert_allclose(found.centroids()[1], (0.0, 0.0, 0.5))
    np.testing.assert_allclose(found.centroids()[2], (2.0, 3.0, 4.0))


@pytest.mark.parametrize(
    ("connectivity", "edge_count", "corner_count"), [(6, 2, 2), (18, 1, 2), (26, 1, 1)]
)
def test_connectivity_decides_whether_edges_and_corners_connect(
    connectivity: int, edge_count: int, corner_count: int
) -> None:
    edge, corner = np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    edge[0, 0, 0] = edge[0, 1, 1] = True
    corner[0, 0, 0] = corner[1, 1, 1] = True

    assert label_components(edge, connectivity).max() == edge_count
    assert label_components(corner, connectivity).max() == corner_count


def test_an_empty_mask_has_no_component() -> None:
    assert connected_components(np.zeros((2, 2, 2), bool), 26).count == 0


def test_the_components_of_a_label_do_not_connect_with_those_of_another() -> None:
    labels = np.array([1, 2, 2, 0, 1, 1], np.uint8).reshape(1, 2, 3)

    assert label_components(labels, 6).ravel().tolist() == [1, 2, 2, 0, 3, 3]


def test_a_component_with_as_many_voxels_as_asked_for_stays() -> None:
    mask = np.array([1, 1, 0, 1, 0, 1, 1, 1], bool).reshape(1, 1, 8)

    kept = without_small_components(mask, 2, 6)

    assert kept.ravel().tolist() == [True, True, False, False, False, True, True, True]


def test_a_read_only_array_is_accepted_and_left_alone() -> None:
    mask = np.ones((2, 3, 4), bool)
    mask.flags.writeable = False

    assert (label_components(mask, 26) == 1).all()


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 10_000),
    values=st.integers(1, 4),
    connectivity=st.sampled_from([6, 18, 26]),
    is_mask=st.booleans(),
)
def test_without_cc3d_scipy_gives_the_same_numbers(
    shape: tuple[int, int, int], seed: int, values: int, connectivity: Connectivity, is_mask: bool
) -> None:
    labels = np.random.default_rng(seed).integers(0, values + 1, shape).astype(np.uint8)
    array = labels > 0 if is_mask else labels

    by_cc3d = label_components(array, connectivity)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cc3d", None)
        by_scipy = label_components(array, connectivity)

    assert by_cc3d.dtype == by_scipy.dtype == np.uint32
    np.testing.assert_array_equal(by_cc3d, by_scipy)
