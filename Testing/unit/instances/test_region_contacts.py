"""Contact areas of regions counted by hand, and the interfaces described from them."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.instances.regions import contact_areas, describe_interfaces


def test_area_is_counted_in_mm2_and_support_is_its_mean() -> None:
    """Two halves along i: 2 x 3 faces of 2.0 x 1.5 mm; half of the rows carry contact 0.8."""
    regions = np.ones((2, 3, 4), np.uint32)
    regions[:, :, 2:] = 2
    separation = np.zeros(regions.shape, np.float32)
    separation[0, :, 2] = 0.8

    actual = contact_areas(regions, separation, np.ones(regions.shape, np.float32), (2.0, 1.5, 0.5))

    area = actual[1, 2]
    assert list(actual) == [(1, 2)]
    assert area.face_mm2 == pytest.approx(18.0)
    assert area.contact_mm2 == pytest.approx(9.0)
    assert area.support == pytest.approx(0.4)
    assert area.unsupported_mm2 == pytest.approx(10.8)


@pytest.mark.parametrize(("axis", "area_mm2"), [(0, 12.0), (1, 8.0), (2, 6.0)])
def test_each_axis_has_its_own_face_area(axis: int, area_mm2: float) -> None:
    """Spacing 2, 3, 4 mm: faces across k are 3 x 4, across j 2 x 4, across i 2 x 3 mm²."""
    shape = [1, 1, 1]
    shape[axis] = 2
    regions = np.arange(1, 3, dtype=np.uint32).reshape(shape)
    ones = np.ones(shape, np.float32)

    assert contact_areas(regions, ones, ones, (2.0, 3.0, 4.0))[1, 2].face_mm2 == pytest.approx(
        area_mm2
    )


def test_faces_that_may_be_background_weigh_less() -> None:
    regions = np.array([1, 2], np.uint32).reshape(1, 1, 2)
    weight = np.array([0.25, 1.0], np.float32).reshape(1, 1, 2)

    area = contact_areas(regions, np.zeros(regions.shape, np.float32), weight, (1.0, 1.0, 1.0))[
        1, 2
    ]

    assert (area.face_mm2, area.area_mm2) == (1.0, 0.25)


def test_regions_that_meet_at_an_edge_are_neighbours_with_a_nominal_area() -> None:
    regions = np.zeros((1, 2, 2), np.uint32)
    regions[0, 0, 0], regions[0, 1, 1] = 4, 9
    ones = np.ones(regions.shape, np.float32)

    actual = contact_areas(regions, ones, ones, (2.0, 1.0, 1.0))

    assert actual[4, 9].face_mm2 == pytest.approx(0.25)


def test_background_parts_nothing_and_one_region_has_no_neighbour() -> None:
    regions = np.array([1, 0, 2], np.uint32).reshape(1, 1, 3)
    ones = np.ones(regions.shape, np.float32)

    assert contact_areas(regions, ones, ones, (1.0, 1.0, 1.0)) == {}
    assert contact_areas(np.minimum(regions, 1), ones, ones, (1.0, 1.0, 1.0)) == {}


def test_an_interface_has_areas_support_mean_contact_and_neck() -> None:
    """10 x 10 faces; contact 0.8 in the three voxels each side of half of them. Within 1.5 mm of
    a voxel on the interface lie two voxels a side, so the mean is 0.8 over about half: 0.4."""
    labels = np.ones((10, 10, 20), np.uint16)
    labels[:, :, 10:] = 2
    contact = np.zeros(labels.shape, np.float32)
    contact[:5, :, 7:13] = 0.8
    ones = np.ones(labels.shape, np.float32)

    (actual,) = describe_interfaces(labels, contact, contact, ones, (1.0, 1.0, 1.0), 1.5)

    assert (actual.a, actual.b) == (1, 2)
    assert actual.area_mm2 == pytest.approx(100.0)
    assert actual.contact_area_mm2 == pytest.approx(50.0)
    assert actual.support == pytest.approx(0.4)
    assert actual.mean_contact == pytest.approx(0.4)
    assert actual.neck == pytest.approx(60.0 / 100.0)


def test_only_the_voxels_of_the_two_fragments_enter_their_mean() -> None:
    labels = np.zeros((6, 6, 6), np.uint16)
    labels[:2, :, :3], labels[:2, :, 3:], labels[2:] = 1, 2, 3
    contact = np.where(labels == 3, 0.9, 0.1).astype(np.float32)
    ones = np.ones(labels.shape, np.float32)

    actual = describe_interfaces(labels, contact, contact, ones, (1.0, 1.0, 1.0), 1.5)

    assert [(i.a, i.b) for i in actual] == [(1, 2), (1, 3), (2, 3)]
    assert actual[0].mean_contact == pytest.approx(0.1)


def test_one_fragment_has_no_interface() -> None:
    labels = np.ones((3, 3, 3), np.uint16)
    ones = np.ones(labels.shape, np.float32)

    assert describe_interfaces(labels, ones, ones, ones, (1.0, 1.0, 1.0), 1.5) == ()
