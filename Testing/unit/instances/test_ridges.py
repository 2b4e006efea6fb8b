"""Contact inside one fragment."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.instances.ridges import sheet_area_mm2, unseparated_fractures

MM = (1.0, 1.0, 1.0)


@pytest.mark.parametrize("thickness", [2, 4, 6, 7])
def test_the_area_of_a_sheet_does_not_depend_on_its_thickness(thickness: int) -> None:
    """A slab of 60 x 60 mm has 3,600 mm²; its borders make it look a little thinner."""
    mask = np.zeros((60, 60, 20), bool)
    mask[:, :, 5 : 5 + thickness] = True

    assert sheet_area_mm2(mask, MM) == pytest.approx(3600.0, rel=0.15)


def test_a_ridge_inside_a_fragment_is_reported_with_its_area_and_place() -> None:
    labels = np.ones((30, 30, 40), np.uint16)
    contact = np.zeros(labels.shape, np.float32)
    contact[5:25, 5:25, 18:22] = 0.9

    (actual,) = unseparated_fractures(labels, contact, MM, min_area_mm2=100.0)

    assert actual.label == 1
    assert actual.area_mm2 == pytest.approx(400.0, rel=0.25)
    assert actual.centroid_kji[2] in (19.0, 20.0)
    assert contact[tuple(int(c) for c in actual.centroid_kji)] > 0.5


def test_small_ridges_and_faint_ones_are_not_reported() -> None:
    labels = np.ones((30, 30, 40), np.uint16)
    contact = np.zeros(labels.shape, np.float32)
    contact[5:11, 5:11, 18:22] = 0.9
    contact[:, :, 30:34] = 0.4

    assert unseparated_fractures(labels, contact, MM, min_area_mm2=100.0) == ()


def test_contact_on_an_interface_is_not_unseparated() -> None:
    labels = np.ones((30, 30, 40), np.uint16)
    labels[:, :, 20:] = 2
    contact = np.zeros(labels.shape, np.float32)
    contact[:, :, 17:23] = 0.9

    assert unseparated_fractures(labels, contact, MM, min_area_mm2=100.0) == ()
