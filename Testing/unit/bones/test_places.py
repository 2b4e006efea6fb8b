"""Bones that lie where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.bones.clean import without_misplaced

MM = (2.0, 2.0, 2.0)


@pytest.fixture
def pelvis() -> np.ndarray:
    """Hip bones from slice 10 to 69 (120 mm), the sacrum between them, a femur below each."""
    labels = np.zeros((110, 20, 60), np.uint8)
    labels[10:70, 5:15, 40:50] = 2
    labels[10:70, 5:15, 10:20] = 3
    labels[30:62, 10:18, 25:35] = 1
    labels[0:30, 5:15, 51:58] = 4
    labels[0:30, 5:15, 2:9] = 5
    return labels


def test_a_pelvis_stays_as_it_is(pelvis: np.ndarray) -> None:
    np.testing.assert_array_equal(without_misplaced(pelvis, MM), pelvis)


def test_a_spine_taken_for_a_femur_goes_and_the_femur_stays(pelvis: np.ndarray) -> None:
    spine = pelvis.copy()
    spine[64:110, 10:18, 25:35] = 4
    np.testing.assert_array_equal(without_misplaced(spine, MM), pelvis)


def test_a_sacrum_ends_5_mm_above_the_hip_bones_at_the_latest(pelvis: np.ndarray) -> None:
    """5 mm are 2 slices (rounded to even): slices 70 and 71 stay, 72 and on go."""
    spine = pelvis.copy()
    spine[62:110, 10:18, 25:35] = 1
    kept = without_misplaced(spine, MM)
    assert (kept[62:72, 10:18, 25:35] == 1).all()
    assert not kept[72:].any()


def test_a_speck_of_hip_bone_in_the_spine_does_not_raise_the_limit(pelvis: np.ndarray) -> None:
    spine = pelvis.copy()
    spine[62:105, 10:18, 25:35] = 1
    spine[105:110, 10:12, 25:27] = 2
    assert not (without_misplaced(spine, MM)[72:] == 1).any()


def test_without_most_of_a_hip_bone_nothing_is_removed(pelvis: np.ndarray) -> None:
    """Hip bones of 40 slices are 80 mm: the CT shows part of them, and says nothing of the top."""
    part = pelvis.copy()
    part[50:70][np.isin(part[50:70], (2, 3))] = 0
    part[50:100, 10:18, 25:35] = 1
    np.testing.assert_array_equal(without_misplaced(part, MM), part)
