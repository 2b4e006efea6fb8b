from __future__ import annotations

import numpy as np
import pytest

from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.scanner import LOWEST_HU, Scan, draw_scan, scan_body


def a_scan(**changes: float) -> Scan:
    values = {
        "psf_mm": 0.8,
        "noise_hu": 0.0,
        "streak_mm": 0.0,
        "gain": 1.0,
        "view_mm": float("inf"),
    }
    return Scan(**{**values, **changes})


def test_noise_has_the_deviation_asked_for(rng: np.random.Generator) -> None:
    hu = np.zeros((24, 40, 40), np.float32)

    image = scan_body(hu, (1.0, 1.0, 1.0), rng, a_scan(noise_hu=30.0))

    assert image.std() == pytest.approx(30.0, rel=0.1)


def test_streaky_noise_is_longer_from_side_to_side(rng: np.random.Generator) -> None:
    hu = np.zeros((24, 40, 40), np.float32)

    image = scan_body(hu, (1.0, 1.0, 1.0), rng, a_scan(noise_hu=30.0, streak_mm=5.0)).astype(float)

    step_j = np.abs(np.diff(image, axis=1)).mean()
    step_i = np.abs(np.diff(image, axis=2)).mean()
    assert step_i < 0.5 * step_j


def test_a_point_is_spread_in_millimetres(rng: np.random.Generator) -> None:
    hu = np.zeros((15, 15, 15), np.float32)
    hu[7, 7, 7] = 3000.0

    image = scan_body(hu, (2.0, 1.0, 1.0), rng, a_scan(psf_mm=1.0))

    # One step along k is 2 mm, as far as two steps along i.
    assert image[8, 7, 7] == pytest.approx(image[7, 7, 9], abs=15)
    assert image[7, 7, 8] > image[7, 7, 9] > 0


def test_gain_acts_above_water_only(rng: np.random.Generator) -> None:
    hu = np.full((8, 8, 8), -100.0, np.float32)
    hu[4:] = 400.0

    image = scan_body(hu, (1.0, 1.0, 1.0), rng, a_scan(psf_mm=0.01, gain=1.1))

    assert image[0, 0, 0] == -100
    assert image[7, 0, 0] == 440


def test_a_narrow_view_blanks_the_corners(rng: np.random.Generator) -> None:
    hu = np.zeros((4, 60, 60), np.float32)

    image = scan_body(hu, (1.0, 1.0, 1.0), rng, a_scan(view_mm=20.0))

    assert np.all(image[:, 0, 0] == LOWEST_HU)
    assert np.all(image[:, 30, 30] == 0)


def test_scans_are_drawn_within_their_ranges() -> None:
    rng = np.random.default_rng(1)
    config = SynthesisConfig(noise_hu=(10.0, 20.0), narrow_view_share=0.0)

    scans = [draw_scan(rng, config) for _ in range(20)]

    assert all(10.0 <= scan.noise_hu <= 20.0 for scan in scans)
    assert all(scan.view_mm == float("inf") for scan in scans)
