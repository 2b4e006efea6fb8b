"""The look of real bone on bones of other shapes."""

from __future__ import annotations

import numpy as np
import pytest

from fracseg_training.synthesis.real_texture import BoneTexture, bone_texture, paint_texture

MM = (1.5, 1.5, 1.5)


def the_look_of_a_cube(noise_hu: float = 0.0) -> BoneTexture:
    """Of a cube of 20 voxels: 1000 HU in its outermost voxel layer, 200 HU below, plus noise."""
    bones = np.zeros((24, 24, 24), np.uint8)
    bones[2:22, 2:22, 2:22] = 1
    hu = np.where(bones > 0, 1000.0, 0.0)
    hu[3:21, 3:21, 3:21] = 200.0
    hu += np.random.default_rng(3).normal(0.0, noise_hu, hu.shape)
    return bone_texture(hu.astype(np.float32), bones, MM)


def test_another_bone_gets_the_same_shell_and_core() -> None:
    """Without noise, every voxel of the outermost layer of a box is 1000 HU, all others 200."""
    hu = np.full((16, 12, 30), -50.0, np.float32)
    bones = np.zeros(hu.shape, np.uint8)
    bones[3:13, 2:10, 4:26] = 7

    paint_texture(hu, bones, MM, the_look_of_a_cube(), np.random.default_rng(0))

    core = np.zeros(hu.shape, bool)
    core[4:12, 3:9, 5:25] = True
    assert np.allclose(hu[core], 200.0, atol=1e-3)
    assert np.allclose(hu[(bones > 0) & ~core], 1000.0, atol=1e-3)
    assert (hu[bones == 0] == -50.0).all()


def test_bones_that_touch_keep_a_shell_each() -> None:
    hu = np.zeros((14, 14, 28), np.float32)
    bones = np.zeros(hu.shape, np.uint8)
    bones[2:12, 2:12, 2:14] = 1
    bones[2:12, 2:12, 14:26] = 2

    paint_texture(hu, bones, MM, the_look_of_a_cube(), np.random.default_rng(0))

    assert np.allclose(hu[2:12, 2:12, 13:15], 1000.0, atol=1e-3)


def test_the_grain_has_the_spread_of_the_real_bone() -> None:
    hu = np.zeros((40, 40, 40), np.float32)
    bones = np.zeros(hu.shape, np.uint8)
    bones[4:36, 4:36, 4:36] = 1

    paint_texture(hu, bones, MM, the_look_of_a_cube(30.0), np.random.default_rng(1))

    inside = hu[6:34, 6:34, 6:34]
    assert inside.mean() == pytest.approx(200.0, abs=6.0)
    assert inside.std() == pytest.approx(30.0, rel=0.2)


def test_without_bone_there_is_no_look() -> None:
    empty = np.zeros((4, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="no bone"):
        bone_texture(empty.astype(np.int16), empty, MM)
