"""Merging fragments and moving stray pieces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from FractureSegmentationLib.editing.edit import apply_edit, assign_piece, merge_fragments
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import LabelArray

MakeFragments = Callable[[LabelArray], Fragments]


def row(*labels: int) -> LabelArray:
    return np.array(labels, np.uint16).reshape(1, 1, -1)


def values(fragments: Fragments) -> list[int]:
    return [int(v) for v in fragments.labels.voxels.ravel()]


def test_the_largest_fragment_keeps_its_label(make_fragments: MakeFragments) -> None:
    """52 has three voxels, 51 two, 54 one; 53 stays."""
    fragments = make_fragments(row(51, 51, 52, 52, 52, 53, 0, 54))

    edit = merge_fragments(fragments, [51, 54, 52])

    assert values(apply_edit(fragments, edit)) == [52, 52, 52, 52, 52, 53, 0, 52]
    assert edit.removed == (51, 54)
    assert edit.description == "merge fragments 1, 2 and 4 of the left hip bone"


def test_of_two_equally_large_fragments_the_lower_label_stays(
    make_fragments: MakeFragments,
) -> None:
    fragments = make_fragments(row(52, 51))

    assert values(apply_edit(fragments, merge_fragments(fragments, [52, 51]))) == [51, 51]


def test_merging_one_fragment_or_two_bones_is_refused(make_fragments: MakeFragments) -> None:
    fragments = make_fragments(row(1, 51, 52))

    with pytest.raises(InputError, match="at least two"):
        merge_fragments(fragments, [51, 51])
    with pytest.raises(InputError, match="different bones"):
        merge_fragments(fragments, [1, 51])
    with pytest.raises(ValueError, match="label 99"):
        merge_fragments(fragments, [51, 99])


def test_only_the_piece_at_the_point_changes_hands(make_fragments: MakeFragments) -> None:
    """51 has the pieces 0-1 and 4-5; the click at x = 4 means the second."""
    fragments = make_fragments(row(51, 51, 0, 52, 51, 51))

    edit = assign_piece(fragments, (4.0, 0.0, 0.0), 52)

    assert values(apply_edit(fragments, edit)) == [51, 51, 0, 52, 52, 52]
    assert edit.description == (
        "assign a piece of fragment 1 of the left hip bone to fragment 2 of the left hip bone"
    )


def test_pieces_that_touch_at_a_corner_hang_together(make_fragments: MakeFragments) -> None:
    labels = np.zeros((2, 2, 3), np.uint16)
    labels[0, 0, 0] = labels[1, 1, 1] = 51
    labels[0, 0, 2] = 52
    fragments = make_fragments(labels)

    edited = apply_edit(fragments, assign_piece(fragments, (0.0, 0.0, 0.0), 52))

    assert edited.record(52).voxels == 3
    assert edited.retired == {51}


def test_a_piece_may_go_to_another_bone(make_fragments: MakeFragments) -> None:
    fragments = make_fragments(row(1, 0, 51, 51))

    edit = assign_piece(fragments, (2.0, 0.0, 0.0), 1)

    assert values(apply_edit(fragments, edit)) == [1, 0, 1, 1]


def test_a_click_beside_the_piece_means_the_nearest_within_reach(
    make_oblique: MakeFragments,
) -> None:
    """Along j voxels are 0.7 mm apart: five steps are 3.5 mm, six are 4.2 mm."""
    labels = np.zeros((1, 12, 1), np.uint16)
    labels[0, 0, 0], labels[0, 11, 0] = 51, 52
    fragments = make_oblique(labels)
    to_lps = fragments.labels.geometry.to_lps

    near = tuple(to_lps(np.array([0.0, 5.0, 0.0])).tolist())

    edited = apply_edit(fragments, assign_piece(fragments, near, 52))
    assert [r.label for r in edited.records] == [52]
    with pytest.raises(InputError, match="no fragment within 3 mm"):
        assign_piece(fragments, near, 52, reach_mm=3.0)


def test_assigning_a_piece_to_its_own_fragment_is_refused(make_fragments: MakeFragments) -> None:
    with pytest.raises(InputError, match="belongs to fragment 1 of the left hip bone already"):
        assign_piece(make_fragments(row(51, 0, 52)), (0.0, 0.0, 0.0), 51)
