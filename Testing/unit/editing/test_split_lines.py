"""Splitting by a plane, along a drawn line, and by the surface through one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from FractureSegmentationLib.editing.edit import apply_edit
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.outline import is_left_of_line, is_within_outline
from FractureSegmentationLib.editing.split import split_by_curve, split_by_plane, split_by_surface
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import LabelArray

MakeFragments = Callable[[LabelArray], Fragments]


def block(k: int, j: int, i: int) -> LabelArray:
    return np.full((k, j, i), 51, np.uint16)


def test_a_plane_parts_voxels_by_their_centres(make_fragments: MakeFragments) -> None:
    """The plane x = 2 with its normal to the right: centres 0, 1 lie left, 2 to 6 not."""
    fragments = make_fragments(block(1, 1, 7))

    edit = split_by_plane(fragments, 51, (2.0, 9.0, -4.0), (0.3, 0.0, 0.0))

    actual = apply_edit(fragments, edit).labels.voxels.ravel().tolist()
    assert actual == [52, 52, 51, 51, 51, 51, 51]


def test_a_plane_is_meant_in_patient_coordinates(make_oblique: MakeFragments) -> None:
    """The plane between slices k = 1 and k = 2 of an oblique grid, its normal along the k axis."""
    fragments = make_oblique(block(6, 3, 4))
    geometry = fragments.labels.geometry
    point = tuple(geometry.to_lps(np.array([1.5, 0.0, 0.0])).tolist())

    edited = apply_edit(fragments, split_by_plane(fragments, 51, point, geometry.direction[0]))

    assert (edited.labels.voxels[:2] == 52).all()
    assert (edited.labels.voxels[2:] == 51).all()


def test_a_plane_that_misses_and_one_without_normal_are_refused(
    make_fragments: MakeFragments,
) -> None:
    fragments = make_fragments(block(1, 1, 7))

    with pytest.raises(InputError, match="cut does not divide fragment 1 of the left hip bone"):
        split_by_plane(fragments, 51, (40.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="normal"):
        split_by_plane(fragments, 51, (1.0, 0.0, 0.0), (0.0, 0.0, 0.0))


def test_an_open_line_cuts_along_the_view_and_goes_on_straight(
    make_fragments: MakeFragments,
) -> None:
    """Seen along y, a line at x = 3.5 drawn from z = 2 to z = 4 only, at any depth."""
    fragments = make_fragments(block(8, 5, 10))
    line = [(3.5, -80.0, 2.0), (3.5, 50.0, 3.0), (3.5, 7.0, 4.0)]

    edited = apply_edit(fragments, split_by_curve(fragments, 51, line, (0.0, 2.0, 0.0)))

    assert (edited.labels.voxels[:, :, :4] == 52).all()
    assert (edited.labels.voxels[:, :, 4:] == 51).all()


def test_a_bent_line_cuts_where_it_was_drawn(make_fragments: MakeFragments) -> None:
    """Seen along z, an L: down at x = 2.5 to y = 2.5, then to the right. It parts off a corner."""
    fragments = make_fragments(block(3, 8, 9))
    line = [(2.5, -1.0, 0.0), (2.5, 2.5, 0.0), (12.0, 2.5, 0.0)]

    edited = apply_edit(fragments, split_by_curve(fragments, 51, line, (0.0, 0.0, -1.0)))

    corner = np.zeros((3, 8, 9), bool)
    corner[:, :3, 3:] = True
    assert np.array_equal(edited.labels.voxels == 52, corner)


def test_a_closed_line_cuts_out_what_it_surrounds(make_fragments: MakeFragments) -> None:
    """Seen along x, a square around y = 2..4, z = 3..6, through the whole depth."""
    fragments = make_fragments(block(9, 8, 5))
    square = [(0.0, 1.5, 2.5), (0.0, 4.5, 2.5), (0.0, 4.5, 6.5), (0.0, 1.5, 6.5)]

    edit = split_by_curve(fragments, 51, square, (1.0, 0.0, 0.0), is_closed=True)

    inside = np.zeros((9, 8, 5), bool)
    inside[3:7, 2:5] = True
    assert np.array_equal(apply_edit(fragments, edit).labels.voxels == 52, inside)


def test_lines_too_short_and_views_without_direction_are_refused(
    make_fragments: MakeFragments,
) -> None:
    fragments = make_fragments(block(3, 3, 3))
    along = [(1.0, 1.0, 0.0), (1.0, 1.0, 2.0)]

    with pytest.raises(InputError, match="too short"):
        split_by_curve(fragments, 51, along, (0.0, 0.0, 1.0))
    with pytest.raises(InputError, match="too short"):
        split_by_curve(fragments, 51, along, (1.0, 0.0, 0.0), is_closed=True)
    with pytest.raises(InputError, match="too short"):
        split_by_curve(fragments, 51, [], (1.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="direction of view"):
        split_by_curve(fragments, 51, along, (0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="finite"):
        split_by_curve(fragments, 51, [(np.nan, 0.0, 0.0), *along], (1.0, 0.0, 0.0))


def test_a_ring_around_the_bone_cuts_it_through(make_fragments: MakeFragments) -> None:
    """A ring in the tilted plane z = 10.3 + x / 2 around a bar of 5 x 5 x 24 along z."""
    fragments = make_fragments(block(24, 5, 5))
    turns = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    x, y = 2.0 + 4.0 * np.cos(turns), 2.0 + 4.0 * np.sin(turns)
    ring = list(zip(x, y, 10.3 + x / 2.0, strict=True))

    edited = apply_edit(fragments, split_by_surface(fragments, 51, ring))

    k, _, i = np.indices((24, 5, 5))
    below = k < 10.3 + i / 2.0
    assert np.array_equal(edited.labels.voxels == edited.labels.voxels[0, 0, 0], below)
    assert len(edited.records) == 2


def test_a_bent_ring_makes_a_bent_cut(make_fragments: MakeFragments) -> None:
    """z = 12 + (x - 6)² / 32 - (y - 6)² / 32 is what a plate does between: a saddle."""
    fragments = make_fragments(block(24, 13, 13))
    turns = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
    x, y = 6.0 + 8.0 * np.cos(turns), 6.0 + 8.0 * np.sin(turns)
    z = 12.0 + (x - 6.0) ** 2 / 32.0 - (y - 6.0) ** 2 / 32.0

    edited = apply_edit(fragments, split_by_surface(fragments, 51, list(zip(x, y, z, strict=True))))

    k, j, i = np.indices((24, 13, 13))
    below = k < 12.0 + (i - 6.0) ** 2 / 32.0 - (j - 6.0) ** 2 / 32.0
    same = (edited.labels.voxels == edited.labels.voxels[0, 6, 6]) == below
    assert same.mean() > 0.97


def test_a_straight_line_tells_no_surface(make_fragments: MakeFragments) -> None:
    fragments = make_fragments(block(9, 9, 9))

    with pytest.raises(InputError, match="nearly straight"):
        split_by_surface(fragments, 51, [(0.0, y, 4.0) for y in (0.0, 3.0, 6.0, 9.0)])


def test_an_outline_that_crosses_itself_counts_even_odd() -> None:
    """A bow tie: its two triangles lie inside, what is above and below the knot does not."""
    bow = np.array([[0.0, 0.0], [4.0, 4.0], [4.0, 0.0], [0.0, 4.0]])
    places = np.array([[0.5, 2.0], [3.5, 2.0], [2.0, 3.5], [2.0, 0.5]])

    assert is_within_outline(places, bow).tolist() == [True, True, False, False]


def test_both_ends_of_a_u_go_on_in_their_own_direction() -> None:
    """A U open to the top: the inside goes up without end, the outside surrounds it."""
    line = np.array([[0.0, 3.0], [0.0, 0.0], [4.0, 0.0], [4.0, 3.0]])
    inside = np.array([[2.0, 1.0], [2.0, 30.0], [0.5, 29.0]])
    outside = np.array([[2.0, -1.0], [-1.0, 30.0], [5.0, 1.0], [5.0, 30.0]])

    first, second = is_left_of_line(inside, line), is_left_of_line(outside, line)

    assert len({*first.tolist()}) == len({*second.tolist()}) == 1
    assert first[0] != second[0]
