"""Changes of fragments as values: merge, assign, renumber, take back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.numbering import PENGWIN_2024
from FractureSegmentationLib.editing.edit import (
    apply_edit,
    assign_piece,
    make_edit,
    merge_fragments,
    renumber_by_volume,
)
from FractureSegmentationLib.editing.fragments import Fragments, ReviewStatus
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import LabelVolume

MakeFragments = Callable[[LabelArray], Fragments]
LEFT_HIP = bone_named("left_hip")

FIVE_VOXELS = (slice(0, 1), slice(0, 1), slice(0, 5))


def row(*labels: int) -> LabelArray:
    return np.array(labels, np.uint16).reshape(1, 1, -1)


def _unit_geometry(count: int) -> Geometry:
    return Geometry(shape=(1, 1, count), spacing_mm=(1.0, 1.0, 1.0))


def values(fragments: Fragments) -> list[int]:
    return [int(v) for v in fragments.labels.voxels.ravel()]


def test_a_fragment_knows_its_bone_its_size_and_its_box(make_fragments: MakeFragments) -> None:
    """Label 52 is fragment 2 of the left hip bone (51-100)."""
    fragments = make_fragments(row(0, 52, 52, 1, 52))

    record = fragments.record(52)

    assert [r.label for r in fragments.records] == [1, 52]
    assert (record.bone.slug, record.index, record.voxels) == ("left_hip", 2, 3)
    assert record.box[2] == slice(1, 5)
    assert record.name == "fragment 2 of the left hip bone"
    assert fragments.volume_mm3(52) == 3.0


def test_labels_without_a_bone_or_beyond_16_bits_are_refused(
    make_fragments: MakeFragments,
) -> None:
    with pytest.raises(ValueError, match="belongs to no bone"):
        make_fragments(row(551))
    with pytest.raises(ValueError, match="65535"):
        make_fragments(np.array([[[65537]]], np.int32))
    with pytest.raises(ValueError, match="no fragment with the label 3"):
        make_fragments(row(1)).record(3)


def test_an_edit_tells_the_smallest_box_and_leaves_its_input_alone(
    make_fragments: MakeFragments,
) -> None:
    fragments = make_fragments(row(51, 51, 51, 52))
    k, j, i = slice(0, 1), slice(0, 1), slice(0, 4)

    edit = make_edit(fragments, (k, j, i), row(51, 53, 51, 52), "try")
    edited = apply_edit(fragments, edit)

    assert edit.box == (slice(0, 1), slice(0, 1), slice(1, 2))
    assert edit.before.ravel().tolist() == [51]
    assert edit.after.ravel().tolist() == [53]
    assert (edit.added, edit.removed) == ((53,), ())
    assert values(fragments) == [51, 51, 51, 52]
    assert values(edited) == [51, 53, 51, 52]
    assert [r.voxels for r in edited.records] == [2, 1, 1]


def test_an_edit_resets_the_review_of_what_it_changes_and_of_nothing_else(
    make_fragments: MakeFragments,
) -> None:
    plain = make_fragments(row(1, 51, 51, 52))
    fragments = plain.with_review([1, 51, 52], ReviewStatus.ACCEPTED)
    assert fragments.is_reviewed
    assert not plain.is_reviewed

    edited = apply_edit(fragments, merge_fragments(fragments, [51, 52]))

    assert edited.record(51).review is ReviewStatus.UNREVIEWED
    assert edited.record(1).review is ReviewStatus.ACCEPTED
    assert not edited.is_reviewed


def test_an_edit_forgets_the_confidence_of_what_it_changes() -> None:
    volume = LabelVolume(
        voxels=row(1, 51, 52),
        geometry=_unit_geometry(3),
    )
    fragments = Fragments.of(volume, confidences={1: 0.9, 51: 0.8})

    edited = apply_edit(fragments, merge_fragments(fragments, [51, 52]))

    assert edited.record(1).confidence == 0.9
    assert edited.record(51).confidence is None


def test_an_edit_of_other_fragments_is_refused(make_fragments: MakeFragments) -> None:
    fragments = make_fragments(row(51, 51, 52))
    edit = merge_fragments(fragments, [51, 52])

    with pytest.raises(ValueError, match="does not belong"):
        apply_edit(make_fragments(row(51, 51, 53)), edit)


def test_fresh_labels_come_before_those_of_fragments_that_are_gone(
    make_fragments: MakeFragments,
) -> None:
    """52 was merged away: the next fragment is 53, not 52."""
    fragments = make_fragments(row(51, 51, 52))
    merged = apply_edit(fragments, merge_fragments(fragments, [51, 52]))

    assert fragments.free_labels(LEFT_HIP, 2) == (53, 54)
    assert merged.retired == {52}
    assert merged.free_labels(LEFT_HIP, 2) == (53, 54)
    assert merged.free_labels(LEFT_HIP, 49)[-1] == 52


def test_a_bone_cannot_hold_more_fragments_than_its_numbering() -> None:
    """PENGWIN 2024 gives the left hip bone 11 to 20."""
    volume = LabelVolume(voxels=row(*range(11, 20)), geometry=_unit_geometry(9))
    fragments = Fragments.of(volume, PENGWIN_2024)

    assert fragments.free_labels(LEFT_HIP, 1) == (20,)
    with pytest.raises(InputError, match="left hip bone would have more than the 10 fragments"):
        fragments.free_labels(LEFT_HIP, 2)


def test_a_change_of_single_voxels_is_an_edit_like_any_other(make_fragments: MakeFragments) -> None:
    """A brush painted voxel 2 with 52 and erased voxel 4, the last of fragment 53."""
    fragments = make_fragments(row(51, 51, 51, 52, 53))

    edit = make_edit(fragments, FIVE_VOXELS, row(51, 51, 52, 52, 0), "paint")

    assert edit.description == "paint"
    assert edit.removed == (53,)
    edited = apply_edit(fragments, edit)
    assert {r.label: r.voxels for r in edited.records} == {51: 2, 52: 2}
    with pytest.raises(ValueError, match="every voxel as it is"):
        make_edit(edited, FIVE_VOXELS, row(51, 51, 52, 52, 0), "paint")


def test_an_edit_with_a_label_of_no_bone_is_refused(make_fragments: MakeFragments) -> None:
    two = (*FIVE_VOXELS[:2], slice(0, 2))
    with pytest.raises(ValueError, match="label 600 belongs to no bone"):
        make_edit(make_fragments(row(51, 51)), two, row(51, 600), "paint")
    with pytest.raises(ValueError, match="do not fill"):
        make_edit(make_fragments(row(51, 51)), two, row(51), "paint")


def test_renumbering_orders_by_volume_within_each_bone(make_fragments: MakeFragments) -> None:
    """Left hip: 51 has 1 voxel, 53 has 3, 54 has 2. The sacrum's 1 stays."""
    plain = make_fragments(row(51, 53, 53, 53, 54, 54, 1))
    fragments = plain.with_review([53], ReviewStatus.ACCEPTED)

    edit = renumber_by_volume(fragments)

    assert edit is not None
    assert dict(edit.renumbered) == {51: 53, 53: 51, 54: 52}
    assert dict(edit.inverse().renumbered) == {53: 51, 51: 53, 52: 54}
    renumbered = apply_edit(fragments, edit)
    assert values(renumbered) == [53, 51, 51, 51, 52, 52, 1]
    assert renumbered.record(51).review is ReviewStatus.ACCEPTED
    assert renumbered.record(53).review is ReviewStatus.UNREVIEWED
    assert renumbered.record(51).index == 1
    assert renumber_by_volume(renumbered) is None


def test_the_inverse_restores_voxels_records_and_retired_labels(
    make_fragments: MakeFragments,
) -> None:
    first = make_fragments(row(51, 51, 52, 1)).with_review([51], ReviewStatus.ACCEPTED)
    edit = merge_fragments(first, [51, 52])
    second = apply_edit(first, edit)
    assert edit.description == "merge fragments 1 and 2 of the left hip bone"

    undone = apply_edit(second, edit.inverse())

    assert values(undone) == values(first)
    assert undone.records == first.records
    assert undone.retired == first.retired == frozenset()
    redone = apply_edit(undone, edit)
    assert values(redone) == values(second)
    assert redone.records == second.records
    assert redone.retired == {52}


def test_the_inverse_keeps_the_review_of_fragments_it_does_not_touch(
    make_fragments: MakeFragments,
) -> None:
    first = make_fragments(row(51, 51, 52, 1))
    edit = merge_fragments(first, [51, 52])
    second = apply_edit(first, edit).with_review([1], ReviewStatus.ACCEPTED)

    undone = apply_edit(second, edit.inverse())

    assert undone.record(1).review is ReviewStatus.ACCEPTED


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
