"""Breaking bones of a whole CT."""

from __future__ import annotations

import numpy as np
import pytest
from broken_bones import SPACING_MM, long_bone

from fracseg_training.simulate.config import PatternConfig, PoseConfig, SimulationConfig
from fracseg_training.simulate.whole_ct import break_bones

CONFIG = SimulationConfig(
    pattern=PatternConfig(count_weights=(1.0,), comminution_probability=0.0),
    pose=PoseConfig(mode_weights=(0.0, 0.0, 1.0, 0.0, 0.0)),
)


def two_bones() -> tuple[np.ndarray, np.ndarray]:
    """Two long bones side by side, 2 mm apart: a left (4) and a right femur (5)."""
    hu, bone = long_bone()
    bones = np.zeros((*bone.shape[:2], 80), np.uint8)
    both = np.full(bones.shape, 50, np.int16)
    for value, start in ((4, 12), (5, 38)):
        place = np.zeros(bones.shape, bool)
        place[:, :, start - 8 : start + 32] = bone
        bones[place] = value
        both[:, :, start - 8 : start + 32][bone] = hu[bone]
    return both, bones


def test_only_the_bone_asked_for_breaks() -> None:
    hu, bones = two_bones()

    ct = break_bones(hu, bones, SPACING_MM, np.random.default_rng(0), CONFIG, broken=[4])

    assert np.unique(ct.fragments[bones == 5]).tolist() == [201]
    assert np.array_equal(ct.hu[bones == 5], hu[bones == 5])
    assert set(np.unique(ct.fragments)) == {0, 151, 152, 201}
    assert ct.modes == {4: ("displaced",)}


def test_fragments_keep_out_of_the_neighbouring_bone() -> None:
    """They are pushed out of it, so hardly anything has to be cut off."""
    hu, bones = two_bones()

    for seed in range(4):
        ct = break_bones(hu, bones, SPACING_MM, np.random.default_rng(seed), CONFIG, broken=[4])
        kept = np.count_nonzero(ct.bones == 4) / np.count_nonzero(bones == 4)
        assert (ct.bones[bones == 5] == 5).all()
        assert kept > 0.9


def test_bones_follow_their_fragments() -> None:
    hu, bones = two_bones()

    ct = break_bones(hu, bones, SPACING_MM, np.random.default_rng(1), CONFIG, broken=[4, 5])

    assert np.array_equal(ct.bones == 4, (ct.fragments > 150) & (ct.fragments <= 200))
    assert np.array_equal(ct.bones == 5, ct.fragments > 200)


def test_input_is_left_alone_and_the_grid_is_kept() -> None:
    hu, bones = two_bones()
    before = hu.copy(), bones.copy()

    ct = break_bones(hu, bones, SPACING_MM, np.random.default_rng(2), CONFIG, broken=[5])

    assert np.array_equal(hu, before[0])
    assert np.array_equal(bones, before[1])
    assert ct.hu.shape == hu.shape
    assert not np.array_equal(ct.hu, hu)


def test_bones_are_drawn_if_none_is_named() -> None:
    hu, bones = two_bones()

    ct = break_bones(hu, bones, SPACING_MM, np.random.default_rng(3), CONFIG)

    assert 1 <= len(ct.modes) <= 2


def test_a_bone_that_is_not_there_is_refused() -> None:
    hu, bones = two_bones()

    with pytest.raises(ValueError, match="sacrum"):
        break_bones(hu, bones, SPACING_MM, np.random.default_rng(0), CONFIG, broken=[1])
