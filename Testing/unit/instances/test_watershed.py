"""Regions on boxes of bone whose contact and CT are drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence
from FractureSegmentationLib.instances.learned.watershed import basins
from FractureSegmentationLib.types import MaskArray, Spacing

MM = (1.0, 1.0, 1.0)
CONFIG = RecoveryConfig()


def seen(contact: np.ndarray, spacing_mm: Spacing = MM) -> Evidence:
    """A block of bone with this contact probability."""
    bone = np.ones(contact.shape, bool)
    nothing = np.zeros(contact.shape)
    return Evidence.of(nothing, 1.0 - contact, contact, bone, spacing_mm)


def sheet(shape: tuple[int, int, int], first: int, stop: int) -> MaskArray:
    contact = np.zeros(shape, bool)
    contact[:, :, first:stop] = True
    return contact


@pytest.mark.parametrize("probability", [0.1, 0.5, 1.0])
def test_a_sheet_of_contact_parts_two_regions_however_faint_it_is(probability: float) -> None:
    regions = basins(seen(probability * sheet((24, 24, 40), 18, 22)), None, CONFIG)

    assert regions.max() == 2
    assert regions[11, 11, 2] != regions[11, 11, 37]
    assert len(np.unique(regions[:, :, :18])) == len(np.unique(regions[:, :, 22:])) == 1


def test_a_hole_in_the_contact_does_not_join_the_regions_on_its_two_sides() -> None:
    contact = sheet((24, 24, 40), 17, 23)
    contact[9:14, 9:14] = False

    regions = basins(seen(contact), None, CONFIG)

    assert regions[11, 11, 2] != regions[11, 11, 37]


def test_a_narrow_part_between_two_sheets_is_a_region() -> None:
    contact = sheet((12, 12, 60), 20, 26) | sheet((12, 12, 60), 31, 37)

    regions = basins(seen(contact), None, CONFIG)

    assert len({int(regions[6, 6, i]) for i in (3, 28, 57)}) == 3


def test_a_dark_line_in_the_ct_parts_regions_where_the_network_saw_nothing(
    rng: np.random.Generator,
) -> None:
    """A block of 300 HU with a dark plane of 2 mm through it, and noise of 10 HU."""
    hu = 300.0 + rng.normal(0.0, 10.0, (24, 24, 40))
    hu[:, :, 19:21] -= 250.0
    nothing = np.zeros(hu.shape)

    with_ct = basins(seen(nothing), hu, CONFIG)
    without = basins(seen(nothing), None, CONFIG)

    assert without.max() == 1
    assert with_ct[11, 11, 5] != with_ct[11, 11, 35]


def test_bone_without_a_sign_of_a_fracture_is_one_region() -> None:
    assert basins(seen(np.zeros((10, 10, 10))), None, CONFIG).max() == 1


@given(seed=st.integers(0, 10_000), spacing_mm=st.sampled_from([MM, (2.0, 0.8, 0.8)]))
def test_every_voxel_of_the_bone_has_a_region_and_no_other(seed: int, spacing_mm: Spacing) -> None:
    rng = np.random.default_rng(seed)
    bone = rng.random((9, 10, 11)) < 0.7
    contact = rng.random(bone.shape)
    evidence = Evidence.of(np.zeros(bone.shape), 1.0 - contact, contact, bone, spacing_mm)

    regions = basins(evidence, rng.normal(200.0, 100.0, bone.shape), CONFIG)

    assert np.array_equal(regions > 0, bone)


def test_the_border_runs_through_the_middle_of_a_band_of_sure_contact() -> None:
    """Contact at 12..21 of 0..39: 5 voxels of it on either side of the border, and it is flat."""
    regions = basins(seen(sheet((24, 24, 40), 12, 22)), None, CONFIG)

    left = (regions == regions[0, 0, 0]).sum(axis=2)
    assert set(np.unique(left).tolist()) <= {16, 17, 18}
    assert len(np.unique(left)) == 1
