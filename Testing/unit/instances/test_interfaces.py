"""What the report says of an interface."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.instances.interfaces import describe_interfaces


def test_an_interface_has_areas_support_mean_contact_and_neck() -> None:
    """10 x 10 faces; contact 0.8 in the three voxels each side of half of them. Within 1.5 mm of
    a voxel on the interface lie two voxels a side, so the mean is 0.8 over about half: 0.4."""
    labels = np.ones((10, 10, 20), np.uint16)
    labels[:, :, 10:] = 2
    contact = np.zeros(labels.shape, np.float32)
    contact[:5, :, 7:13] = 0.8
    ones = np.ones(labels.shape, np.float32)

    (found,) = describe_interfaces(labels, contact, contact, ones, (1.0, 1.0, 1.0), 1.5)

    assert (found.a, found.b) == (1, 2)
    assert found.area_mm2 == pytest.approx(100.0)
    assert found.contact_area_mm2 == pytest.approx(50.0)
    assert found.support == pytest.approx(0.4)
    assert found.mean_contact == pytest.approx(0.4)
    assert found.neck == pytest.approx(60.0 / 100.0)


def test_only_the_voxels_of_the_two_fragments_enter_their_mean() -> None:
    labels = np.zeros((6, 6, 6), np.uint16)
    labels[:2, :, :3], labels[:2, :, 3:], labels[2:] = 1, 2, 3
    contact = np.where(labels == 3, 0.9, 0.1).astype(np.float32)
    ones = np.ones(labels.shape, np.float32)

    found = describe_interfaces(labels, contact, contact, ones, (1.0, 1.0, 1.0), 1.5)

    assert [(i.a, i.b) for i in found] == [(1, 2), (1, 3), (2, 3)]
    assert found[0].mean_contact == pytest.approx(0.1)


def test_one_fragment_has_no_interface() -> None:
    labels = np.ones((3, 3, 3), np.uint16)
    ones = np.ones(labels.shape, np.float32)

    assert describe_interfaces(labels, ones, ones, ones, (1.0, 1.0, 1.0), 1.5) == ()
