"""Figures of broken bones, on blocks counted by hand and against the real cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from broken_bones import SPACING_MM, halves

from fracseg_training.simulate.config import SimulationConfig
from fracseg_training.simulate.fracture import simulate_fracture
from fracseg_training.simulate.statistics import FractureStatistics, fracture_statistics


def test_faces_that_touch_are_counted_as_touching() -> None:
    """Of each 10^3 box the rims at 0..5 mm from the other box lie within 6 mm.

    A layer k steps from the other box has distance k + 1. The first layer is surface throughout
    (100 voxels) and touches; layers 2 to 6 are rims of 36 voxels: 2 at most 3 mm away, 3 beyond.
    """
    labels = halves()

    found = fracture_statistics(np.zeros(labels.shape, np.int16), labels, SPACING_MM)

    assert found.touching == pytest.approx(100 / 280)
    assert found.within_3_mm == pytest.approx(72 / 280)
    assert found.within_6_mm == pytest.approx(108 / 280)
    assert found.volumes_mm3 == (1000.0, 1000.0)


def test_hu_at_the_interface_is_held_against_bone_further_off_at_the_same_depth() -> None:
    """300 HU in the two layers that touch, 500 elsewhere."""
    labels = halves()
    hu = np.full(labels.shape, 500, np.int16)
    hu[11:13] = 300

    found = fracture_statistics(hu, labels, SPACING_MM)

    assert found.interface_hu[0] == 300
    assert found.reference_hu[0] == 500


def test_one_fragment_has_no_fracture_to_measure() -> None:
    with pytest.raises(ValueError, match="two fragments"):
        fracture_statistics(np.zeros((4, 4, 4), np.int16), np.ones((4, 4, 4), np.uint8), SPACING_MM)


def _load(folder: Path, bone: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    images = [sitk.ReadImage(str(folder / f"{n}.nii.gz")) for n in ("ct", "bones", "fragments")]
    ct, bones, fragments = (sitk.GetArrayFromImage(image) for image in images)
    inside = np.nonzero(bones == bone)
    box = tuple(slice(max(int(a.min()) - 3, 0), int(a.max()) + 4) for a in inside)
    spacing = images[0].GetSpacing()[::-1]
    return ct[box], np.where(bones[box] == bone, fragments[box], 0), spacing


def test_simulated_fractures_of_real_bone_look_like_real_ones_in_numbers(real_data: Path) -> None:
    """The median over simulated fractures lies in the range of real ones, widened by a third.

    The interface's contrast in the outer 1.6 mm is the ratio to bone further off.
    """
    real: list[FractureStatistics] = []
    for patient, bone in (("003", 1), ("005", 2)):
        ct, fragments, spacing = _load(real_data / "real" / patient, bone)
        real.append(fracture_statistics(ct, fragments, spacing))
    ct, fragments, spacing = _load(real_data / "real" / "005", 1)
    config = SimulationConfig(outside_hu=0.0)
    simulated = []
    for seed in range(4):
        broken = simulate_fracture(ct, fragments > 0, spacing, np.random.default_rng(seed), config)
        simulated.append(fracture_statistics(broken.hu, broken.fragments, spacing))

    touching = np.median([s.touching for s in simulated])
    contrast = np.nanmedian([s.interface_hu[0] / s.reference_hu[0] for s in simulated])

    assert 0.18 <= touching <= 0.60
    real_contrast = [s.interface_hu[0] / s.reference_hu[0] for s in real]
    assert 0.67 * min(real_contrast) <= contrast <= 1.33 * max(real_contrast)
