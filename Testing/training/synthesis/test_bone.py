from __future__ import annotations

import numpy as np
import pytest

from fracseg_training.synthesis.bone import BoneLook, draw_bone_look, paint_bones
from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.label_map import LabelMap

LOOK = BoneLook(
    cortex_hu=1000.0,
    cortex_mm=2.0,
    shaft_cortex_mm=6.0,
    trabecular_hu=100.0,
    trabecular_sd_hu=1.0,
    marrow_hu=-50.0,
    joint_share=0.0,
)


def a_block(name: str, shape: tuple[int, int, int] = (24, 24, 24)) -> LabelMap:
    labels = np.zeros(shape, np.uint8)
    labels[2:-2, 2:-2, 2:-2] = 1
    return LabelMap(labels=labels, names={1: name}, spacing_mm=(1.0, 1.0, 1.0))


def test_the_shell_is_bright_and_the_inside_trabecular(rng: np.random.Generator) -> None:
    body = a_block("hip_left")
    hu = np.zeros(body.labels.shape, np.float32)

    paint_bones(hu, body, rng, LOOK)

    assert hu[2, 8:16, 8:16].mean() == pytest.approx(1000.0, rel=0.2)
    assert hu[10:14, 10:14, 10:14].mean() == pytest.approx(100.0, abs=10.0)


def test_nothing_but_bone_is_painted(rng: np.random.Generator) -> None:
    body = a_block("hip_left")
    hu = np.full(body.labels.shape, 7.0, np.float32)

    paint_bones(hu, body, rng, LOOK)

    assert np.all(hu[body.labels == 0] == 7.0)


def test_a_shell_thinner_than_a_voxel_is_as_much_darker(rng: np.random.Generator) -> None:
    body = a_block("hip_left")
    hu = np.zeros(body.labels.shape, np.float32)
    half = BoneLook(
        cortex_hu=1000.0,
        cortex_mm=0.5,
        shaft_cortex_mm=6.0,
        trabecular_hu=0.0,
        trabecular_sd_hu=0.0,
        marrow_hu=0.0,
        joint_share=0.0,
    )

    paint_bones(hu, body, rng, half)

    # Half a voxel of cortex of 1000 HU, half of that again where its inner half begins.
    assert 100.0 < hu[2, 8:16, 8:16].mean() < 500.0


def test_a_shaft_has_marrow_below_the_upper_end(rng: np.random.Generator) -> None:
    body = a_block("femur_left", (150, 24, 24))
    hu = np.zeros(body.labels.shape, np.float32)

    paint_bones(hu, body, rng, LOOK)

    assert hu[10, 11:13, 11:13].mean() == pytest.approx(-50.0, abs=10.0)
    assert hu[130, 11:13, 11:13].mean() == pytest.approx(100.0, abs=10.0)


def test_a_joint_between_two_bones_is_dark_and_s1_is_no_joint(rng: np.random.Generator) -> None:
    labels = np.zeros((12, 12, 24), np.uint8)
    labels[:, :, :8], labels[:, :, 8:16], labels[:, :, 16:] = 1, 2, 3
    names = {1: "hip_right", 2: "sacrum", 3: "vertebrae_S1"}
    body = LabelMap(labels=labels, names=names, spacing_mm=(1.0, 1.0, 1.0))
    hu = np.zeros(labels.shape, np.float32)
    worn = BoneLook(
        cortex_hu=1000.0,
        cortex_mm=2.0,
        shaft_cortex_mm=6.0,
        trabecular_hu=300.0,
        trabecular_sd_hu=0.0,
        marrow_hu=0.0,
        joint_share=1.0,
    )

    paint_bones(hu, body, rng, worn)

    assert np.all(hu[:, :, 7:9] == 70.0)
    assert hu[6, 6, 15] == pytest.approx(hu[6, 6, 16], rel=0.05)  # a millimetre deeper
    assert hu[6, 6, 15] >= 300.0


def test_looks_stay_within_the_configured_ranges(rng: np.random.Generator) -> None:
    config = SynthesisConfig(cortex_hu=(900.0, 910.0), trabecular_hu=(120.0, 121.0))

    looks = [draw_bone_look(rng, config) for _ in range(20)]

    assert all(900.0 <= look.cortex_hu <= 910.0 for look in looks)
    assert all(120.0 <= look.trabecular_hu <= 121.0 for look in looks)
