"""The cut by regions of recovery, how well contact supports a cut, and mending one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from FractureSegmentationLib.editing.divide import mended
from FractureSegmentationLib.editing.edit import apply_edit
from FractureSegmentationLib.editing.evidence import CutEvidence
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.fronts import LeadConfig
from FractureSegmentationLib.editing.regions import CutSupport, joined_regions, sure_regions
from FractureSegmentationLib.editing.split import split_at_points
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import Volume

MakeFragments = Callable[[LabelArray], Fragments]
MM = (1.0, 1.0, 1.0)
Labels = npt.NDArray[np.uint32]


def bar(*parts: tuple[int, int]) -> Labels:
    """A bar of 5 x 5 voxels along x from (label, length) in turn."""
    row = np.concatenate([np.full(length, label, np.uint32) for label, length in parts])
    return np.tile(row, (5, 5, 1))


def contact(length: int, **values: float) -> npt.NDArray[np.float32]:
    """Contact of a bar, by slices named x0, x1, ..."""
    actual = np.zeros((5, 5, length), np.float32)
    for name, value in values.items():
        actual[:, :, int(name[1:])] = value
    return actual


def point(labels: Labels, **pieces: int) -> Labels:
    points = np.zeros_like(labels)
    for name, piece in pieces.items():
        points[2, 2, int(name[1:])] = piece
    return points


def joined(regions: Labels, points: Labels, seen: npt.NDArray[np.float32]) -> list[int]:
    pieces = joined_regions(regions, points, seen, MM, cost=40.0, leads=LeadConfig())
    return [int(piece) for piece in pieces[2, 2]]


def test_the_support_of_a_cut_is_the_mean_contact_beside_its_faces() -> None:
    """25 faces, 0.6 beside each; parts of 500 mm³ must be supported to nine tenths."""
    support = CutSupport.of(bar((1, 20), (2, 20)), contact(40, x20=0.6), MM)

    assert support.support == pytest.approx(0.6)
    assert support.area_mm2 == pytest.approx(25.0)
    assert support.lacking_mm2 == pytest.approx(7.5)
    assert not support.is_enough


def test_a_cut_may_lack_a_twentieth_of_its_area() -> None:
    assert CutSupport(support=0.3, area_mm2=100.0, lacking_mm2=4.0).is_enough
    assert not CutSupport(support=0.3, area_mm2=100.0, lacking_mm2=6.0).is_enough


def test_a_cut_is_better_if_only_it_has_enough_support_or_if_it_has_more() -> None:
    enough = CutSupport(support=0.4, area_mm2=100.0, lacking_mm2=-5.0)
    more = CutSupport(support=0.7, area_mm2=100.0, lacking_mm2=-3.0)
    little = CutSupport(support=0.8, area_mm2=100.0, lacking_mm2=10.0)

    assert enough.is_better_than(little)
    assert more.is_better_than(enough)
    assert not enough.is_better_than(more)
    assert not little.is_better_than(enough)


def test_of_two_cuts_without_support_the_better_one_lacks_clearly_less() -> None:
    worst = CutSupport(support=0.6, area_mm2=200.0, lacking_mm2=100.0)

    assert CutSupport(support=0.1, area_mm2=200.0, lacking_mm2=60.0).is_better_than(worst)
    assert not CutSupport(support=0.9, area_mm2=200.0, lacking_mm2=80.0).is_better_than(worst)


def test_a_region_nobody_clicked_joins_the_piece_from_which_least_contact_parts_it() -> None:
    regions = bar((1, 10), (2, 10), (3, 10))
    points = point(regions, x2=1, x27=2)

    assert joined(regions, points, contact(30, x10=0.8, x20=0.2)) == [1] * 10 + [2] * 20
    assert joined(regions, points, contact(30, x10=0.2, x20=0.8)) == [1] * 20 + [2] * 10


def test_regions_of_two_pieces_stay_apart_without_any_contact() -> None:
    regions = bar((1, 10), (2, 10))

    assert joined(regions, point(regions, x2=2, x12=1), contact(20)) == [2] * 10 + [1] * 10


def test_a_region_with_points_of_two_pieces_is_divided_between_them() -> None:
    """Region 1 holds both points and a crack at x = 6; region 2 is parted from it by nothing."""
    regions = bar((1, 20), (2, 10))
    actual = joined(regions, point(regions, x2=1, x15=2), contact(30, x6=1.0))

    assert actual[:6] == [1] * 6
    assert actual[7:] == [2] * 23


def test_a_part_that_touches_no_piece_is_left_open() -> None:
    regions = bar((1, 5), (2, 5), (0, 3), (3, 4))

    assert joined(regions, point(regions, x1=1, x8=2), contact(17)) == ([1] * 5 + [2] * 5 + [0] * 7)


def test_a_wall_with_a_hole_parts_two_regions() -> None:
    """A block of 20 x 20 x 50 with contact at x = 24 to 26 but for a hole of 6 x 6."""
    mask = np.ones((20, 20, 50), bool)
    seen = np.zeros(mask.shape, np.float32)
    seen[:, :, 24:27] = 0.9
    seen[7:13, 7:13, 24:27] = 0.0

    regions = sure_regions(mask, seen, MM)

    assert len({int(regions[10, 10, x]) for x in range(22)}) == 1
    assert len({int(regions[10, 10, x]) for x in range(29, 50)}) == 1
    assert regions[10, 10, 0] != regions[10, 10, 49]
    assert regions.min() == 1


def test_a_point_in_the_wrong_piece_takes_its_surroundings_along() -> None:
    """The point at x = 14 is 5 mm from its piece: half as far again beyond it is x = 21.5."""
    pieces = bar((1, 10), (2, 40))[2:3, 2:3]
    seeds = [[(0, 0, 2), (0, 0, 14)], [(0, 0, 45)]]

    actual = mended(pieces, seeds, np.ones(pieces.shape, np.float32), MM)

    assert actual.ravel().tolist() == [1] * 22 + [2] * 28
    assert pieces.ravel().tolist() == [1] * 10 + [2] * 40


def test_mending_stops_at_contact_and_well_before_the_points_of_others() -> None:
    """Contact at x = 16 takes 41 mm to cross; a point at x = 20 keeps half of the way to x = 14."""
    pieces = bar((1, 10), (2, 40))[2:3, 2:3]
    slow = np.ones(pieces.shape, np.float32)
    slow[:, :, 16] = 41.0
    clicked = [(0, 0, 2), (0, 0, 14)]

    walled = mended(pieces, [clicked, [(0, 0, 45)]], slow, MM)
    shared = mended(pieces, [clicked, [(0, 0, 20)]], np.ones_like(slow), MM)

    assert walled.ravel().tolist() == [1] * 16 + [2] * 34
    assert shared.ravel().tolist()[11:] == [1] * 7 + [2] * 32


def test_a_point_in_a_part_of_its_own_takes_all_of_it() -> None:
    pieces = bar((1, 4), (2, 4), (0, 2), (2, 5))[2:3, 2:3]
    seeds = [[(0, 0, 1), (0, 0, 12)], [(0, 0, 6)]]

    actual = mended(pieces, seeds, np.ones(pieces.shape, np.float32), MM)

    assert actual.ravel().tolist() == [1] * 4 + [2] * 4 + [0] * 2 + [1] * 5


def test_a_second_click_mends_a_cut_that_contact_speaks_for_near_the_click_only(
    make_fragments: MakeFragments,
) -> None:
    """The wall at x = 20 is not the whole fracture: x = 26 belongs to the first piece as well.

    Anew between 26 and 70, where nothing is seen, the cut would fall near x = 48.
    """
    fragments = make_fragments(bar((51, 90)).astype(np.uint16))
    seen = Volume(voxels=contact(90, x20=1.0), geometry=fragments.labels.geometry)
    clicks = [[(5.0, 2.0, 2.0), (26.0, 2.0, 2.0)], [(70.0, 2.0, 2.0)]]

    edited = apply_edit(
        fragments, split_at_points(fragments, 51, clicks, CutEvidence(contact=seen))
    )

    actual = edited.labels.voxels[2, 2].tolist()
    assert set(actual[:29]) == {actual[5]}
    assert set(actual[40:]) == {actual[70]}
    assert actual[5] != actual[70]
