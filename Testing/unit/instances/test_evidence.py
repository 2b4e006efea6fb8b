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


def test_grids_that_differ_and_masks_that_are_not_boolean_are_refused() -> None:
    one = np.zeros((2, 2, 2), np.float32)
    with pytest.raises(ValueError, match="boolean"):
        Evidence.of(one, one, one, one, MM)
    with pytest.raises(ValueError, match="interior"):
        Evidence.of(one, one[:1], one, np.ones((2, 2, 2), bool), MM)
