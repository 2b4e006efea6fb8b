from __future__ import annotations

import numpy as np
import pytest
from small_bodies import a_small_body

from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.ct import SyntheticCt, image_body


def a_ct(seed: int, **settings: object) -> SyntheticCt:
    body = a_small_body()
    config = SynthesisConfig(**settings)  # type: ignore[arg-type]
    return image_body(body, body.bones(), np.random.default_rng(seed), config)


def test_the_truth_is_the_label_maps_own() -> None:
    ct = a_ct(0)

    assert np.array_equal(ct.bones, a_small_body().bones())
    assert ct.hu.dtype == np.int16
    assert ct.spacing_mm == (4.0, 4.0, 4.0)


def test_bone_is_brighter_than_what_surrounds_it() -> None:
    ct = a_ct(1, metal_share=0.0, bladder_contrast_share=0.0, vessel_contrast_share=0.0)

    muscle = a_small_body().labels == 10
    for value in range(1, 6):
        assert np.median(ct.hu[ct.bones == value]) > np.median(ct.hu[muscle]) + 50


def test_one_seed_gives_one_ct_and_another_seed_another() -> None:
    assert np.array_equal(a_ct(3).hu, a_ct(3).hu)
    assert not np.array_equal(a_ct(3).hu, a_ct(4).hu)


def test_a_label_map_is_left_as_it_was() -> None:
    body = a_small_body()
    before = body.labels.copy()

    image_body(body, body.bones(), np.random.default_rng(0), SynthesisConfig())

    assert np.array_equal(body.labels, before)


@pytest.mark.parametrize("settings", [{"metal_share": 1.5}, {"noise_hu": (9.0, 3.0)}])
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        SynthesisConfig(**settings)  # type: ignore[arg-type]
