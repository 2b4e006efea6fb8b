from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_bodies import a_small_body

from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.envelope import AIR, FAT, wrap_body
from fracseg_training.synthesis.soft_tissue import (
    TissueLook,
    draw_tissue_look,
    paint_soft_tissue,
    tissue_of,
)

PLAIN = TissueLook(
    muscle_hu=55.0, fat_hu=-100.0, vessel_hu=0.0, bowel_hu=0.0, bladder_hu=0.0, gas_share=0.3
)


def painted(look: TissueLook, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    body = a_small_body()
    return paint_soft_tissue(body, wrap_body(body, rng, SynthesisConfig()), rng, look)


def test_air_fat_and_muscle_have_their_numbers() -> None:
    body = a_small_body()
    rng = np.random.default_rng(5)
    envelope = wrap_body(body, rng, SynthesisConfig())

    hu = paint_soft_tissue(body, envelope, rng, PLAIN)

    assert np.all(hu[envelope.layers == AIR] == -1000.0)
    assert hu[envelope.layers == FAT].mean() == pytest.approx(-100.0, abs=5.0)
    assert hu[body.labels == 10].mean() == pytest.approx(55.0, abs=20.0)


def test_contrast_medium_brightens_vessels_and_no_muscle() -> None:
    body = a_small_body()
    plain, enhanced = painted(PLAIN), painted(replace(PLAIN, vessel_hu=300.0))

    aorta, muscle = body.labels == 11, body.labels == 10
    assert enhanced[aorta].mean() > plain[aorta].mean() + 100.0
    assert enhanced[muscle].mean() == pytest.approx(plain[muscle].mean(), abs=30.0)


def test_a_filled_bladder_is_brighter_behind_than_in_front() -> None:
    body = a_small_body()
    hu = painted(replace(PLAIN, bladder_hu=800.0))

    _, rows, _ = np.nonzero(body.labels == 9)
    values = hu[body.labels == 9]
    assert values[rows == rows.max()].mean() > 700.0
    assert values[rows == rows.max()].mean() >= values[rows == rows.min()].mean()


def test_gas_is_found_in_the_bowel_only() -> None:
    body = a_small_body()
    hu = painted(PLAIN, seed=4)

    inside = (hu < -500.0) & (hu > -990.0)
    assert inside.any()
    assert set(np.unique(body.labels[inside])) == {8}


def test_contrast_media_are_given_as_often_as_configured() -> None:
    rng = np.random.default_rng(0)
    always = SynthesisConfig(vessel_contrast_share=1.0, bladder_contrast_share=0.0)

    looks = [draw_tissue_look(rng, always) for _ in range(10)]

    assert all(look.vessel_hu > 0.0 and look.bladder_hu == 0.0 for look in looks)


def test_every_structure_of_the_label_maps_has_a_tissue() -> None:
    assert tissue_of("iliac_vena_left").kind == "vessel"  # type: ignore[union-attr]
    assert tissue_of("vertebrae_T12").kind == "bone"  # type: ignore[union-attr]
    assert tissue_of("unknown_structure") is None
