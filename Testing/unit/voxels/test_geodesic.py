"""Growth: nearest in mm, geodesic inside the bone, held against a reference solver."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import (
    binary_dilation,
    gaussian_filter,
    maximum_filter,
    minimum_filter,
)

from FractureSegmentationLib.voxels.geodesic import arrival_times, grow_geodesic
from FractureSegmentationLib.voxels.nearest import grow_nearest


def test_voxel_joins_the_seed_nearest_in_millimetres_not_in_voxels() -> None:
    """Voxel (1, 0, 0) is 1 step (2.0 mm) from seed 7 but 2 steps (1.6 mm) from seed 9."""
    seeds = np.zeros((2, 1, 3), np.uint32)
    seeds[0, 0, 0] = 7
    seeds[1, 0, 2] = 9
    bone = np.ones(seeds.shape, bool)
    spacing_mm = (2.0, 0.8, 0.8)

    assert grow_nearest(seeds, bone, spacing_mm)[1, 0, 0] == 9
    assert grow_geodesic(seeds, bone, np.ones(seeds.shape), spacing_mm)[1, 0, 0] == 9


def test_geodesic_growth_goes_around_a_gap_that_nearest_jumps() -> None:
    """A U of bone: (0, 4) is 2 from seed 2 across the gap, but 12 along the bone; seed 1 is 4."""
    bone = np.zeros((1, 3, 9), bool)
    bone[0, 0, :] = bone[0, 2, :] = bone[0, 1, 8] = True
    seeds = np.zeros(bone.shape, np.uint32)
    seeds[0, 0, 0] = 1
    seeds[0, 2, 4] = 2

    geodesic = grow_geodesic(seeds, bone, np.ones(bone.shape), (1.0, 1.0, 1.0))

    assert geodesic[0, 0, 4] == 1
    assert grow_nearest(seeds, bone, (1.0, 1.0, 1.0))[0, 0, 4] == 2


def test_fronts_meet_where_crossing_is_slow() -> None:
    """11 voxels, seeds at the ends, voxel 3 slow: seed 1 waits there, seed 2 takes 4 to 9."""
    seeds = np.zeros((1, 1, 11), np.uint32)
    seeds[0, 0, 0], seeds[0, 0, 10] = 1, 2
    slowness = np.ones(seeds.shape)
    slowness[0, 0, 3] = 100.0

    grown = grow_geodesic(seeds, np.ones(seeds.shape, bool), slowness, (1.0, 1.0, 1.0))

    assert grown.ravel().tolist() == [1, 1, 1] + [grown[0, 0, 3]] + [2] * 7


def test_growth_stays_in_the_bone_and_leaves_what_it_cannot_reach() -> None:
    bone = np.array([1, 1, 0, 1], bool).reshape(1, 1, 4)
    seeds = np.array([5, 0, 0, 0], np.uint32).reshape(1, 1, 4)

    grown = grow_geodesic(seeds, bone, np.ones(bone.shape), (1.0, 1.0, 1.0))

    assert grown.ravel().tolist() == [5, 5, 0, 0]


def test_a_seed_outside_the_bone_does_not_flood_it() -> None:
    bone = np.array([0, 1, 1], bool).reshape(1, 1, 3)
    seeds = np.array([5, 0, 0], np.uint32).reshape(1, 1, 3)

    assert not grow_geodesic(seeds, bone, np.ones(bone.shape), (1.0, 1.0, 1.0)).any()


def test_without_seeds_nothing_grows() -> None:
    bone = np.ones((2, 2, 2), bool)
    nothing = np.zeros(bone.shape, np.uint32)

    assert not grow_nearest(nothing, bone, (1.0, 1.0, 1.0)).any()
    assert not grow_geodesic(nothing, bone, np.ones(bone.shape), (1.0, 1.0, 1.0)).any()


def test_differing_grids_and_speeds_without_end_are_refused() -> None:
    bone = np.ones((2, 2, 2), bool)
    with pytest.raises(ValueError, match="one grid"):
        grow_geodesic(np.zeros((2, 2, 3), np.uint32), bone, np.ones((2, 2, 2)), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="positive"):
        grow_geodesic(np.zeros((2, 2, 2), np.uint32), bone, np.zeros((2, 2, 2)), (1.0, 1.0, 1.0))


@given(seed=st.integers(0, 10_000))
def test_every_voxel_connected_to_a_seed_is_labelled_and_seeds_keep_their_label(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bone = np.ones((6, 7, 5), bool)
    seeds = np.where(rng.random(bone.shape) < 0.05, rng.integers(1, 5, bone.shape), 0)
    slowness = rng.uniform(1.0, 10.0, bone.shape)

    grown = grow_geodesic(seeds, bone, slowness, (1.0, 0.7, 1.3))

    assert np.array_equal(grown[seeds > 0], seeds[seeds > 0])
    assert bool((grown > 0).all()) == bool(seeds.any())


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.5, 0.8, 0.8)])
def test_growth_agrees_with_one_fast_march_per_seed(
    spacing_mm: tuple[float, float, float], rng: np.random.Generator
) -> None:
    """At least 99.5 % of voxels equal, every other one beside a boundary between two labels.

    Four fragments of a lump of bone with slow bands around their interfaces; the seeds are what
    lies 4 voxels and more from those, so that fronts meet all over the interfaces.
    """
    skfmm = pytest.importorskip("skfmm", reason="scikit-fmm is an optional reference")
    shape, count = (48, 50, 52), 4
    cube = np.ones((3, 3, 3), bool)
    field = gaussian_filter(rng.normal(size=shape), 6.0)
    bone = field > np.quantile(field, 0.3)
    parts = gaussian_filter(rng.normal(size=(count, *shape)), (0, 9, 9, 9)).argmax(axis=0) + 1
    edge = gaussian_filter((maximum_filter(parts, 3) != minimum_filter(parts, 3)) * 1.0, 1.0)
    slowness = 1.0 + 8.0 * edge
    far = maximum_filter(parts, 9) == minimum_filter(parts, 9)
    seeds = np.where(far & bone, parts, 0).astype(np.uint32)

    grown = grow_geodesic(seeds, bone, slowness, spacing_mm)

    arrivals = []
    for label in range(1, count + 1):
        phi = np.ma.MaskedArray(np.where(seeds == label, -1.0, 1.0), ~bone)
        time = skfmm.travel_time(phi, 1.0 / slowness, dx=spacing_mm, order=1)
        arrivals.append(np.where(np.ma.getmaskarray(time), np.inf, np.ma.getdata(time)))
    earliest = np.stack(arrivals)
    reached = np.isfinite(earliest.min(axis=0)) & bone
    expected = np.where(reached, earliest.argmin(axis=0) + 1, 0)
    assert np.array_equal(grown > 0, reached)
    differ = grown != expected
    assert differ.sum() <= 0.005 * reached.sum()
    beside = np.zeros(shape, bool)
    for label in range(1, count + 1):
        beside |= binary_dilation(expected == label, cube) & reached & (expected != label)
    assert not (differ & ~beside).any()


def test_arrival_is_path_length_times_slowness_and_infinite_where_no_front_comes() -> None:
    """Along a row of 2 mm voxels, the third twice as slow: 0, 2, 2 + 4, and beyond a gap never."""
    bone = np.array([1, 1, 1, 0, 1], bool).reshape(1, 1, 5)
    slowness = np.array([1.0, 1.0, 2.0, 1.0, 1.0]).reshape(1, 1, 5)
    seeds = np.array([1, 0, 0, 0, 0], bool).reshape(1, 1, 5)

    times = arrival_times(seeds, bone, slowness, (1.0, 1.0, 2.0))

    assert times.ravel().tolist() == [0.0, 2.0, 6.0, np.inf, np.inf]
