from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation
from small_bodies import a_small_body

from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.envelope import AIR, FAT, INNER, NAMED, SKIN, wrap_body


def test_named_structures_keep_their_place_and_lie_inside_the_body(
    rng: np.random.Generator,
) -> None:
    body = a_small_body()

    envelope = wrap_body(body, rng, SynthesisConfig())

    assert np.array_equal(envelope.layers == NAMED, body.labels > 0)
    near_bone = binary_dilation(body.bones() > 0)
    assert not np.any(envelope.layers[near_bone] == AIR)


def test_organs_have_unnamed_tissue_between_them(rng: np.random.Generator) -> None:
    body = a_small_body()

    envelope = wrap_body(body, rng, SynthesisConfig())

    # Between the hip bones, in front of the sacrum, no structure is named.
    assert body.labels[20, 35, 40] == 0
    assert envelope.layers[20, 35, 40] == INNER


def test_a_fat_patient_is_wider_than_a_thin_one() -> None:
    body = a_small_body()
    thin, fat = (
        wrap_body(body, np.random.default_rng(1), SynthesisConfig(fat_mm=(mm, mm)))
        for mm in (4.0, 40.0)
    )

    assert np.count_nonzero(fat.layers == FAT) > 2 * np.count_nonzero(thin.layers == FAT)
    assert np.count_nonzero(fat.layers == AIR) < np.count_nonzero(thin.layers == AIR)


def test_depth_grows_outwards_through_the_skin(rng: np.random.Generator) -> None:
    envelope = wrap_body(a_small_body(), rng, SynthesisConfig())

    depth = envelope.depth_mm
    assert depth[envelope.layers == INNER].max() < 0.0
    assert depth[envelope.layers == FAT].min() > 0.0
    assert depth[envelope.layers == SKIN].mean() > depth[envelope.layers == FAT].mean()
