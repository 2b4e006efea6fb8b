"""More or fewer fragments: groups of regions become labels, reviewed ones stay."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.editing.edit import apply_edit
from FractureSegmentationLib.editing.fragments import Fragments, ReviewStatus
from FractureSegmentationLib.editing.regroup import Grouping, regroup
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import LabelVolume

HIP = bone_named("left_hip")
FIRST, SECOND, THIRD, FOURTH = (FRACSEG.label_of(HIP, index) for index in (1, 2, 3, 4))
SACRUM = FRACSEG.label_of(bone_named("sacrum"), 1)
OFFSET = 7


def some_fragments() -> tuple[Fragments, np.ndarray]:
    """A row of 20 voxels: regions 1 (8), 2 (6), 3 (4), 4 (2); 1 and 2 are fragment 1, 3 and 4
    fragment 2. A sacrum lies beside it, of which there is no region."""
    regions = np.zeros((2, 1, 20), np.uint16)
    regions[0, 0] = OFFSET + np.repeat([1, 2, 3, 4], [8, 6, 4, 2])
    labels = np.zeros(regions.shape, np.uint16)
    labels[0, 0] = np.repeat([FIRST, SECOND], [14, 6])
    labels[1] = SACRUM
    volume = LabelVolume(voxels=labels, geometry=Geometry(shape=(2, 1, 20), spacing_mm=(1, 1, 1)))
    return Fragments.of(volume), regions


def grouping(*groups: int) -> Grouping:
    return Grouping(offset=OFFSET, groups=np.array([0, *groups], np.uint16))


def row(fragments: Fragments) -> list[int]:
    return fragments.labels.voxels[0, 0].tolist()


def test_more_fragments_keep_the_labels_of_the_largest_parts_and_add_new_ones() -> None:
    fragments, regions = some_fragments()

    edit = regroup(fragments, HIP, regions, grouping(1, 2, 3, 4))

    assert edit is not None
    after = apply_edit(fragments, edit)
    assert row(after) == [FIRST] * 8 + [THIRD] * 6 + [SECOND] * 4 + [FOURTH] * 2
    assert edit.description == "divide the left hip bone into 4 fragments"
    assert (after.labels.voxels[1] == SACRUM).all()


def test_fewer_fragments_keep_the_label_of_the_largest() -> None:
    fragments, regions = some_fragments()

    edit = regroup(fragments, HIP, regions, grouping(1, 1, 1, 1))

    assert edit is not None
    after = apply_edit(fragments, edit)
    assert row(after) == [FIRST] * 20
    assert edit.removed == (SECOND,)


def test_another_way_round_moves_what_belongs_elsewhere() -> None:
    """1 alone, which shares 8 voxels with fragment 1; 2 with 3 and 4, 6 of them fragment 2's."""
    fragments, regions = some_fragments()

    edit = regroup(fragments, HIP, regions, grouping(1, 2, 2, 2))

    assert edit is not None
    assert row(apply_edit(fragments, edit)) == [FIRST] * 8 + [SECOND] * 12


def test_the_same_groups_are_no_change() -> None:
    fragments, regions = some_fragments()

    assert regroup(fragments, HIP, regions, grouping(1, 1, 3, 3)) is None


def test_undo_brings_every_voxel_back() -> None:
    fragments, regions = some_fragments()
    edit = regroup(fragments, HIP, regions, grouping(1, 2, 3, 4))
    assert edit is not None

    again = apply_edit(apply_edit(fragments, edit), edit.inverse())

    assert np.array_equal(again.labels.voxels, fragments.labels.voxels)
    assert again.records == fragments.records


def test_a_reviewed_fragment_stays_voxel_by_voxel() -> None:
    fragments, regions = some_fragments()
    fragments = fragments.with_review([SECOND], ReviewStatus.ACCEPTED)

    edit = regroup(fragments, HIP, regions, grouping(1, 2, 2, 2))

    assert edit is not None
    after = apply_edit(fragments, edit)
    assert row(after) == [FIRST] * 8 + [THIRD] * 6 + [SECOND] * 6
    assert after.record(SECOND).review is ReviewStatus.ACCEPTED


def test_where_all_is_reviewed_nothing_changes_and_it_is_said() -> None:
    fragments, regions = some_fragments()
    fragments = fragments.with_review([FIRST, SECOND], ReviewStatus.ACCEPTED)

    with pytest.raises(InputError, match="reviewed"):
        regroup(fragments, HIP, regions, grouping(1, 1, 1, 1))


def test_painted_voxels_go_with_most_of_their_fragment() -> None:
    fragments, regions = some_fragments()
    regions[0, 0, 0] = 0

    edit = regroup(fragments, HIP, regions, grouping(1, 2, 3, 3))

    assert edit is not None
    assert row(apply_edit(fragments, edit))[0] == FIRST


def test_regions_of_another_grid_are_refused() -> None:
    fragments, regions = some_fragments()

    with pytest.raises(ValueError, match="one grid"):
        regroup(fragments, HIP, regions[:1], grouping(1, 1, 1, 1))
