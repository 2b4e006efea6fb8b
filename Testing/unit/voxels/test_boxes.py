"""Boxes of voxels, by hand."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.voxels.boxes import (
    bounding_box,
    box_between,
    box_within,
    grown_box,
    moved_box,
    union_box,
)

BOX = (slice(1, 2), slice(2, 4), slice(6, 7))


def test_bounding_box_is_tight_and_its_margin_stays_in_the_array() -> None:
    mask = np.zeros((5, 6, 7), bool)
    mask[1, 2:4, 6] = True

    assert bounding_box(mask) == (slice(1, 2), slice(2, 4), slice(6, 7))
    assert bounding_box(mask, margin=2) == (slice(0, 4), slice(0, 6), slice(4, 7))
    assert bounding_box(np.zeros((2, 2, 2), bool)) is None


def test_labels_are_bounded_like_a_mask() -> None:
    labels = np.zeros((5, 6, 7), np.int16)
    labels[1, 2, 6], labels[1, 3, 6] = 300, -1

    assert bounding_box(labels) == BOX


def test_a_box_goes_from_its_first_voxel_up_to_the_one_after_its_last() -> None:
    assert box_between(np.array([1, 2, 6]), np.array([2, 4, 7])) == BOX


def test_the_union_of_boxes_holds_the_gap_between_them() -> None:
    other = (slice(4, 5), slice(0, 1), slice(6, 9))

    assert union_box([BOX, other]) == (slice(1, 5), slice(0, 4), slice(6, 9))
    assert union_box(iter([BOX])) == BOX


def test_a_box_grows_by_one_margin_or_by_one_per_axis_and_stays_in_the_array() -> None:
    shape = (5, 6, 7)

    assert grown_box(BOX, 2, shape) == (slice(0, 4), slice(0, 6), slice(4, 7))
    assert grown_box(BOX, (0, 1, 3), shape) == (slice(1, 2), slice(1, 5), slice(3, 7))


def test_a_box_seen_from_a_corner_and_back() -> None:
    corner = (slice(1, 4), slice(1, 6), slice(5, 7))
    seen = (slice(0, 1), slice(1, 3), slice(1, 2))

    assert box_within(BOX, corner) == seen
    assert moved_box(seen, corner) == BOX
