from __future__ import annotations

import numpy as np
import pytest
from small_bodies import a_small_body

from fracseg_training.synthesis.deform import (
    DeformConfig,
    deform_body,
    extend_legs,
    rotation,
    warp_labels,
)
from fracseg_training.synthesis.label_map import LabelMap

STILL = DeformConfig(scale=(1.0, 1.0), stretch=(1.0, 1.0), rotation_deg=0.0, elastic_mm=0.0)


def test_a_body_that_may_not_change_stays_as_it_is(rng: np.random.Generator) -> None:
    body = a_small_body()

    same = deform_body(body, rng, STILL)

    assert np.array_equal(same.labels, body.labels)


def test_a_body_scaled_by_a_quarter_has_nearly_twice_the_bone(rng: np.random.Generator) -> None:
    body = a_small_body()
    larger = deform_body(
        body,
        rng,
        DeformConfig(scale=(1.25, 1.25), stretch=(1.0, 1.0), rotation_deg=0.0, elastic_mm=0.0),
    )

    ratio = np.count_nonzero(larger.bones()) / np.count_nonzero(body.bones())
    assert ratio == pytest.approx(1.25**3, rel=0.05)


def test_a_finer_grid_shows_the_same_body(rng: np.random.Generator) -> None:
    body = a_small_body()

    finer = deform_body(body, rng, STILL, (2.0, 2.0, 2.0))

    assert finer.spacing_mm == (2.0, 2.0, 2.0)
    assert np.count_nonzero(finer.labels == 3) == 8 * np.count_nonzero(body.labels == 3)


def test_warping_puts_a_voxel_where_the_map_says() -> None:
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[1, 2, 3] = 9
    body = LabelMap(labels=labels, names={9: "sacrum"}, spacing_mm=(2.0, 2.0, 2.0))

    # A point p of the new grid shows the body at p + (0, 2, 4) mm.
    warped = warp_labels(body, (4, 4, 4), (2.0, 2.0, 2.0), np.eye(3), np.array([0.0, 2.0, 4.0]))

    assert np.argwhere(warped == 9).tolist() == [[1, 1, 1]]


def test_a_rotation_about_k_turns_j_into_i() -> None:
    assert np.allclose(rotation(np.array([90.0, 0.0, 0.0])) @ [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])


def test_legs_go_on_below_and_lean_towards_the_middle() -> None:
    body = a_small_body()

    taller = extend_legs(body, 80.0)

    assert taller.labels.shape[0] == body.labels.shape[0] + 20
    assert np.array_equal(taller.labels[20:], body.labels)
    lowest = np.nonzero(taller.labels[0] == 1)[1].mean()
    assert lowest < np.nonzero(body.labels[0] == 1)[1].mean()
    assert set(np.unique(taller.labels[:20])) == {0, 1, 2}


def test_a_body_without_femora_at_its_end_is_not_extended() -> None:
    body = a_small_body()
    upper = body.cropped((slice(30, None), slice(None), slice(None)))

    assert extend_legs(upper, 80.0) is upper
