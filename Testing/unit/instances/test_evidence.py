"""Probabilities of one bone, made ready."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.instances.evidence import Evidence

MM = (1.0, 1.0, 1.0)


def evidence_of(boundary: list[float], interior: list[float], contact: list[float]) -> Evidence:
    b, i, c = (np.array(v, np.float16).reshape(1, 1, -1) for v in (boundary, interior, contact))
    return Evidence.of(b, i, c, np.ones(b.shape, bool), MM)


def test_probabilities_outside_the_bone_and_not_finite_ones_count_as_zero() -> None:
    values = np.array([0.5, np.nan, np.inf, 0.5], np.float32).reshape(1, 1, 4)
    bone = np.array([1, 1, 1, 0], bool).reshape(1, 1, 4)

    actual = Evidence.of(values, values, values, bone, MM)

    assert actual.contact.ravel().tolist() == [0.5, 0.0, 0.0, 0.0]
    assert np.isnan(values[0, 0, 1])


def test_interior_is_where_it_is_likeliest_and_background_counts() -> None:
    """Columns: interior wins; contact wins; tie; background (1 - 0.4 = 0.6) wins."""
    actual = evidence_of([0.1, 0.1, 0.5, 0.0], [0.8, 0.4, 0.5, 0.4], [0.1, 0.5, 0.0, 0.0])

    assert actual.interior_mask().ravel().tolist() == [True, False, False, False]
    assert actual.contact_class().ravel().tolist() == [False, True, False, False]


def test_deep_boundary_separates_and_shell_does_not() -> None:
    """A block of 15³ with a boundary plane through the middle: only its deep part is a crack."""
    bone = np.ones((15, 15, 15), bool)
    boundary = np.zeros(bone.shape, np.float32)
    boundary[:, :, 7] = 0.9
    boundary[:, :, 0] = 0.9
    interior = 0.95 - boundary

    actual = Evidence.of(boundary, interior, np.zeros(bone.shape), bone, MM)
    separation = actual.separation(3.0)

    assert separation[7, 7, 7] == pytest.approx(0.9)
    assert separation[3, 7, 7] == pytest.approx(0.9)
    assert separation[2, 7, 7] == 0.0
    assert separation[7, 7, 0] == 0.0


def test_marrow_has_less_to_say_than_bone_near_the_surface() -> None:
    """A block of 15³ that is bone for 0.8: beyond 5 mm from its surface lies marrow.

    The centre of a voxel lies 1 mm from the first centre outside for the outermost voxel.
    """
    bone = np.ones((15, 15, 15), bool)
    interior = np.full(bone.shape, 0.8, np.float32)
    nothing = np.zeros(bone.shape)

    said = Evidence.of(nothing, interior, nothing, bone, MM).weight(5.0, 0.25)

    assert said[7, 7, 0] == pytest.approx(0.8)
    assert said[7, 7, 4] == pytest.approx(0.8)
    assert said[7, 7, 5] == pytest.approx(0.2)
    assert said[7, 7, 7] == pytest.approx(0.2)


def test_grids_that_differ_and_masks_that_are_not_boolean_are_refused() -> None:
    one = np.zeros((2, 2, 2), np.float32)
    with pytest.raises(ValueError, match="boolean"):
        Evidence.of(one, one, one, one, MM)
    with pytest.raises(ValueError, match="interior"):
        Evidence.of(one, one[:1], one, np.ones((2, 2, 2), bool), MM)
