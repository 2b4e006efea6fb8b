"""Surfaces and the distances between them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_erosion, distance_transform_edt, generate_binary_structure

from FractureSegmentationLib.evaluation.surface import (
    missing_distances,
    surface_distances,
    surface_points_mm,
)
from FractureSegmentationLib.types import MaskArray

SPACING_MM = (2.0, 0.5, 1.0)


def a_plate(k: int) -> MaskArray:
    """One slice of 4 x 6 voxels at height k of 5."""
    mask = np.zeros((5, 4, 6), bool)
    mask[k] = True
    return mask


def test_distance_between_two_plates_is_their_gap_in_millimetres() -> None:
    """Plates at k = 1 and k = 4 lie 3 steps of 2 mm apart, every point of them."""
    distances = surface_distances(a_plate(1), a_plate(4), SPACING_MM)

    assert distances.hd95_mm == pytest.approx(6.0)
    assert distances.assd_mm == pytest.approx(6.0)


def test_equal_masks_are_zero_apart() -> None:
    assert surface_distances(a_plate(2), a_plate(2), SPACING_MM).hd95_mm == 0.0


def test_assd_pools_the_points_of_both_surfaces() -> None:
    """Truth: 1 voxel. Prediction: it and its 3 followers, 1, 2, 3 mm away: (0+1+2+3+0) / 5."""
    truth, prediction = np.zeros((2, 1, 1, 6), bool)
    truth[..., 0] = True
    prediction[..., :4] = True

    assert surface_distances(prediction, truth, (1.0, 1.0, 1.0)).assd_mm == pytest.approx(1.2)


def test_hd95_is_the_larger_of_the_two_directions() -> None:
    """Seen from the single true voxel the other surface is 0 away; from there, up to 19 mm.

    95 % of 0..19 lies at 0.95 * 19 = 18.05 mm.
    """
    truth, prediction = np.zeros((2, 1, 1, 20), bool)
    truth[..., 0] = True
    prediction[...] = True

    for a, b in ((truth, prediction), (prediction, truth)):
        assert surface_distances(a, b, (1.0, 1.0, 1.0)).hd95_mm == pytest.approx(18.05)


def test_missing_fragment_costs_the_sphere_around_it() -> None:
    """A rod of 5 voxels of 2 mm: centres reach 4 mm from the middle."""
    truth = np.zeros((5, 3, 3), bool)
    truth[:, 1, 1] = True
    empty = np.zeros_like(truth)

    distances = surface_distances(empty, truth, SPACING_MM)

    assert (distances.hd95_mm, distances.assd_mm) == (8.0, 4.0)
    assert distances == missing_distances(truth, SPACING_MM)


def test_surface_is_what_the_six_neighbour_erosion_removes() -> None:
    """Of a 3 x 3 x 3 cube only the centre is inside."""
    cube = np.ones((3, 3, 3), bool)

    points = surface_points_mm(cube, SPACING_MM)

    assert len(points) == 26
    assert not (points == (2.0, 0.5, 1.0)).all(axis=1).any()


def test_empty_truth_and_other_grids_are_refused() -> None:
    full, empty = np.ones((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    with pytest.raises(ValueError, match="no surface"):
        surface_distances(full, empty, SPACING_MM)
    with pytest.raises(ValueError, match="share no grid"):
        surface_distances(full, np.ones((2, 2, 3), bool), SPACING_MM)


_MASKS = arrays(np.bool_, (4, 5, 6), elements=st.booleans())


@given(prediction=_MASKS, truth=_MASKS)
def test_distances_equal_those_of_the_distance_transform(
    prediction: MaskArray, truth: MaskArray
) -> None:
    assume(prediction.any() and truth.any())
    cross = generate_binary_structure(3, 1)
    a, b = (mask & ~binary_erosion(mask, cross) for mask in (prediction, truth))
    to_b = distance_transform_edt(~b, sampling=SPACING_MM)[a]
    to_a = distance_transform_edt(~a, sampling=SPACING_MM)[b]

    distances = surface_distances(prediction, truth, SPACING_MM)

    assert math.isclose(
        distances.hd95_mm, max(np.percentile(to_a, 95), np.percentile(to_b, 95)), abs_tol=1e-9
    )
    assert math.isclose(
        distances.assd_mm, (to_a.sum() + to_b.sum()) / (to_a.size + to_b.size), abs_tol=1e-9
    )
