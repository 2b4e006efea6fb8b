"""Sides of bones from where they lie."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.bones.sides import assign_sides, likeliest_bones

SACRUM, LEFT_HIP, RIGHT_HIP, LEFT_FEMUR, RIGHT_FEMUR = 1, 2, 3, 4, 5
BONES = ("sacrum", "left_hip", "right_hip", "left_femur", "right_femur")
SPACING_MM = (5.0, 5.0, 5.0)


def a_pelvis(*, with_sacrum: bool = True) -> np.ndarray:
    """Sacrum in the middle, hips 100 mm either side of it, femora below them; i towards Left."""
    labels = np.zeros((40, 20, 60), np.uint8)
    if with_sacrum:
        labels[20:30, 12:18, 26:34] = SACRUM
    labels[16:32, 4:16, 44:54] = LEFT_HIP
    labels[16:32, 4:16, 6:16] = RIGHT_HIP
    labels[2:14, 6:12, 46:52] = LEFT_FEMUR
    labels[2:14, 6:12, 8:14] = RIGHT_FEMUR
    return labels


def swapped(labels: np.ndarray) -> np.ndarray:
    """Every paired bone named by the other side."""
    return np.array([0, 1, 3, 2, 5, 4], np.uint8)[labels]


@pytest.mark.parametrize("with_sacrum", [True, False])
def test_swapped_sides_are_put_right(*, with_sacrum: bool) -> None:
    truth = a_pelvis(with_sacrum=with_sacrum)

    assert np.array_equal(assign_sides(swapped(truth), SPACING_MM), truth)


def test_mixed_up_voxels_of_one_bone_become_one_bone() -> None:
    truth = a_pelvis()
    mixed = np.where(np.random.default_rng(0).random(truth.shape) < 0.5, truth, swapped(truth))

    assert np.array_equal(assign_sides(mixed, SPACING_MM), truth)


def test_patient_lying_turned_by_20_degrees_keeps_the_sides() -> None:
    """Rows shift sideways with j: at 20 degrees the tangent is 0.36 per row."""
    truth = a_pelvis()
    turned = np.stack(
        [np.roll(truth[:, j], round(0.36 * (j - 10)), axis=1) for j in range(truth.shape[1])],
        axis=1,
    )

    assert np.array_equal(assign_sides(swapped(turned), SPACING_MM), turned)


def test_single_hip_takes_the_side_of_the_sacrum_it_lies_on() -> None:
    labels = a_pelvis()
    labels[np.isin(labels, (RIGHT_HIP, LEFT_FEMUR, RIGHT_FEMUR))] = 0

    named = assign_sides(swapped(labels), SPACING_MM)

    assert set(np.unique(named)) == {0, SACRUM, LEFT_HIP}


def test_single_bone_without_a_sacrum_keeps_the_side_most_of_it_has() -> None:
    labels = np.zeros((40, 12, 12), np.uint8)
    labels[:, 3:9, 3:9] = RIGHT_FEMUR
    labels[:10, 3:9, 3:9] = LEFT_FEMUR

    assert set(np.unique(assign_sides(labels, SPACING_MM))) == {0, RIGHT_FEMUR}


def test_input_stays_as_it_was() -> None:
    labels = swapped(a_pelvis())
    before = labels.copy()

    assign_sides(labels, SPACING_MM)

    assert np.array_equal(labels, before)


def test_sides_of_a_bone_count_together_against_the_background() -> None:
    """Background 0.4 against a hip bone of 0.35 + 0.25: a hip bone, the left one."""
    probabilities = np.zeros((6, 1, 1, 2), np.float32)
    probabilities[:, 0, 0, 0] = (0.4, 0.0, 0.35, 0.25, 0.0, 0.0)
    probabilities[:, 0, 0, 1] = (0.6, 0.4, 0.0, 0.0, 0.0, 0.0)

    assert likeliest_bones(probabilities, BONES).tolist() == [[[LEFT_HIP, 0]]]


def test_bones_without_a_partner_among_the_channels_stand_alone() -> None:
    probabilities = np.array([0.2, 0.3, 0.5], np.float32).reshape(3, 1, 1, 1)

    assert likeliest_bones(probabilities, ("sacrum", "right_hip")).item() == RIGHT_HIP
    assert likeliest_bones(probabilities, ("right_hip", "sacrum")).item() == SACRUM
