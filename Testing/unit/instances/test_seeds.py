"""Seeds on boxes of bone whose contact is drawn by hand."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence
from FractureSegmentationLib.instances.seeds import hierarchical_seeds, paper_seeds
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


def test_a_hole_in_the_contact_does_not_join_the_seeds_on_its_two_sides() -> None:
    contact = sheet((24, 24, 40), 17, 23)
    contact[9:14, 9:14] = False

    seeds = hierarchical_seeds(all_interior_but(contact), RecoveryConfig())

    assert seeds.max() == 2
    assert seeds[11, 11, 2] != seeds[11, 11, 37]


def test_a_fragment_narrower_than_the_first_level_is_found_at_a_later_one() -> None:
    """Between two sheets lie 5 mm of bone: nothing of it is 3 mm from contact, and 5 x 12 x 12
    voxels are not small."""
    contact = sheet((12, 12, 60), 20, 26) | sheet((12, 12, 60), 31, 37)

    seeds = hierarchical_seeds(all_interior_but(contact), RecoveryConfig())

    middle = seeds[6, 6, 28]
    assert middle > 0
    assert len({int(seeds[6, 6, 3]), int(middle), int(seeds[6, 6, 57])}) == 3


def test_a_small_fragment_behind_a_wall_is_a_seed_and_a_pocket_in_the_sheet_is_not() -> None:
    """Both are 4 x 4 x 4 voxels; one lies behind 8 voxels of contact, the other behind 1."""
    contact = sheet((24, 24, 60), 20, 40)
    contact[10:14, 10:14, 28:32] = False
    walled = hierarchical_seeds(all_interior_but(contact), RecoveryConfig())
    contact = sheet((24, 24, 60), 20, 26)
    contact[10:14, 10:14, 21:25] = False
    pocket = hierarchical_seeds(all_interior_but(contact), RecoveryConfig())

    assert walled.max() == 3
    assert walled[11, 11, 29] > 0
    assert pocket.max() == 2


def test_seeds_are_nowhere_on_contact_or_boundary() -> None:
    contact = sheet((12, 12, 31), 14, 17)

    seeds = hierarchical_seeds(all_interior_but(contact), RecoveryConfig())

    assert not (seeds[contact] > 0).any()


def test_without_interior_there_is_no_seed() -> None:
    bone = np.ones((6, 6, 6), bool)
    evidence = Evidence.of(
        np.ones(bone.shape), np.zeros(bone.shape), np.zeros(bone.shape), bone, MM
    )

    assert not hierarchical_seeds(evidence, RecoveryConfig()).any()
    assert not paper_seeds(evidence, RecoveryConfig(mode="paper")).any()
