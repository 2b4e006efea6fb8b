"""Geometry: index to patient and back, cropping, resampling, comparison, refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.geometry import CANONICAL_DIRECTION, Geometry
from FractureSegmentationLib.types import Direction

# Rows k, j, i. Not symmetric, so that a transposed matrix gives another answer.
OBLIQUE: Direction = ((0.0, 0.6, 0.8), (1.0, 0.0, 0.0), (0.0, 0.8, -0.6))


def oblique_grid() -> Geometry:
    return Geometry(
        shape=(10, 20, 30),
        spacing_mm=(2.0, 0.5, 0.25),
        origin_lps_mm=(10.0, 20.0, 30.0),
        direction=OBLIQUE,
    )


def rotation_about(axis: np.ndarray, angle: float) -> Direction:
    """Rodrigues' formula; rows of a rotation matrix are orthonormal."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    k, j, i = (tuple(float(v) for v in row) for row in matrix)
    return (k, j, i)  # type: ignore[return-value]


def test_a_voxel_of_an_oblique_anisotropic_grid_lies_where_it_was_worked_out_by_hand() -> None:
    """(3, 4, 8) is 6 mm along k, 2 mm along j, 2 mm along i.

    x = 10 + 6*0 + 2*1 + 2*0; y = 20 + 6*0.6 + 2*0 + 2*0.8; z = 30 + 6*0.8 + 2*0 - 2*0.6.
    """
    assert oblique_grid().to_lps(np.array([3, 4, 8])) == pytest.approx([12.0, 25.2, 33.6])


def test_a_point_of_the_patient_has_the_index_that_was_worked_out_by_hand() -> None:
    """5 mm along x are 10 steps of j; (0, 5, 0) has 3 mm along k and 4 mm along i."""
    grid = oblique_grid()

    assert grid.to_index(np.array([15.0, 20.0, 30.0])) == pytest.approx([0.0, 10.0, 0.0])
    assert grid.to_index(np.array([10.0, 25.0, 30.0])) == pytest.approx([1.5, 0.0, 16.0])


def test_canonical_axes_point_to_superior_posterior_and_left() -> None:
    grid = Geometry(shape=(2, 2, 2), spacing_mm=(3.0, 2.0, 1.0))

    assert grid.direction == CANONICAL_DIRECTION
    assert grid.to_lps(np.eye(3)).tolist() == [[0, 0, 3], [0, 2, 0], [1, 0, 0]]


def test_many_voxels_at_once_keep_their_leading_axes() -> None:
    indices = np.zeros((4, 5, 3))

    points = oblique_grid().to_lps(indices)

    assert points.shape == (4, 5, 3)
    assert points[3, 4] == pytest.approx([10.0, 20.0, 30.0])


coordinates = st.floats(-500.0, 500.0)
lengths = st.floats(0.2, 6.0)


@given(
    axis=st.tuples(*[st.floats(-1.0, 1.0)] * 3).filter(lambda a: math.hypot(*a) > 0.1),
    angle=st.floats(-math.pi, math.pi),
    spacing_mm=st.tuples(lengths, lengths, lengths),
    origin=st.tuples(coordinates, coordinates, coordinates),
    index=st.tuples(coordinates, coordinates, coordinates),
    is_flipped=st.booleans(),
)
def test_an_index_survives_the_way_to_the_patient_and_back(
    axis: tuple[float, float, float],
    angle: float,
    spacing_mm: tuple[float, float, float],
    origin: tuple[float, float, float],
    index: tuple[float, float, float],
    is_flipped: bool,
) -> None:
    k, j, i = rotation_about(np.array(axis), angle)
    first = (-k[0], -k[1], -k[2]) if is_flipped else k
    grid = Geometry(
        shape=(4, 5, 6), spacing_mm=spacing_mm, origin_lps_mm=origin, direction=(first, j, i)
    )

    assert grid.to_index(grid.to_lps(np.array(index))) == pytest.approx(index, abs=1e-6)


def test_two_voxels_are_as_far_apart_as_their_spacing_says() -> None:
    ends = oblique_grid().to_lps(np.array([[0, 0, 0], [3, 4, 8]]))

    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(math.sqrt(6**2 + 2**2 + 2**2))


def test_volume_and_extent_are_in_millimetres() -> None:
    grid = oblique_grid()

    assert grid.voxel_volume_mm3 == pytest.approx(0.25)
    assert grid.extent_mm == pytest.approx((20.0, 10.0, 7.5))


def test_a_crop_starts_where_its_first_voxel_was() -> None:
    """Voxel (1, 2, 4) is 2, 1 and 1 mm along k, j, i: (10 + 1, 20 + 1.2 + 0.8, 30 + 1.6 - 0.6)."""
    crop = oblique_grid().cropped((slice(1, 5), slice(2, 20), slice(4, 5)))

    assert crop.shape == (4, 18, 1)
    assert crop.origin_lps_mm == pytest.approx((11.0, 22.0, 31.0))
    assert crop.spacing_mm == (2.0, 0.5, 0.25)
    assert crop.direction == OBLIQUE


def test_resampling_keeps_the_outer_border_in_place() -> None:
    """Spacing 2 to 4 along k: the first centre moves half an old voxel (1 mm) along (0, .6, .8).

    Along i, 0.25 to 1: (1 - 0.25) / 2 = 0.375 mm along (0, .8, -.6). Along j nothing changes.
    """
    coarse = oblique_grid().resampled((4.0, 0.5, 1.0))

    assert coarse.shape == (5, 20, 8)
    assert coarse.origin_lps_mm == pytest.approx((10.0, 20.9, 30.575))
    fine_corner = oblique_grid().to_lps(np.array([-0.5, -0.5, -0.5]))
    assert coarse.to_lps(np.array([-0.5, -0.5, -0.5])) == pytest.approx(fine_corner)


@given(count=st.integers(1, 400), old=st.floats(0.3, 5.0), new=st.floats(0.3, 5.0))
def test_a_resampled_grid_covers_the_old_one_and_less_than_a_voxel_more(
    count: int, old: float, new: float
) -> None:
    grid = Geometry(shape=(count, 1, 1), spacing_mm=(old, 1.0, 1.0)).resampled((new, 1.0, 1.0))

    beyond_mm = grid.extent_mm[0] - count * old

    assert beyond_mm > -1e-5 * new
    assert beyond_mm < new or grid.shape[0] == 1


def test_rounding_does_not_add_a_voxel() -> None:
    """3 * 0.1 / 0.3 is 1.0000000000000002 in floating point, and still one voxel."""
    grid = Geometry(shape=(3, 1, 1), spacing_mm=(0.1, 1.0, 1.0))

    assert grid.resampled((0.3, 1.0, 1.0)).shape == (1, 1, 1)


def test_grids_are_close_up_to_the_tolerance_and_no_further() -> None:
    grid = oblique_grid()

    assert grid.is_close_to(replace(grid, origin_lps_mm=(10.009, 20.0, 30.0)))
    assert not grid.is_close_to(replace(grid, origin_lps_mm=(10.011, 20.0, 30.0)))
    assert grid.is_close_to(replace(grid, origin_lps_mm=(10.5, 20.0, 30.0)), tolerance_mm=0.6)


def test_a_small_change_of_spacing_counts_at_the_far_corner() -> None:
    """0.002 mm per step is inside the tolerance after one step, 0.018 mm after nine."""
    grid = oblique_grid()

    assert not grid.is_close_to(replace(grid, spacing_mm=(2.002, 0.5, 0.25)))


def test_grids_of_other_shape_or_axes_are_not_close() -> None:
    grid = oblique_grid()
    k, j, i = OBLIQUE

    assert not grid.is_close_to(replace(grid, shape=(10, 20, 29)))
    assert not grid.is_close_to(replace(grid, direction=(k, j, (-i[0], -i[1], -i[2]))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": (0, 2, 2)}, "shape"),
        ({"shape": (2, 2)}, "shape"),
        ({"spacing_mm": (0.0, 1.0, 1.0)}, "spacing_mm"),
        ({"spacing_mm": (-1.0, 1.0, 1.0)}, "spacing_mm"),
        ({"spacing_mm": (math.nan, 1.0, 1.0)}, "spacing_mm"),
        ({"spacing_mm": (math.inf, 1.0, 1.0)}, "spacing_mm"),
        ({"origin_lps_mm": (math.nan, 0.0, 0.0)}, "origin_lps_mm"),
        ({"direction": ((0, 0, 1), (0, 1, 0), (0, 1, 0))}, "direction"),
        ({"direction": ((0, 0, 2), (0, 1, 0), (1, 0, 0))}, "direction"),
        ({"direction": ((0, 0, 1), (0, 1, 0), (math.nan, 0, 0))}, "direction"),
    ],
)
def test_an_impossible_grid_is_refused_by_name(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(oblique_grid(), **change)  # type: ignore[arg-type]
