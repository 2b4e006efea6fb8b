"""Areas and support of partings, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.instances.adjacency import touches


def test_area_is_counted_in_mm2_and_support_is_its_mean() -> None:
    """Two halves along i: 2 x 3 faces of 2.0 x 1.5 mm; half of the rows carry contact 0.8."""
    regions = np.ones((2, 3, 4), np.uint32)
    regions[:, :, 2:] = 2
    separation = np.zeros(regions.shape, np.float32)
    separation[0, :, 2] = 0.8

    found = touches(regions, separation, np.ones(regions.shape, np.float32), (2.0, 1.5, 0.5))

    touch = found[1, 2]
    assert list(found) == [(1, 2)]
    assert touch.face_mm2 == pytest.approx(18.0)
    assert touch.contact_mm2 == pytest.approx(9.0)
    assert touch.support == pytest.approx(0.4)
    assert touch.unsupported_mm2 == pytest.approx(10.8)


@pytest.mark.parametrize(("axis", "area_mm2"), [(0, 12.0), (1, 8.0), (2, 6.0)])
def test_each_axis_has_its_own_face_area(axis: int, area_mm2: float) -> None:
    """Spacing 2, 3, 4 mm: faces across k are 3 x 4, across j 2 x 4, across i 2 x 3 mm²."""
    shape = [1, 1, 1]
    shape[axis] = 2
    regions = np.arange(1, 3, dtype=np.uint32).reshape(shape)
    ones = np.ones(shape, np.float32)

    assert touches(regions, ones, ones, (2.0, 3.0, 4.0))[1, 2].face_mm2 == pytest.approx(area_mm2)


def test_faces_that_may_be_background_weigh_less() -> None:
    regions = np.array([1, 2], np.uint32).reshape(1, 1, 2)
    weight = np.array([0.25, 1.0], np.float32).reshape(1, 1, 2)

    touch = touches(regions, np.zeros(regions.shape, np.float32), weight, (1.0, 1.0, 1.0))[1, 2]

    assert (touch.face_mm2, touch.area_mm2) == (1.0, 0.25)


def test_regions_that_meet_at_an_edge_are_neighbours_with_a_nominal_area() -> None:
    regions = np.zeros((1, 2, 2), np.uint32)
    regions[0, 0, 0], regions[0, 1, 1] = 4, 9
    ones = np.ones(regions.shape, np.float32)

    found = touches(regions, ones, ones, (2.0, 1.0, 1.0))

    assert found[4, 9].face_mm2 == pytest.approx(0.25)


def test_background_parts_nothing_and_one_region_has_no_neighbour() -> None:
    regions = np.array([1, 0, 2], np.uint32).reshape(1, 1, 3)
    ones = np.ones(regions.shape, np.float32)

    assert touches(regions, ones, ones, (1.0, 1.0, 1.0)) == {}
    assert touches(np.minimum(regions, 1), ones, ones, (1.0, 1.0, 1.0)) == {}
