"""Disconnected pieces of bone."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.instances.pieces import (
    connected_pieces,
    join_small_pieces,
    label_unreached,
)

MM = (1.0, 1.0, 1.0)


def test_pieces_come_largest_first_with_volume_and_centre() -> None:
    mask = np.zeros((4, 4, 9), bool)
    mask[0, 0, 0] = True
    mask[2, 2, 4:8] = True

    large, small = connected_pieces(mask, (2.0, 1.0, 1.0))

    assert (large.volume_mm3, small.volume_mm3) == (8.0, 2.0)
    assert large.centroid_kji == (2.0, 2.0, 5.5)


def test_a_piece_without_label_becomes_a_region_of_its_own() -> None:
    bone = np.array([1, 1, 0, 1, 1], bool).reshape(1, 1, 5)
    regions = np.array([3, 3, 0, 0, 0], np.uint32).reshape(1, 1, 5)

    assert label_unreached(regions, bone, MM).ravel().tolist() == [3, 3, 0, 4, 4]


def test_what_hangs_on_by_a_corner_takes_the_nearest_label_of_its_piece() -> None:
    """Voxel (1, 2) touches (0, 1) at an edge; 7 lies 1.4 mm away, 5 2.2 mm."""
    bone = np.zeros((1, 2, 3), bool)
    bone[0, 0, 0:2] = bone[0, 1, 2] = True
    regions = np.zeros(bone.shape, np.uint32)
    regions[0, 0, 0], regions[0, 0, 1] = 5, 7

    assert label_unreached(regions, bone, MM)[0, 1, 2] == 7


def test_a_small_piece_joins_the_nearest_in_mm_and_is_reported() -> None:
    """The speck at j = 3 is 2 steps of 1 mm from label 1 at j = 1 and 2 of 3 mm from label 2."""
    regions = np.zeros((9, 30, 4), np.uint32)
    regions[0, 0:2, :] = 1
    regions[2:9, 3, :] = 2
    regions[0, 3, 1] = 6

    labels, joined = join_small_pieces(regions, (3.0, 1.0, 1.0), min_piece_mm3=5.0)

    assert labels[0, 3, 1] == 1
    assert [(p.volume_mm3, p.centroid_kji, p.into) for p in joined] == [(3.0, (0.0, 3.0, 1.0), 1)]
    assert regions[0, 3, 1] == 6, "the input is untouched"


def test_a_small_piece_far_away_still_finds_the_bone() -> None:
    regions = np.zeros((1, 1, 90), np.uint32)
    regions[0, 0, 0:40] = 2
    regions[0, 0, 89] = 9

    labels, joined = join_small_pieces(regions, MM, min_piece_mm3=30.0)

    assert labels[0, 0, 89] == 2
    assert len(joined) == 1


def test_a_piece_of_the_least_volume_stands_alone() -> None:
    regions = np.zeros((1, 3, 40), np.uint32)
    regions[0, 0, :] = 1
    regions[0, 2, 0:30] = 2

    labels, joined = join_small_pieces(regions, MM, min_piece_mm3=30.0)

    assert joined == ()
    assert labels is regions or np.array_equal(labels, regions)


def test_a_bone_of_small_pieces_keeps_its_largest() -> None:
    regions = np.array([1, 1, 0, 2], np.uint32).reshape(1, 1, 4)

    labels, joined = join_small_pieces(regions, MM, min_piece_mm3=30.0)

    assert labels.ravel().tolist() == [1, 1, 0, 1]
    assert joined[0].into == 1
