"""Splitting by one click per piece."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from FractureSegmentationLib.editing.coarse import coarsened
from FractureSegmentationLib.editing.divide import DivideConfig, divide, join_unreached
from FractureSegmentationLib.editing.edit import apply_edit
from FractureSegmentationLib.editing.evidence import CutEvidence, crack_likelihood, sampled
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.fronts import LeadConfig
from FractureSegmentationLib.editing.split import split_at_points
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import LabelVolume, Volume

MakeFragments = Callable[[LabelArray], Fragments]
NOTHING = CutEvidence()


def bar(length: int, label: int = 51) -> LabelArray:
    """A bar of 5 x 5 x length voxels along x."""
    return np.full((5, 5, length), label, np.uint16)


def at(x: float) -> tuple[tuple[float, float, float]]:
    """One click in the middle of the bar."""
    return ((x, 2.0, 2.0),)


def along_x(fragments: Fragments) -> list[int]:
    """Label of every slice across the bar; -1 where a slice holds two."""
    slices = np.moveaxis(fragments.labels.voxels, 2, 0).reshape(-1, 25)
    return [int(s[0]) if (s == s[0]).all() else -1 for s in slices]


def contact_wall(fragments: Fragments, *where: int, value: int = 255) -> CutEvidence:
    voxels = np.zeros(fragments.labels.voxels.shape, np.uint8)
    voxels[:, :, list(where)] = value
    return CutEvidence(contact=Volume(voxels=voxels, geometry=fragments.labels.geometry))


def test_the_cut_falls_into_the_wall_of_contact(make_fragments: MakeFragments) -> None:
    """A bar of 40 with contact at x = 28 to 30. Halfway between the clicks is x = 12: not there."""
    fragments = make_fragments(bar(40))

    edit = split_at_points(
        fragments, 51, [at(4.0), at(20.0), at(36.0)][::2], contact_wall(fragments, 28, 29, 30)
    )

    actual = along_x(apply_edit(fragments, edit))
    assert actual[:28] == [51] * 28
    assert actual[31:] == [52] * 9


@pytest.mark.parametrize("clicks", [(2.0, 30.0), (26.0, 38.0), (2.0, 38.0), (27.0, 32.0)])
def test_the_cut_does_not_depend_on_where_in_its_piece_a_click_lies(
    make_fragments: MakeFragments, clicks: tuple[float, float]
) -> None:
    fragments = make_fragments(bar(40))

    edit = split_at_points(fragments, 51, [at(c) for c in clicks], contact_wall(fragments, 28, 29))

    actual = along_x(apply_edit(fragments, edit))
    assert actual[:28] == [51] * 28
    assert actual[30:] == [52] * 10


def test_a_wall_far_from_the_middle_is_found_by_giving_a_lead(
    make_fragments: MakeFragments,
) -> None:
    """The front from x = 86 is at x = 81 after 5 and, 41 later, through the wall at x = 79.

    The one from x = 2 comes there at 77: started together they would meet near x = 63.
    """
    fragments = make_fragments(bar(90))
    evidence = contact_wall(fragments, 80)

    actual = along_x(
        apply_edit(fragments, split_at_points(fragments, 51, [at(2), at(86)], evidence))
    )

    assert actual[:80] == [51] * 80
    assert actual[81:] == [52] * 9


def test_without_evidence_the_cut_falls_at_the_narrowest_place(
    make_fragments: MakeFragments,
) -> None:
    """A bar of 5 x 5 whose slice x = 30 is one voxel: the cut passes beside that voxel."""
    labels = bar(50)
    labels[:, :, 30] = 0
    labels[2, 2, 30] = 51
    fragments = make_fragments(labels)

    edited = apply_edit(fragments, split_at_points(fragments, 51, [at(3), at(45)], NOTHING))

    actual = edited.labels.voxels[2, 2].tolist()
    assert actual[:30] == [51] * 30
    assert actual[31:] == [52] * 19


def test_the_ct_shows_the_way_where_there_is_no_map(make_fragments: MakeFragments) -> None:
    """Bone of 800 HU with a dark sheet of 100 HU at x = 24; halfway between the clicks is 17."""
    fragments = make_fragments(bar(40))
    hu = np.full((5, 5, 40), 800.0, np.float32)
    hu[:, :, 24] = 100.0
    ct = Volume(voxels=hu, geometry=fragments.labels.geometry)
    empty = Volume(voxels=np.zeros((5, 5, 40), np.uint8), geometry=fragments.labels.geometry)

    for evidence in (CutEvidence(ct=ct), CutEvidence(ct=ct, contact=empty)):
        edit = split_at_points(fragments, 51, [at(3), at(31)], evidence)
        actual = along_x(apply_edit(fragments, edit))
        assert actual[:23] == [51] * 23
        assert actual[26:] == [52] * 14


def test_the_larger_piece_keeps_the_label_whatever_the_order_of_clicks(
    make_fragments: MakeFragments,
) -> None:
    fragments = make_fragments(bar(40, 52))

    edit = split_at_points(fragments, 52, [at(36), at(4)], contact_wall(fragments, 28, 29))

    assert along_x(apply_edit(fragments, edit))[0] == 52
    assert edit.added == (53,)
    assert edit.description == "split fragment 2 of the left hip bone"


def test_three_clicks_make_three_pieces(make_fragments: MakeFragments) -> None:
    """Walls at 10 and 32: pieces of 10, 21 and 7 slices, numbered by volume."""
    fragments = make_fragments(bar(40))

    edit = split_at_points(fragments, 51, [at(2), at(20), at(37)], contact_wall(fragments, 10, 32))

    actual = along_x(apply_edit(fragments, edit))
    assert actual[:10] == [52] * 10
    assert actual[11:32] == [51] * 21
    assert actual[33:] == [53] * 7


def test_several_points_may_mean_one_piece(make_fragments: MakeFragments) -> None:
    """Points at 4 and 30 belong together, so what lies between them is not cut."""
    fragments = make_fragments(bar(40))

    edit = split_at_points(fragments, 51, [(*at(4), *at(30)), at(38)], NOTHING)

    assert set(along_x(apply_edit(fragments, edit))[:31]) == {51}


def test_a_part_nobody_clicked_in_goes_whole_to_the_nearest_piece(
    make_fragments: MakeFragments,
) -> None:
    """An island at x = 42 to 47, behind the end of the bar, is nearest to the second piece."""
    labels = bar(48)
    labels[:, :, 40:42] = 0
    fragments = make_fragments(labels)

    edit = split_at_points(fragments, 51, [at(4), at(36)], contact_wall(fragments, 28))

    assert along_x(apply_edit(fragments, edit))[42:] == [52] * 6


def test_an_unreached_part_follows_the_majority_of_its_voxels() -> None:
    """Voxels 3 to 5 are one part: 3 is nearest to piece 1, 4 and 5 are nearest to piece 2."""
    mask = np.array([1, 0, 0, 1, 1, 1, 0, 1], bool).reshape(1, 1, 8)
    pieces = np.array([1, 0, 0, 0, 0, 0, 0, 2], np.uint32).reshape(1, 1, 8)

    complete = join_unreached(pieces, mask, (1.0, 1.0, 1.0))

    assert complete.ravel().tolist() == [1, 0, 0, 2, 2, 2, 0, 2]


def test_clicks_that_make_no_sense_are_refused_with_a_remedy(
    make_fragments: MakeFragments,
) -> None:
    fragments = make_fragments(bar(10))

    with pytest.raises(InputError, match="at least two pieces"):
        split_at_points(fragments, 51, [at(3)], NOTHING)
    with pytest.raises(InputError, match="at least two pieces"):
        split_at_points(fragments, 51, [at(3), ()], NOTHING)
    with pytest.raises(InputError, match="same voxel"):
        split_at_points(fragments, 51, [at(3.2), at(2.9)], NOTHING)
    with pytest.raises(InputError, match=r"Point 2 lies more than 4 mm from fragment 1") as caught:
        split_at_points(fragments, 51, [at(3), at(13.2)], NOTHING)
    assert caught.value.remedy == "Click on the fragment itself."
    with pytest.raises(ValueError, match="finite"):
        split_at_points(fragments, 51, [at(3), at(np.nan)], NOTHING)


def test_a_click_just_beside_the_fragment_means_its_nearest_voxel(
    make_fragments: MakeFragments,
) -> None:
    fragments = make_fragments(bar(10))

    edit = split_at_points(fragments, 51, [at(-3.0), at(12.9)], NOTHING)

    assert sorted(r.label for r in edit.records_after) == [51, 52]


def test_a_full_bone_is_not_split(make_fragments: MakeFragments) -> None:
    labels = np.zeros((2, 1, 50), np.uint16)
    labels[0, 0] = np.arange(51, 101)
    labels[1, 0, :] = 51

    with pytest.raises(InputError, match="more than the 50 fragments"):
        split_at_points(
            make_fragments(labels), 51, [((3.0, 0.0, 1.0),), ((40.0, 0.0, 1.0),)], NOTHING
        )


def test_a_map_on_another_grid_is_read_where_it_lies(make_fragments: MakeFragments) -> None:
    """Float contact on a cropped grid of 0.5 mm voxels, value 1 at x = 28 to 30 mm."""
    fragments = make_fragments(bar(40))
    fine = Geometry(
        shape=(12, 12, 40), spacing_mm=(0.5, 0.5, 0.5), origin_lps_mm=(19.0, -0.5, -0.5)
    )
    voxels = np.zeros(fine.shape, np.float32)
    voxels[:, :, 18:23] = 1.0
    evidence = CutEvidence(contact=Volume(voxels=voxels, geometry=fine))

    actual = along_x(
        apply_edit(fragments, split_at_points(fragments, 51, [at(4), at(36)], evidence))
    )

    assert actual[:28] == [51] * 28
    assert actual[31:] == [52] * 9


def test_sampling_an_aligned_grid_copies_and_a_shifted_one_interpolates() -> None:
    """Voxel i holds 10 i; half a voxel further on it is 10 i + 5."""
    own = Geometry(shape=(1, 1, 6), spacing_mm=(1.0, 1.0, 1.0))
    volume = Volume(voxels=np.arange(0, 60, 10, dtype=np.int16).reshape(1, 1, 6), geometry=own)

    moved = Geometry(shape=(1, 1, 4), spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(4.0, 0.0, 0.0))
    before = Geometry(shape=(1, 1, 3), spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(-2.0, 0.0, 0.0))
    half = Geometry(shape=(1, 1, 2), spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(1.5, 0.0, 0.0))
    away = Geometry(shape=(1, 1, 2), spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(90.0, 0.0, 0.0))

    assert sampled(volume, moved).ravel().tolist() == [40.0, 50.0, 0.0, 0.0]
    assert sampled(volume, before).ravel().tolist() == [0.0, 0.0, 0.0]
    assert sampled(volume, half).ravel().tolist() == pytest.approx([15.0, 25.0])
    assert sampled(volume, away).ravel().tolist() == [0.0, 0.0]


def test_a_dark_line_in_bright_bone_is_a_crack_and_an_even_bone_has_none() -> None:
    bone = np.ones((9, 9, 21), bool)
    hu = np.full(bone.shape, 700.0, np.float32)
    assert crack_likelihood(hu, bone, (1.0, 1.0, 1.0)).max() < 1e-3

    hu[:, :, 10] = 0.0
    likely = crack_likelihood(hu, bone, (1.0, 1.0, 1.0))

    assert likely[4, 4].argmax() == 10
    assert likely[4, 4, 10] == 1.0
    assert likely[4, 4, 2] < 0.01


def test_a_block_is_bone_from_half_on_and_its_wall_is_its_highest() -> None:
    """Two blocks of 2 x 2 x 2 in a row, the second cut off by the edge of the array."""
    mask = np.ones((2, 2, 3), bool)
    mask[:, 0, 0] = mask[:, 1, 0] = False
    mask[1, 1, 2] = False
    separation = np.zeros(mask.shape, np.float32)
    separation[0, 1, 1] = 0.75
    separation[0, 0, 0] = 1.0  # outside the fragment: not counted
    points = np.zeros(mask.shape, np.uint32)
    points[0, 0, 2] = 4

    coarse = coarsened(mask, points, separation, (1.0, 0.5, 0.7))

    assert coarse is not None
    assert coarse.mask.ravel().tolist() == [True, True]  # 4 of 8; and 3 of 8, but with a point
    assert coarse.separation.ravel().tolist() == [0.75, 0.0]
    assert coarse.points.ravel().tolist() == [0, 4]
    assert coarse.spacing_mm == (2.0, 1.0, 1.4)
    fine = coarse.on_fine_grid(np.array([7, 9], np.uint32).reshape(1, 1, 2))
    assert fine[1, 1].tolist() == [7, 7, 9]


def test_points_of_two_pieces_in_one_block_forbid_blocks() -> None:
    mask = np.ones((2, 2, 2), bool)
    points = np.zeros(mask.shape, np.uint32)
    points[0, 0, 0], points[1, 1, 1] = 1, 2

    assert coarsened(mask, points, np.zeros(mask.shape), (1.0, 1.0, 1.0)) is None


@pytest.mark.parametrize("fine_voxels", [0, 10**9])
def test_the_cut_is_the_same_whether_it_was_first_sought_in_blocks_or_not(
    make_fragments: MakeFragments, fine_voxels: int
) -> None:
    """An odd wall at x = 27 to 29, so that blocks cannot show it exactly."""
    fragments = make_fragments(bar(41))
    config = DivideConfig(fine_voxels=fine_voxels)
    wall = contact_wall(fragments, 27, 28, 29)

    edit = split_at_points(fragments, 51, [at(3), at(38)], wall, config)

    actual = along_x(apply_edit(fragments, edit))
    assert actual[:27] == [51] * 27
    assert actual[30:] == [52] * 11


def test_division_settings_out_of_range_are_refused() -> None:
    for bad in (
        {"fine_voxels": -1},
        {"contact_cost": -1.0},
        {"recut_mm": -1.0},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            DivideConfig(**bad)
    for bad in ({"support": 1.5}, {"lead_share": 0.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            LeadConfig(**bad)


def test_pieces_that_cannot_be_reached_from_each_other_need_no_balance() -> None:
    mask = np.array([1, 1, 0, 1, 1], bool).reshape(1, 1, 5)

    pieces = divide(
        mask, [[(0, 0, 0)], [(0, 0, 4)]], np.zeros(mask.shape), (1.0, 1.0, 1.0), is_map=True
    )

    assert pieces.ravel().tolist() == [1, 1, 0, 2, 2]


def test_a_fragment_in_a_label_volume_of_another_direction_is_split_at_the_same_voxels(
    make_fragments: MakeFragments, make_oblique: MakeFragments
) -> None:
    labels = bar(40)
    wall = np.zeros(labels.shape, np.uint8)
    wall[:, :, 28:30] = 255
    for fragments in (make_fragments(labels), make_oblique(labels)):
        geometry = fragments.labels.geometry
        clicks = [(tuple(geometry.to_lps(np.array([2.0, 2.0, x])).tolist()),) for x in (4.0, 37.0)]
        evidence = CutEvidence(contact=Volume(voxels=wall, geometry=geometry))
        edited = apply_edit(fragments, split_at_points(fragments, 51, clicks, evidence))
        assert isinstance(edited.labels, LabelVolume)
        assert along_x(edited)[:28] == [51] * 28
        assert along_x(edited)[30:] == [52] * 10
