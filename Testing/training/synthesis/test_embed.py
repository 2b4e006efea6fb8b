from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion
from small_bodies import a_small_body

from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.deform import DeformConfig, deform_body
from fracseg_training.synthesis.embed import (
    BareBones,
    Surroundings,
    embed_real_bones,
    fit_body,
)

QUIET = SynthesisConfig(
    noise_hu=(1.0, 1.5), metal_share=0.0, narrow_view_share=0.0, streak_share=0.0
)
STRETCHED = DeformConfig(scale=(1.1, 1.1), stretch=(0.95, 1.05), rotation_deg=0.0, elastic_mm=0.0)


def some_bare_bones() -> BareBones:
    """Sacrum and hip bones of a larger body, 500 HU each, 0 HU around, cropped to them."""
    body = deform_body(a_small_body(), np.random.default_rng(8), STRETCHED, (3.0, 3.0, 3.0))
    bones = np.where(body.bones() <= 3, body.bones(), 0)
    box = tuple(slice(int(w.min()) - 1, int(w.max()) + 2) for w in np.nonzero(bones))
    bones = bones[box]
    hu = np.where(bones > 0, 500, 0).astype(np.int16)
    return BareBones(hu=hu, bones=bones, spacing_mm=(3.0, 3.0, 3.0))


def test_the_fit_lays_every_bone_on_its_namesake() -> None:
    bare, host = some_bare_bones(), a_small_body()

    matrix, offset = fit_body(bare, host)

    for value in (1, 2, 3):
        real = np.argwhere(bare.bones == value).mean(axis=0) * 3.0
        goal = np.argwhere(host.bones() == value).mean(axis=0) * 4.0
        assert np.linalg.norm(matrix @ real + offset - goal) < 4.0


def test_real_bones_keep_their_hounsfield_units() -> None:
    bare = some_bare_bones()

    ct = embed_real_bones(bare, a_small_body(), np.random.default_rng(0), QUIET)

    inside = ct.bones == 3
    assert np.count_nonzero(inside) == np.count_nonzero(bare.bones == 3)
    values = ct.hu[binary_erosion(inside)].astype(float)
    # The scanner's gain is one factor between 0.85 and 1.15 on all bright voxels.
    assert np.median(values) == pytest.approx(500.0, rel=0.16)
    assert values.std() < 15.0


def test_the_hosts_femora_stay_and_its_pelvis_goes() -> None:
    bare = some_bare_bones()

    ct = embed_real_bones(bare, a_small_body(), np.random.default_rng(0), QUIET)

    for value in (1, 2, 3):
        assert np.count_nonzero(ct.bones == value) == np.count_nonzero(bare.bones == value)
    assert np.count_nonzero(ct.bones == 4) > 100
    assert np.count_nonzero(ct.bones == 5) > 100


def test_the_ct_is_wider_than_the_bones_by_the_surroundings_asked_for() -> None:
    bare = some_bare_bones()
    around = Surroundings(below_mm=30.0, above_mm=60.0, beside_mm=45.0)

    ct = embed_real_bones(bare, a_small_body(), np.random.default_rng(0), QUIET, around)

    assert np.subtract(ct.hu.shape, bare.hu.shape).tolist() == [30, 30, 30]


def test_bones_with_nothing_in_common_cannot_be_fitted() -> None:
    bare = some_bare_bones()
    none = BareBones(hu=bare.hu, bones=np.zeros_like(bare.bones), spacing_mm=bare.spacing_mm)

    with pytest.raises(ValueError, match="no pelvic bone in common"):
        fit_body(none, a_small_body())
