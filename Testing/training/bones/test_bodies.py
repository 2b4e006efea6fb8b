from __future__ import annotations

import numpy as np
import pytest
from small_bodies import a_small_body

from fracseg_training.bones import bodies
from fracseg_training.bones.bodies import BodySource, BrokenSource
from fracseg_training.synthesis.deform import DeformConfig
from fracseg_training.synthesis.embed import BareBones
from fracseg_training.synthesis.fracture_ct import FracturedPelvisConfig

STILL = DeformConfig(scale=(1.0, 1.0), stretch=(1.0, 1.0), rotation_deg=0.0, elastic_mm=0.0)


def some_bare_bones() -> BareBones:
    bones = np.where(a_small_body().bones() <= 3, a_small_body().bones(), 0)
    return BareBones(hu=bones * 100, bones=bones, spacing_mm=(4.0, 4.0, 4.0))


@pytest.fixture(autouse=True)
def coarse_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SPACING_MM", 4.0)


def test_every_ct_shows_all_five_bones_and_one_seed_one_ct() -> None:
    source = BodySource(hosts=[a_small_body()], deform=STILL)

    first, again = (source.make(0, np.random.default_rng(1)) for _ in range(2))

    assert set(np.unique(first.bones)) == {0, 1, 2, 3, 4, 5}
    assert first.spacing_mm == (4.0, 4.0, 4.0)
    assert np.array_equal(first.hu, again.hu)


def test_every_third_ct_holds_real_bones() -> None:
    bare = some_bare_bones()
    source = BodySource(hosts=[a_small_body()], bare_bones=[bare])

    counts = [
        np.count_nonzero(source.make(index, np.random.default_rng(0)).bones == 2)
        for index in range(3)
    ]

    assert counts[2] == np.count_nonzero(bare.bones == 2)
    assert counts[0] != counts[2]
    assert counts[1] != counts[2]


def test_a_source_without_a_body_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one label map"):
        BodySource(hosts=[])


def test_the_bones_asked_for_are_broken_and_no_other() -> None:
    """One seed makes one body: only what breaks in it differs."""
    left, right = (
        BrokenSource(
            hosts=[a_small_body()],
            config=FracturedPelvisConfig(deform=STILL, broken_bones=(value,)),
        )
        .make(0, np.random.default_rng(3))
        .bones
        for value in (2, 3)
    )

    assert not np.array_equal(left == 2, right == 2)
    assert not np.array_equal(left == 3, right == 3)
    assert np.array_equal(left == 4, right == 4)


def test_broken_pelves_are_a_function_of_the_seed() -> None:
    source = BrokenSource(hosts=[a_small_body()])

    first, again = (source.make(1, np.random.default_rng(4)) for _ in range(2))

    assert np.array_equal(first.hu, again.hu)
    assert np.array_equal(first.bones, again.bones)
