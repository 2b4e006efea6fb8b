"""Seeds on boxes of bone whose contact is drawn by hand."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence
from FractureSegmentationLib.instances.seeds import paper_seeds
from FractureSegmentationLib.types import MaskArray

MM = (1.0, 1.0, 1.0)


def all_interior_but(contact: MaskArray) -> Evidence:
    bone = np.ones(contact.shape, bool)
    return Evidence.of(np.zeros(bone.shape), np.where(contact, 0.0, 1.0), contact, bone, MM)


def sheet(shape: tuple[int, int, int], first: int, stop: int) -> MaskArray:
    contact = np.zeros(shape, bool)
    contact[:, :, first:stop] = True
    return contact


def test_dilated_contact_separates_two_seeds_by_its_width_and_twice_the_radius() -> None:
    """Contact at 14..16 of 0..30; 5 mm further 9..13 and 17..21 go: seeds end at 8 and 22."""
    seeds = paper_seeds(all_interior_but(sheet((12, 12, 31), 14, 17)), RecoveryConfig(mode="paper"))

    row = seeds[6, 6]
    assert np.flatnonzero(row == 1).tolist() == list(range(9))
    assert np.flatnonzero(row == 2).tolist() == list(range(22, 31))


def test_components_shorter_than_the_least_diameter_are_dropped() -> None:
    """A cube of 2 mm has a diagonal of 3.5 mm, one of 3 mm has 5.2 mm."""
    interior = np.zeros((20, 20, 20), np.float32)
    interior[1:3, 1:3, 1:3] = 1.0
    interior[10:13, 10:13, 10:13] = 1.0
    bone = np.ones(interior.shape, bool)
    nothing = np.zeros(interior.shape)
    evidence = Evidence.of(1.0 - interior, interior, nothing, bone, MM)

    seeds = paper_seeds(evidence, RecoveryConfig(mode="paper"))

    assert seeds.max() == 1
    assert seeds[11, 11, 11] == 1


def test_without_interior_there_is_no_seed() -> None:
    bone = np.ones((6, 6, 6), bool)
    evidence = Evidence.of(
        np.ones(bone.shape), np.zeros(bone.shape), np.zeros(bone.shape), bone, MM
    )

    assert not paper_seeds(evidence, RecoveryConfig(mode="paper")).any()
