"""The plain forms mean what they say, and the fast ones give exactly what they give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fracseg_training.benchmarks.speed.maps import broken_block, noisy_map, perfect_map
from fracseg_training.benchmarks.speed.recovery import (
    ball,
    plain_contact,
    plain_encoding,
    plain_recovery,
)
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.types import LabelArray, Spacing
from FractureSegmentationLib.volume import FragmentMap

PAPER = RecoveryConfig(mode="paper")


def thick_cells(seed: int) -> LabelArray:
    return broken_block(edge=26 + seed % 9, count=1 + seed % 5, seed=seed)


def on_grid(found: FragmentMap, spacing_mm: Spacing) -> FragmentMap:
    geometry = Geometry(shape=found.geometry.shape, spacing_mm=spacing_mm)
    return FragmentMap(voxels=found.voxels, geometry=geometry, channels=found.channels)


def test_contact_is_where_another_fragment_lies_within_the_cube() -> None:
    """Fragments meet between 4 and 5; a cube of 7 reaches 3 voxels: contact is 2 to 7."""
    row = np.array([1] * 5 + [2] * 5, np.uint8).reshape(1, 1, 10)

    assert np.flatnonzero(plain_contact(row, 7)).tolist() == [2, 3, 4, 5, 6, 7]


def test_a_ball_is_round_in_millimetres() -> None:
    """Radius 2 mm on (2, 1, 1) mm: 1 step along k; 13 voxels in the middle plane, 1 above it."""
    element = ball(2.0, (2.0, 1.0, 1.0))

    assert element.shape == (3, 5, 5)
    assert [int(plane.sum()) for plane in element] == [1, 13, 1]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000), spacing_mm=st.sampled_from([(1.0, 1.0, 1.0), (1.2, 0.8, 1.0)]))
def test_encoding_is_identical_to_one_shift_per_neighbour(seed: int, spacing_mm: Spacing) -> None:
    fragments = thick_cells(seed)
    plain = plain_encoding(fragments, spacing_mm, bicm.BicmConfig())

    coded = bicm.encode(fragments, spacing_mm)

    keeps_interior = {int(n) for n in np.unique(fragments[plain == bicm.INTERIOR])}
    compared = np.isin(fragments, [0, *keeps_interior])
    assert keeps_interior
    np.testing.assert_array_equal(coded[compared], plain[compared])


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1000),
    spacing_mm=st.sampled_from([(1.0, 1.0, 1.0), (1.2, 0.8, 1.0), (0.8, 0.8, 0.8)]),
)
def test_paper_recovery_is_voxel_identical_to_the_published_steps(
    seed: int, spacing_mm: Spacing
) -> None:
    fragments = thick_cells(seed)
    found = on_grid(noisy_map(fragments, np.random.default_rng(seed)), spacing_mm)
    bone = fragments > 0

    ours = bicm.decode(found, bone, PAPER).labels

    np.testing.assert_array_equal(ours, plain_recovery(found, bone))
    np.testing.assert_array_equal(ours, plain_recovery(found, bone, dilates_with_a_ball=True))


def test_a_bone_without_contact_and_one_without_interior_are_one_fragment_in_both_forms() -> None:
    whole = broken_block(edge=14, count=1)
    shell = np.zeros((5, 9, 9), np.uint8)
    shell[2, 1:8, 1:8] = 1
    nothing = np.zeros((4, *shell.shape), np.float16)
    nothing[1] = shell
    geometry = Geometry(shape=(5, 9, 9), spacing_mm=(1.0, 1.0, 1.0))
    only_boundary = FragmentMap(voxels=nothing, geometry=geometry, channels=bicm.CHANNELS)

    for found, fragments in ((perfect_map(whole), whole), (only_boundary, shell)):
        for labels in (
            plain_recovery(found, fragments > 0),
            bicm.decode(found, fragments > 0, PAPER).labels,
        ):
            np.testing.assert_array_equal(labels, fragments)


@pytest.mark.parametrize("count", [1, 7])
def test_a_broken_block_has_as_many_fragments_as_asked_for(count: int) -> None:
    block = broken_block(edge=30, count=count)

    assert block.shape == (38, 38, 38)
    assert np.unique(block).tolist() == list(range(count + 1))
    assert (block > 0).sum() == 30**3
