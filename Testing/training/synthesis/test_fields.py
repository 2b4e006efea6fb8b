from __future__ import annotations

import numpy as np
import pytest

from fracseg_training.synthesis.fields import enlarge, smooth_field


def test_enlarging_keeps_the_corners_and_halves_the_way_between_them() -> None:
    coarse = np.array([[[0.0, 4.0]], [[8.0, 12.0]]], np.float32)

    finer = enlarge(coarse, (3, 2, 3))

    assert finer[:, 0, :].tolist() == [[0.0, 2.0, 4.0], [4.0, 6.0, 8.0], [8.0, 10.0, 12.0]]
    assert np.array_equal(finer[:, 0], finer[:, 1])


def test_a_smooth_field_varies_by_about_one_and_slowly(rng: np.random.Generator) -> None:
    field = smooth_field((60, 60, 60), (1.0, 1.0, 1.0), rng, wavelength_mm=10.0)

    assert field.std() == pytest.approx(1.0, abs=0.15)
    assert np.abs(np.diff(field, axis=2)).mean() < 0.25


def test_the_wavelength_is_in_millimetres_along_every_axis(rng: np.random.Generator) -> None:
    field = smooth_field((40, 40, 40), (4.0, 1.0, 1.0), rng, wavelength_mm=20.0)

    step_k = np.abs(np.diff(field, axis=0)).mean()
    step_i = np.abs(np.diff(field, axis=2)).mean()
    assert step_k / step_i == pytest.approx(4.0, rel=0.25)
