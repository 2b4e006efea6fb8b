from __future__ import annotations

import numpy as np
import pytest
from small_bodies import a_small_body

from fracseg_training.synthesis.deform import DeformConfig
from fracseg_training.synthesis.fracture_ct import (
    FracturedCt,
    FracturedPelvisConfig,
    fractured_pelvis,
    with_smooth_bones,
)
from fracseg_training.synthesis.label_map import LabelMap

STILL = DeformConfig(scale=(1.0, 1.0), stretch=(1.0, 1.0), rotation_deg=0.0, elastic_mm=0.0)


def a_broken_pelvis(seed: int, broken: tuple[int, ...] = (2,)) -> FracturedCt:
    body = a_small_body()
    config = FracturedPelvisConfig(
        spacing_mm=(2.0, 2.0, 2.0), broken_bones=broken, above_pelvis_mm=20.0, deform=STILL
    )
    return fractured_pelvis(
        body.labels, body.names, body.spacing_mm, np.random.default_rng(seed), config
    )


@pytest.fixture(scope="module")
def broken_hip() -> FracturedCt:
    return a_broken_pelvis(1)


def test_fragments_fill_the_bones_exactly(broken_hip: FracturedCt) -> None:
    assert np.array_equal(broken_hip.fragments > 0, broken_hip.bones > 0)
    owners = (broken_hip.fragments.astype(int) - 1) // 50 + 1
    assert np.array_equal(owners[broken_hip.bones > 0], broken_hip.bones[broken_hip.bones > 0])


def test_only_the_bone_asked_for_is_broken(broken_hip: FracturedCt) -> None:
    labels = set(np.unique(broken_hip.fragments).tolist())

    assert {1, 101, 151, 201} <= labels
    assert len([label for label in labels if 51 <= label <= 100]) >= 2
    assert not labels & {2, 102, 152, 202}


def test_fragments_are_numbered_by_volume_without_holes(broken_hip: FracturedCt) -> None:
    volumes = np.bincount(broken_hip.fragments.ravel(), minlength=101)[51:101]
    present = volumes[volumes > 0]

    assert np.all(volumes[: len(present)] > 0)
    assert np.all(np.diff(present) <= 0)


def test_one_seed_gives_one_fracture(broken_hip: FracturedCt) -> None:
    again = a_broken_pelvis(1)

    assert np.array_equal(again.hu, broken_hip.hu)
    assert np.array_equal(again.fragments, broken_hip.fragments)


def test_the_grid_has_the_shape_asked_for_and_the_body_in_its_middle() -> None:
    body = a_small_body()
    config = FracturedPelvisConfig(
        spacing_mm=(4.0, 4.0, 4.0), broken_bones=(2,), shape=(40, 50, 130), deform=STILL
    )

    ct = fractured_pelvis(
        body.labels, body.names, body.spacing_mm, np.random.default_rng(1), config
    )

    assert ct.hu.shape == ct.fragments.shape == (40, 50, 130)
    columns = np.nonzero(np.isin(ct.bones, (4, 5)))[2]
    assert abs((columns.min() + columns.max()) / 2.0 - 64.5) <= 2.0


def test_a_bone_that_is_not_there_cannot_be_broken() -> None:
    with pytest.raises(ValueError, match="tibia"):
        a_broken_pelvis(1, broken=(6,))


def test_smoothing_takes_steps_away_and_keeps_the_size() -> None:
    coarse = np.zeros((10, 10, 10), np.uint8)
    grid = np.indices(coarse.shape) - 4.5
    coarse[(grid**2).sum(axis=0) <= 16.0] = 1
    stepped = np.kron(coarse, np.ones((3, 3, 3), np.uint8))
    body = LabelMap(labels=stepped, names={1: "hip_left"}, spacing_mm=(0.5, 0.5, 0.5))

    smooth = with_smooth_bones(body).labels

    assert np.count_nonzero(smooth) == pytest.approx(np.count_nonzero(stepped), rel=0.1)
    assert surface(smooth) < surface(stepped)


def test_smoothing_keeps_s1_and_sacrum_together() -> None:
    labels = np.zeros((20, 20, 40), np.uint8)
    labels[5:15, 5:15, 5:20], labels[5:15, 5:15, 20:35] = 1, 2
    names = {1: "sacrum", 2: "vertebrae_S1"}
    body = LabelMap(labels=labels, names=names, spacing_mm=(1.0, 1.0, 1.0))

    smooth = with_smooth_bones(body).labels

    assert np.all(smooth[8:12, 8:12, 6:34] > 0)


def surface(labels: np.ndarray) -> int:
    """Number of voxel faces between bone and the rest."""
    inside = labels > 0
    return sum(int((inside != np.roll(inside, 1, axis)).sum()) for axis in range(3))
