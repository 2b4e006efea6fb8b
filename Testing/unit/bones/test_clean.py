"""What a raw bone labelling is corrected to."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.bones.clean import clean_bones

MM = (2.0, 2.0, 2.0)


@pytest.fixture
def pelvis() -> np.ndarray:
    """Sacrum in the middle, a hip on each side (left is the larger i): 8 mm3 per voxel."""
    labels = np.zeros((30, 30, 90), np.uint8)
    labels[5:25, 15:25, 40:50] = 1
    labels[5:25, 5:20, 65:75] = 2
    labels[5:25, 5:20, 15:25] = 3
    return labels


def test_a_plausible_pelvis_stays_as_it_is(pelvis: np.ndarray) -> None:
    np.testing.assert_array_equal(clean_bones(pelvis, MM), pelvis)


def test_a_hip_on_the_wrong_side_of_the_sacrum_changes_its_name(pelvis: np.ndarray) -> None:
    swapped = np.array([0, 1, 3, 2], np.uint8)[pelvis]
    np.testing.assert_array_equal(clean_bones(swapped, MM), pelvis)


def test_without_a_sacrum_the_middle_lies_between_the_hips(pelvis: np.ndarray) -> None:
    hips = np.where(pelvis == 1, 0, pelvis).astype(np.uint8)
    swapped = np.array([0, 0, 3, 2], np.uint8)[hips]
    np.testing.assert_array_equal(clean_bones(swapped, MM), hips)


def test_a_single_hip_keeps_the_name_it_was_given() -> None:
    labels = np.zeros((30, 30, 40), np.uint8)
    labels[5:25, 5:20, 2:12] = 2
    np.testing.assert_array_equal(clean_bones(labels, MM), labels)


def test_a_speck_in_another_bone_becomes_that_bone(pelvis: np.ndarray) -> None:
    speckled = pelvis.copy()
    speckled[10:12, 10:12, 68:70] = 4
    np.testing.assert_array_equal(clean_bones(speckled, MM), pelvis)


def test_a_speck_in_the_air_and_a_ghost_far_away_disappear(pelvis: np.ndarray) -> None:
    ghostly = np.pad(pelvis, ((0, 40), (0, 0), (0, 0)))
    expected = ghostly.copy()
    ghostly[27:29, 27:29, 5:7] = 1
    # 10 x 10 x 10 voxels are 8 cm3, but 60 mm from the left hip.
    ghostly[55:65, 5:15, 65:75] = 2
    np.testing.assert_array_equal(clean_bones(ghostly, MM), expected)


def test_a_ghost_inside_the_box_of_its_bone_disappears_by_its_real_distance() -> None:
    """An L of two 4 mm plates spans a box; a 16 mm cube in its open corner is 20 mm off both."""
    labels = np.zeros((40, 10, 40), np.uint8)
    labels[2:38, :, 2:4] = 2
    labels[2:4, :, 2:38] = 2
    expected = labels.copy()
    labels[14:22, :8, 14:22] = 2
    np.testing.assert_array_equal(clean_bones(labels, MM), expected)


def test_a_fragment_counts_as_near_by_way_of_another_fragment(pelvis: np.ndarray) -> None:
    """10 mm from the second piece, 36 mm from the main one."""
    broken = np.pad(pelvis, ((0, 0), (0, 40), (0, 0)))
    broken[10:20, 25:33, 68:73] = 2
    broken[10:20, 38:43, 68:73] = 2
    np.testing.assert_array_equal(clean_bones(broken, MM), broken)


def test_a_displaced_fragment_near_its_bone_stays(pelvis: np.ndarray) -> None:
    broken = pelvis.copy()
    broken[10:20, 22:27, 68:73] = 2
    np.testing.assert_array_equal(clean_bones(broken, MM), broken)


def test_a_bone_too_small_to_be_one_is_no_bone(pelvis: np.ndarray) -> None:
    """7 x 7 x 7 voxels are 2.7 cm3; a bone has 4 cm3 at least."""
    labels = pelvis.copy()
    labels[20:27, 20:27, 80:87] = 4
    np.testing.assert_array_equal(clean_bones(labels, MM), pelvis)


def test_nothing_stays_nothing() -> None:
    assert not clean_bones(np.zeros((4, 4, 4), np.uint8), MM).any()
