"""Analytic pelves and femora as CTs."""

from __future__ import annotations

import cc3d
import numpy as np
import pytest

from fracseg_training.phantoms.fractured import fractured_femur_phantom, fractured_pelvis_phantom
from fracseg_training.phantoms.pelvis import femur_phantom, pelvis_phantom
from fracseg_training.simulate.truth_case import TruthCase
from FractureSegmentationLib.anatomy.catalogue import bone_named

COARSE_MM = (3.0, 3.0, 3.0)


@pytest.fixture(scope="module")
def pelvis() -> TruthCase:
    """A coarse pelvis."""
    return pelvis_phantom(np.random.default_rng(3), (2.0, 2.0, 2.0))


def volume_ml(case: TruthCase, slug: str) -> float:
    """Volume of one bone."""
    inside = np.count_nonzero(case.bones == bone_named(slug).mask_value)
    return float(inside * np.prod(case.spacing_mm) / 1000.0)


def centre_lps(case: TruthCase, slug: str) -> np.ndarray:
    """Middle of one bone in the patient."""
    inside = np.argwhere(case.bones == bone_named(slug).mask_value)
    return case.geometry.to_lps(inside.mean(axis=0))


def test_pelvis_has_its_five_bones_each_in_one_piece(pelvis: TruthCase) -> None:
    for value in range(1, 6):
        pieces = cc3d.connected_components((pelvis.bones == value).astype(np.uint8))
        assert pieces.max() == 1


def test_bones_have_the_volumes_of_an_adult(pelvis: TruthCase) -> None:
    """Hip bones of the real patients measure 300 to 400 ml, their sacra 210 to 240 ml."""
    assert 200 < volume_ml(pelvis, "left_hip") < 450
    assert 180 < volume_ml(pelvis, "sacrum") < 350


def test_left_lies_left_and_the_sacrum_behind(pelvis: TruthCase) -> None:
    """LPS: x grows towards the left, y towards the back, z upwards."""
    left, right = centre_lps(pelvis, "left_hip"), centre_lps(pelvis, "right_hip")
    sacrum, femur = centre_lps(pelvis, "sacrum"), centre_lps(pelvis, "left_femur")

    assert left[0] > 50
    assert right[0] < -50
    assert abs(sacrum[0]) < 3
    assert sacrum[1] > left[1] + 20
    assert femur[2] < left[2] - 40


def test_both_sides_mirror_each_other(pelvis: TruthCase) -> None:
    assert volume_ml(pelvis, "left_hip") == pytest.approx(volume_ml(pelvis, "right_hip"), rel=0.02)


def test_joints_are_open(pelvis: TruthCase) -> None:
    """No hip voxel shares a face with a femur or the other hip."""
    for first, second in ((2, 4), (3, 5), (2, 3)):
        for axis in range(3):
            low = np.take(pelvis.bones, range(pelvis.bones.shape[axis] - 1), axis)
            high = np.take(pelvis.bones, range(1, pelvis.bones.shape[axis]), axis)
            assert not ((low == first) & (high == second)).any()
            assert not ((low == second) & (high == first)).any()


def test_bone_is_bright_muscle_is_not_and_the_corner_is_air(pelvis: TruthCase) -> None:
    bone = pelvis.bones > 0

    assert np.median(pelvis.hu[bone]) > 150
    assert np.quantile(pelvis.hu[bone], 0.95) > 600
    assert pelvis.hu[0, 0, 0] < -800
    assert -50 < np.median(pelvis.hu[~bone & (pelvis.hu > -200)]) < 90


def test_whole_bones_are_their_own_first_fragment(pelvis: TruthCase) -> None:
    """Fragment label = 50 (mask value - 1) + 1."""
    for value in range(1, 6):
        assert np.unique(pelvis.fragments[pelvis.bones == value]).tolist() == [50 * (value - 1) + 1]
    assert not pelvis.fragments[pelvis.bones == 0].any()


def test_same_seed_gives_the_same_femur_and_another_seed_another() -> None:
    first, again, other = (
        femur_phantom(np.random.default_rng(s), COARSE_MM, length_mm=150.0) for s in (1, 1, 2)
    )

    assert np.array_equal(first.hu, again.hu)
    assert first.hu.shape != other.hu.shape or not np.array_equal(first.hu, other.hu)


def test_femur_has_an_open_canal_in_its_shaft() -> None:
    """In the shaft the compact bone is bright and the middle is fat."""
    case = femur_phantom(np.random.default_rng(0), (4.0, 1.0, 1.0), length_mm=250.0)
    level = int(case.geometry.to_index(np.array([0.0, 0.0, -160.0]))[0])
    shaft = case.bones[level] > 0
    middle = tuple(np.round(np.argwhere(shaft).mean(axis=0)).astype(int))

    assert case.hu[level][shaft].max() > 800
    assert case.hu[level][middle] < 50


def test_broken_pelvis_has_fragments_of_the_bones_asked_for_only() -> None:
    case = fractured_pelvis_phantom(np.random.default_rng(4), COARSE_MM, broken=("right_hip",))
    labels = np.unique(case.fragments[case.fragments > 0]).tolist()

    assert [label for label in labels if not 101 <= label <= 150] == [1, 51, 151, 201]
    assert {101, 102} <= set(labels)


def test_bones_and_fragments_of_a_broken_pelvis_agree() -> None:
    """Every bone voxel belongs to a fragment of that bone, and to no other."""
    case = fractured_pelvis_phantom(np.random.default_rng(5), COARSE_MM)
    owner = np.where(case.fragments > 0, (case.fragments.astype(int) - 1) // 50 + 1, 0)

    assert np.array_equal(owner, case.bones)


def test_unknown_bone_is_refused() -> None:
    with pytest.raises(ValueError, match="no bone is called"):
        fractured_pelvis_phantom(np.random.default_rng(0), COARSE_MM, broken=("wing",))


def test_broken_femur_is_in_pieces() -> None:
    case = fractured_femur_phantom(np.random.default_rng(1), (3.0, 2.0, 2.0))

    assert len(np.unique(case.fragments)) >= 3
