"""Poses: which matrices are rigid, and what a shift and a turn do to a point."""

from __future__ import annotations

import math

import numpy as np
import pytest

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.planning.displacement import centroids_lps_mm, displacement_of
from FractureSegmentationLib.planning.pose import moved_points, rigid_pose, turn_about
from FractureSegmentationLib.types import PointLps
from FractureSegmentationLib.volume import LabelVolume
from Testing.unit.planning.poses import shift_by


def test_a_quarter_turn_about_superior_takes_left_to_posterior() -> None:
    """About the axis x = 1, y = 2: the point one to its Left comes to lie one Posterior of it."""
    pose = turn_about((0.0, 0.0, 5.0), 90.0, (1.0, 2.0, 0.0))

    np.testing.assert_allclose(moved_points(pose, np.array([[2.0, 2.0, 7.0]])), [[1.0, 3.0, 7.0]])


def test_a_turn_leaves_its_centre_and_is_rigid() -> None:
    centre = (12.0, -3.0, 40.0)
    pose = turn_about((1.0, -2.0, 0.5), 33.0, centre)

    np.testing.assert_allclose(moved_points(pose, np.array([centre])), [centre], atol=1e-12)
    np.testing.assert_array_equal(rigid_pose(pose.tolist()), pose)


@pytest.mark.parametrize("axis", [(0.0, 0.0, 0.0), (math.nan, 0.0, 1.0)])
def test_a_turn_needs_an_axis(axis: PointLps) -> None:
    with pytest.raises(ValueError, match="direction"):
        turn_about(axis, 10.0, (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.diag([1.1, 1.0, 1.0, 1.0]), "scales"),
        (np.diag([1.0, 1.0, -1.0, 1.0]), "mirrors"),
        (np.eye(3), "4 x 4"),
        (np.full((4, 4), math.nan), "not finite"),
    ],
)
def test_what_is_no_rigid_motion_is_no_pose(matrix: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rigid_pose(matrix)


def test_a_turn_far_from_the_fragment_is_told_by_what_the_centroid_does() -> None:
    """60 degrees about an axis 100 mm away move the centroid by the chord, 100 mm."""
    shift = displacement_of(turn_about((0.0, 0.0, 1.0), 60.0, (0.0, 0.0, 0.0)), (100.0, 0.0, 9.0))

    assert shift.translation_mm == pytest.approx(100.0)
    assert shift.rotation_degrees == pytest.approx(60.0)
    np.testing.assert_allclose(shift.shift_lps_mm, (-50.0, 50.0 * math.sqrt(3.0), 0.0), atol=1e-9)


def test_a_turn_about_the_centroid_is_no_translation() -> None:
    shift = displacement_of(turn_about((1.0, 1.0, 0.0), 12.0, (5.0, 6.0, 7.0)), (5.0, 6.0, 7.0))

    assert shift.translation_mm == pytest.approx(0.0, abs=1e-12)
    assert shift.rotation_degrees == pytest.approx(12.0)


@pytest.mark.parametrize("degrees", [0.0, 1e-6, 0.01, 90.0, 179.9999, 180.0])
def test_small_and_large_angles_are_exact(degrees: float) -> None:
    """An angle from the trace alone is wrong by 1e-6 degrees and more near 0 and 180."""
    pose = turn_about((1.0, 2.0, 3.0), degrees, (0.0, 0.0, 0.0))

    found = displacement_of(pose, (0.0, 0.0, 0.0)).rotation_degrees

    assert found == pytest.approx(degrees, abs=1e-9)


def test_a_shift_is_told_by_its_length() -> None:
    shift = displacement_of(shift_by((3.0, -4.0, 12.0)), (8.0, 8.0, 8.0))

    assert shift.translation_mm == pytest.approx(13.0)
    assert shift.rotation_degrees == 0.0


def test_centroids_lie_where_the_oblique_grid_puts_them() -> None:
    """Two voxels (1, 2, 3) and (1, 2, 5): the middle is (1, 2, 4) = 4 · 0.75 mm along i, ..."""
    grid = Geometry(
        shape=(3, 4, 7),
        spacing_mm=(2.0, 0.5, 0.75),
        origin_lps_mm=(10.0, -20.0, 30.0),
        direction=((0.0, 0.0, 1.0), (-0.8, 0.6, 0.0), (0.6, 0.8, 0.0)),
    )
    voxels = np.zeros(grid.shape, np.uint16)
    voxels[1, 2, 3] = voxels[1, 2, 5] = 401
    voxels[0, 0, 0] = 2

    centres = centroids_lps_mm(LabelVolume(voxels=voxels, geometry=grid))

    assert list(centres) == [2, 401]
    np.testing.assert_allclose(centres[2], (10.0, -20.0, 30.0))
    # 10 + 3·0.6 - 1·0.8, -20 + 3·0.8 + 1·0.6, 30 + 2
    np.testing.assert_allclose(centres[401], (11.0, -17.0, 32.0))
