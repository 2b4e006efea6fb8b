from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.hounsfield import clean_hu, is_already_masked


def _ct(rng: np.random.Generator) -> np.ndarray:
    """(20, 20, 20) int16: half air, a third soft tissue, some bone."""
    voxels = np.full((20, 20, 20), -1000, np.int16)
    voxels[:, :, 8:] = 40
    voxels[:, :, 16:] = 700
    voxels[0, 0, 19] = 1800
    return (voxels + rng.integers(-15, 16, voxels.shape)).astype(np.int16)


def test_plain_hounsfield_units_pass_unchanged(rng: np.random.Generator) -> None:
    ct = _ct(rng)

    hu, warnings = clean_hu(ct)

    np.testing.assert_array_equal(hu, ct)
    assert hu.dtype == np.int16
    assert warnings == ()


@pytest.mark.parametrize("padding", [-2000, -3024, -32768, -1500])
def test_padding_becomes_air(rng: np.random.Generator, padding: int) -> None:
    ct = _ct(rng)
    ct[:, :3] = padding
    before = ct.copy()

    hu, _ = clean_hu(ct)

    assert (hu[:, :3] == -1024).all()
    np.testing.assert_array_equal(hu[:, 3:], ct[:, 3:])
    np.testing.assert_array_equal(ct, before)


def test_padding_blurred_by_resampling_becomes_air(rng: np.random.Generator) -> None:
    ct = _ct(rng).astype(np.float32)
    ct[:, :2] = np.linspace(-3024.0, -1000.5, 20)

    hu, _ = clean_hu(ct)

    assert hu.min() == -1024.0


def test_absent_values_become_air_with_a_warning(rng: np.random.Generator) -> None:
    ct = _ct(rng).astype(np.float32)
    ct[0, 0, :3] = np.nan, np.inf, -np.inf

    hu, warnings = clean_hu(ct)

    assert hu[0, 0, :3].tolist() == [-1024, -1024, -1024]
    assert warnings == ("3 voxels without a number (NaN or infinite) were taken as air.",)
    assert np.isnan(ct[0, 0, 0])


def test_a_volume_of_nan_is_refused() -> None:
    with pytest.raises(InputError, match="every voxel is NaN"):
        clean_hu(np.full((10, 10, 10), np.nan, np.float32))


def test_whole_numbers_in_floats_become_short_integers(rng: np.random.Generator) -> None:
    hu, _ = clean_hu(_ct(rng).astype(np.float64))

    assert hu.dtype == np.int16


def test_fractions_of_a_hounsfield_unit_are_kept(rng: np.random.Generator) -> None:
    hu, _ = clean_hu(_ct(rng) + 0.5)

    assert hu.dtype == np.float32
    assert float(hu[0, 0, 0]) % 1.0 == 0.5


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda ct: ct.astype(np.uint16), "large positive"),
        (lambda ct: ct.astype(np.int32) + 40_000, "large positive"),
        (lambda ct: (ct.astype(np.int32) - 20_000).astype(np.int16), "stored as negative"),
        (lambda ct: (ct + 1024).clip(0), "rescale intercept was not applied"),
        (lambda ct: np.where(ct < 0, ct + 4096 + 500, ct), "denser than metal"),
        (lambda ct: ((ct + 1000) // 12).clip(0, 255).astype(np.uint8), "normalised picture"),
        (lambda ct: (ct - ct.min()) / float(np.ptp(ct)), "normalised picture"),
        (lambda ct: (ct > 300).astype(np.uint8), "or like labels"),
    ],
)
def test_impossible_ranges_are_refused_with_the_range_seen(
    rng: np.random.Generator,
    spoil: Callable[[np.ndarray], np.ndarray],
    reason: str,
) -> None:
    spoiled = spoil(_ct(rng))

    with pytest.raises(InputError, match=reason) as caught:
        clean_hu(spoiled)

    assert f"from {spoiled.min():g} to {spoiled.max():g}" in str(caught.value)


@pytest.mark.parametrize("value", [-1000, 0])
def test_a_volume_of_one_value_is_not_judged_here(value: int) -> None:
    """Nothing in it is impossible; that it holds no bone is for the next stage to say."""
    hu, _ = clean_hu(np.full((10, 10, 10), value, np.int16))

    assert (hu == value).all()


def test_metal_is_not_impossible(rng: np.random.Generator) -> None:
    ct = _ct(rng)
    ct[:3, :10, :10] = 20_000

    hu, _ = clean_hu(ct)

    assert hu.max() == 20_000


def test_a_ct_that_is_zero_outside_the_bones_is_already_masked(rng: np.random.Generator) -> None:
    ct = np.where(_ct(rng) > 300, _ct(rng), 0)

    assert is_already_masked(ct)


def test_an_ordinary_ct_is_not_masked(rng: np.random.Generator) -> None:
    assert not is_already_masked(_ct(rng))


def test_a_ct_padded_with_zeros_is_not_masked(rng: np.random.Generator) -> None:
    """Two thirds are padding; in the rest there is the air around the patient."""
    ct = np.zeros((60, 20, 20), np.int16)
    ct[:20] = _ct(rng)

    assert np.mean(ct == 0) > 0.66
    assert not is_already_masked(ct)


def test_an_empty_volume_is_not_masked() -> None:
    assert not is_already_masked(np.zeros((10, 10, 10), np.int16))


def test_bone_only_cts_of_patients_are_recognised(real_data: Path) -> None:
    patient = sitk.GetArrayFromImage(sitk.ReadImage(str(real_data / "real/003/ct.nii.gz")))
    whole = sitk.GetArrayFromImage(sitk.ReadImage(str(real_data / "ct_lowres/ct.nii.gz")))

    assert is_already_masked(clean_hu(patient)[0])
    assert not is_already_masked(clean_hu(whole)[0])
