"""Growth to the nearest seed, held against one distance transform of the whole grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter

from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.nearest import grow_nearest

EXACT: tuple[Spacing, ...] = ((1.0, 1.0, 1.0), (2.5, 0.5, 1.0), (1.25, 0.75, 0.75))
ROUNDED: tuple[Spacing, ...] = ((1.2, 0.8, 1.0), (0.8, 0.8, 0.8), (1.0, 0.78125, 0.9))


def by_scipy(seeds: LabelArray, bone: MaskArray, spacing_mm: Spacing) -> LabelArray:
    nearest = distance_transform_edt(
        seeds == 0, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    return np.where(bone, seeds[tuple(nearest)], 0)


def a_lump_with_seeds(seed: int, count: int) -> tuple[LabelArray, MaskArray]:
    """A random lump of bone; seeds are balls in it, so that wide parts are far from all of them."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(8, 44, 3))
    field = gaussian_filter(rng.normal(size=shape), 4.0)
    bone = field > np.quantile(field, 0.5)
    seeds = np.zeros(shape, np.uint32)
    grids = np.ogrid[tuple(slice(n) for n in shape)]
    for label in range(1, count + 1):
        centre = rng.integers(0, shape)
        squared = sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True))
        seeds[(squared <= rng.integers(0, 12)) & bone] = label
    return seeds, bone


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.sampled_from([1, 2, 3, 9, 60]),
    spacing_mm=st.sampled_from([*EXACT, *ROUNDED]),
)
def test_every_voxel_joins_the_seed_that_scipy_finds_nearest(
    seed: int, count: int, spacing_mm: Spacing
) -> None:
    """Ties included: seeds on a grid are often equally near."""
    seeds, bone = a_lump_with_seeds(seed, count)

    grown = grow_nearest(seeds, bone, spacing_mm)

    if seeds.any():
        np.testing.assert_array_equal(grown, by_scipy(seeds, bone, spacing_mm))
    else:
        assert not grown.any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_of_two_seeds_equally_near_the_first_along_the_axis_wins(axis: int) -> None:
    seeds = np.zeros((9, 9, 9), np.uint32)
    first, second = [4, 4, 4], [4, 4, 4]
    first[axis], second[axis] = 1, 7
    seeds[tuple(first)], seeds[tuple(second)] = 5, 3

    assert grow_nearest(seeds, np.ones(seeds.shape, bool), (1.0, 1.0, 1.0))[4, 4, 4] == 5


def test_a_step_along_i_decides_before_j_and_j_before_k() -> None:
    """From (0, 0, 0): (3, 0, 4) and (4, 3, 0) are 5 away, and so is (0, 4, 3)."""
    seeds = np.zeros((6, 6, 6), np.uint32)
    seeds[3, 0, 4], seeds[4, 3, 0], seeds[0, 4, 3] = 1, 2, 3
    only_j_and_k = seeds.copy()
    only_j_and_k[4, 3, 0] = 0
    bone = np.ones(seeds.shape, bool)

    assert grow_nearest(seeds, bone, (1.0, 1.0, 1.0))[0, 0, 0] == 2
    assert grow_nearest(only_j_and_k, bone, (1.0, 1.0, 1.0))[0, 0, 0] == 3


def test_seeds_outside_the_bone_count_and_large_labels_survive() -> None:
    seeds = np.zeros((1, 1, 6), np.uint32)
    seeds[0, 0, 0], seeds[0, 0, 5] = 4_000_000_000, 7
    bone = np.array([0, 1, 1, 1, 1, 0], bool).reshape(1, 1, 6)

    grown = grow_nearest(seeds, bone, (1.0, 1.0, 1.0))

    assert grown.ravel().tolist() == [0, 4_000_000_000, 4_000_000_000, 7, 7, 0]
