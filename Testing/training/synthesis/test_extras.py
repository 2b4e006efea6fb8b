from __future__ import annotations

import numpy as np
from small_bodies import a_small_body

from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.envelope import AIR, Envelope, wrap_body
from fracseg_training.synthesis.extras import Rod, add_arm, add_implant, add_table, voxels_of


def an_envelope() -> Envelope:
    return wrap_body(a_small_body(), np.random.default_rng(2), SynthesisConfig(fat_mm=(5.0, 8.0)))


def test_a_rod_covers_what_lies_within_its_radius_in_millimetres() -> None:
    rod = Rod(np.array([0.0, 4.0, 4.0]), np.array([20.0, 4.0, 4.0]), 2.0)

    box, inside = voxels_of(rod, (6, 9, 5), (4.0, 1.0, 2.0))

    grid = np.zeros((6, 9, 5), bool)
    grid[box] = inside
    # In every slice: j within 2 voxels, i within 1 voxel of the axis, corners beyond 2 mm left out.
    assert np.count_nonzero(grid[3]) == 7
    assert grid[3, 2:7, 2].all()
    assert grid[3, 4, 1]
    assert not grid[3, 5, 1]


def test_a_rod_outside_the_grid_covers_nothing() -> None:
    box, inside = voxels_of(
        Rod(np.array([-50.0, 0.0, 0.0]), np.array([-40.0, 0.0, 0.0]), 3.0),
        (5, 5, 5),
        (1.0, 1.0, 1.0),
    )

    assert inside.size == 0
    assert np.zeros((5, 5, 5))[box].size == 0


def test_arms_lie_where_there_was_air() -> None:
    envelope = an_envelope()
    drawn = False
    for seed in range(8):
        hu = np.full(envelope.layers.shape, -1000.0, np.float32)
        add_arm(hu, envelope, (4.0, 4.0, 4.0), np.random.default_rng(seed))
        assert np.all(hu[envelope.layers != AIR] == -1000.0)
        drawn |= bool((hu > -100.0).any())
    assert drawn


def test_the_table_lies_behind_the_body(rng: np.random.Generator) -> None:
    envelope = an_envelope()
    hu = np.full(envelope.layers.shape, -1000.0, np.float32)

    add_table(hu, envelope, (4.0, 4.0, 4.0), rng)

    rows = np.nonzero(hu > -1000.0)[1]
    body_rows = np.nonzero(envelope.layers != AIR)[1]
    assert len(rows)
    assert rows.min() > body_rows.mean()


def test_an_implant_is_metal_in_the_bone_with_rays_in_flesh_only() -> None:
    body = a_small_body()
    hu = np.where(body.labels > 0, 100.0, -1000.0).astype(np.float32)
    before = hu.copy()

    add_implant(hu, body.labels == 1, body.spacing_mm, np.random.default_rng(4))

    metal = hu > 2000.0
    assert metal.any()
    assert np.any(body.labels[metal] == 1)
    assert np.all((hu == -1000.0) | metal | (before > -600.0))
    assert np.any((hu != before) & ~metal)


def test_no_implant_goes_into_a_bone_that_is_not_there(rng: np.random.Generator) -> None:
    hu = np.zeros((4, 4, 4), np.float32)

    add_implant(hu, np.zeros(hu.shape, bool), (1.0, 1.0, 1.0), rng)

    assert not hu.any()
