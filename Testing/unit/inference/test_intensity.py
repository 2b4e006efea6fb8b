"""Normalisation of Hounsfield units, with numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.inference.intensity import (
    CtNormalisation,
    fragment_input,
    normalise,
)

ROUND_NUMBERS = CtNormalisation(
    low_hu=-100.0, high_hu=500.0, mean_hu=200.0, std_hu=100.0, outside_hu=-1000.0
)


def test_hounsfield_units_are_clipped_shifted_and_scaled() -> None:
    """-1000 clips to -100 → -3; 200 is the mean → 0; 300 → 1; 3000 clips to 500 → 3."""
    hu = np.array([-1000, 200, 300, 3000], np.int16)

    values = normalise(hu, ROUND_NUMBERS)

    np.testing.assert_allclose(values, [-3.0, 0.0, 1.0, 3.0], atol=1e-6)
    assert values.dtype == np.float32
    assert hu.tolist() == [-1000, 200, 300, 3000]


def test_fragment_networks_see_350_hu_as_zero_and_650_as_one() -> None:
    values = normalise(np.array([350.0, 650.0, -1000.0, 2000.0]), CtNormalisation())
    np.testing.assert_allclose(values, [0.0, 1.0, -550 / 300, 950 / 300], rtol=1e-6)


def test_what_lies_outside_the_mask_is_constant_and_the_mask_is_the_second_channel() -> None:
    hu = np.full((2, 2, 2), 300, np.int16)
    mask = np.zeros((2, 2, 2), bool)
    mask[0, 1, 1] = True

    channels = fragment_input(hu, mask, ROUND_NUMBERS)

    assert channels.shape == (2, 2, 2, 2)
    assert channels[0, 0, 1, 1] == pytest.approx(1.0)
    assert np.unique(channels[0][~mask]).tolist() == [-3.0]
    np.testing.assert_array_equal(channels[1], mask.astype(np.float32))


def test_a_mask_of_numbers_counts_as_a_mask() -> None:
    mask = np.array([[[0, 7]]], np.uint8)
    channels = fragment_input(np.zeros((1, 1, 2), np.int16), mask, ROUND_NUMBERS)
    assert channels[1].ravel().tolist() == [0.0, 1.0]


def test_a_normalisation_survives_its_model_file() -> None:
    assert CtNormalisation.from_dict(ROUND_NUMBERS.to_dict()) == ROUND_NUMBERS


def test_impossible_normalisations_are_refused() -> None:
    with pytest.raises(ValueError, match="below"):
        CtNormalisation(low_hu=5.0, high_hu=5.0)
    with pytest.raises(ValueError, match="std_hu"):
        CtNormalisation(std_hu=0.0)
    with pytest.raises(ValueError, match="finite"):
        CtNormalisation(mean_hu=float("nan"))
    with pytest.raises(ValueError, match="unknown"):
        CtNormalisation.from_dict({"gamma": 1.0})


def test_grids_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="share one grid"):
        fragment_input(np.zeros((2, 2, 2)), np.zeros((2, 2, 3), bool))
