"""Growing and shrinking bones by millimetres."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.bones.extent import grow_bone, shrink_bone


def test_a_voxel_grows_by_millimetres_not_by_voxels() -> None:
    """2 mm reach one slice of 2 mm and two columns of 1 mm."""
    bone = np.zeros((5, 7, 7), bool)
    bone[2, 3, 3] = True
    grown = grow_bone(bone, np.zeros_like(bone), (2.0, 1.0, 1.0), 2.0)
    # Ball of 2 mm: 13 voxels in its own slice (|j|, |i| with j² + i² <= 4), 1 in each neighbour.
    assert grown.sum() == 15
    assert grown[1, 3, 3]
    assert not grown[1, 3, 4]


def test_contested_voxels_go_to_the_nearer_bone_and_ties_to_nobody() -> None:
    """Bones at columns 0 and 4: columns 1 and 3 are decided, column 2 is a tie."""
    bone = np.zeros((1, 1, 5), bool)
    bone[..., 0] = True
    others = np.zeros((1, 1, 5), bool)
    others[..., 4] = True
    assert grow_bone(bone, others, (1.0, 1.0, 1.0), 2.0).ravel().tolist() == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_touching_bones_keep_their_own_voxels() -> None:
    bone = np.zeros((1, 1, 4), bool)
    bone[..., :2] = True
    assert grow_bone(bone, ~bone, (1.0, 1.0, 1.0), 3.0).ravel().tolist() == bone.ravel().tolist()


def test_shrinking_keeps_what_is_deeper_and_the_border_of_the_crop_is_no_surface() -> None:
    bone = np.ones((1, 1, 6), bool)
    bone[..., 5] = False
    deep = shrink_bone(bone, (1.0, 1.0, 1.0), 2.0)
    assert deep.ravel().tolist() == [True, True, True, False, False, False]
