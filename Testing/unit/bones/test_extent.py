"""The extent of bones: grown, shrunk, fitted to a masked CT."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.bones.extent import fitted_to_masked_ct, grow_bone, shrink_bone
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import LabelVolume, Volume


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


def test_bones_end_where_the_ct_becomes_zero() -> None:
    """Columns 2 to 7 are bone with a hole of 0 HU at 4; the detected bone is columns 0 to 5."""
    geometry = Geometry(shape=(3, 3, 10), spacing_mm=(1, 1, 1))
    hu = np.zeros(geometry.shape, np.int16)
    hu[..., 2:8] = 300
    hu[1, 1, 4] = 0
    rough = np.zeros(geometry.shape, np.uint8)
    rough[..., :6] = 3

    fitted = fitted_to_masked_ct(
        Volume(voxels=hu, geometry=geometry), LabelVolume(voxels=rough, geometry=geometry)
    )

    expected = np.zeros(geometry.shape, np.uint8)
    expected[..., 2:8] = 3
    np.testing.assert_array_equal(fitted.voxels, expected)


def test_every_voxel_takes_the_nearest_bone() -> None:
    geometry = Geometry(shape=(1, 1, 8), spacing_mm=(1, 1, 1))
    hu = np.full(geometry.shape, 300, np.int16)
    rough = np.array([1, 0, 0, 0, 0, 0, 2, 2], np.uint8).reshape(1, 1, 8)
    fitted = fitted_to_masked_ct(
        Volume(voxels=hu, geometry=geometry), LabelVolume(voxels=rough, geometry=geometry)
    )
    assert fitted.voxels.ravel().tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_nothing_found_stays_nothing() -> None:
    geometry = Geometry(shape=(2, 2, 2), spacing_mm=(1, 1, 1))
    fitted = fitted_to_masked_ct(
        Volume(voxels=np.ones((2, 2, 2), np.int16), geometry=geometry),
        LabelVolume(voxels=np.zeros((2, 2, 2), np.uint8), geometry=geometry),
    )
    assert not fitted.voxels.any()
