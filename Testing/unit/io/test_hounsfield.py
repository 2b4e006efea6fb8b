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


def _body(
    rng: np.random.Generator, *, air: float = 0.4, lung: float = 0.0, noise: float = 12.0
) -> np.ndarray:
    """(24, 40, 40) int32 with air, fat at -100, muscle at 50 and bone of 180 to 1500 HU.

    Args:
        rng: draws the place of every voxel's tissue.
        air: share of the rows that lie outside the body.
        lung: share of the rows of lung at -850.
        noise: standard deviation in HU.
    """
    voxels = np.full((24, 40, 40), 50.0)
    voxels[:, :, :8] = -100.0
    bone = 180.0 + np.minimum(rng.exponential(300.0, (24, 40, 5)), 1320.0)
    voxels[:, :, 20:25] = bone
    outside = round(40 * air)
    voxels[:, :outside] = -1000.0
    voxels[:, outside : outside + round(40 * lung)] = -850.0
    return np.rint(voxels + rng.normal(0.0, noise, voxels.shape)).astype(np.int32)


def _padded(voxels: np.ndarray, value: int) -> np.ndarray:
    """The first and last column of the volume are padding."""
    padded = voxels.copy()
    padded[:, :, :1] = padded[:, :, -1:] = value
    return padded


def _with_metal(voxels: np.ndarray) -> np.ndarray:
    changed = voxels.copy()
    changed[8:14, 30:34, 18:26] = 20_000
    return changed


def _dense_bone_in_muscle(rng: np.random.Generator) -> np.ndarray:
    """A small crop at a shaft: a third is cortex of 1100 HU, the rest muscle."""
    voxels = rng.normal(50.0, 12.0, (24, 30, 30))
    voxels[:, :, :10] = rng.normal(1100.0, 150.0, (24, 30, 10))
    return np.rint(voxels).astype(np.int32)


BODIES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "whole": _body,
    "little body in much air": lambda rng: _body(rng, air=0.9),
    "no air": lambda rng: _body(rng, air=0.0),
    "noise of 60 HU": lambda rng: _body(rng, noise=60.0),
    "some lung": lambda rng: _body(rng, lung=0.2),
    "metal on the extended scale": lambda rng: _with_metal(_body(rng)),
    "padding of -2000": lambda rng: _padded(_body(rng), -2000),
    "padding of -32768": lambda rng: _padded(_body(rng), -32768),
    "air cut off at -1000": lambda rng: _body(rng).clip(-1000),
    "air cut off at -200": lambda rng: _body(rng).clip(-200),
    "dense bone in muscle, no fat": _dense_bone_in_muscle,
    "a crop of bone": lambda rng: _body(rng, air=0.0)[:, :, 18:27],
}


@pytest.mark.parametrize("name", BODIES)
def test_no_body_is_refused_or_warned_of(rng: np.random.Generator, name: str) -> None:
    voxels = BODIES[name](rng)

    hu, warnings = clean_hu(voxels)

    np.testing.assert_array_equal(hu, voxels.clip(-1024))
    assert warnings == ()
    assert not is_already_masked(hu)


SHIFTS: dict[str, tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], str]] = {
    "not applied": (lambda hu, _: hu + 1024, "was not applied"),
    "not applied, unsigned": (lambda hu, _: (hu + 1024).clip(0), "was not applied"),
    "not applied, padding of -2000": (lambda hu, _: _padded(hu + 1024, -2000), "was not applied"),
    "not applied, padding of -1024": (lambda hu, _: _padded(hu + 1024, -1024), "was not applied"),
    "1000 not applied, with noise": (
        lambda hu, rng: np.rint(hu + 1000 + rng.normal(0.0, 20.0, hu.shape)).astype(np.int32),
        "was not applied",
    ),
    "applied twice": (lambda hu, _: hu.clip(-1024) - 1024, "applied twice"),
    "1000 applied twice": (lambda hu, _: hu - 1000, "applied twice"),
    "applied twice, padding of -3024": (
        lambda hu, _: _padded(hu - 1024, -3024),
        "applied twice",
    ),
    "applied twice, then cut off": (lambda hu, _: (hu - 1024).clip(-1024), "applied twice"),
}


@pytest.mark.parametrize("body", ["whole", "no air", "noise of 60 HU"])
@pytest.mark.parametrize("name", SHIFTS)
def test_a_lost_or_doubled_intercept_is_refused_with_the_numbers_seen(
    rng: np.random.Generator, name: str, body: str
) -> None:
    shift, words = SHIFTS[name]
    shifted = shift(BODIES[body](rng), rng)

    with pytest.raises(InputError, match=words) as caught:
        clean_hu(shifted)

    assert f"from {shifted.min():g} to {shifted.max():g}" in str(caught.value)
    assert " % of them lie between " in str(caught.value)


@pytest.mark.parametrize("padding", [None, -2000])
@pytest.mark.parametrize("body", ["whole", "little body in much air", "some lung"])
def test_a_ct_cut_off_at_0_is_refused(
    rng: np.random.Generator, body: str, padding: int | None
) -> None:
    """Air, fat and water are all 0; muscle and bone alone are left of the body."""
    clipped = BODIES[body](rng).clip(0)
    if padding is not None:
        clipped = _padded(clipped, padding)

    with pytest.raises(InputError, match="cut off at 0") as caught:
        clean_hu(clipped)

    assert f"from {clipped.min():g} to {clipped.max():g}" in str(caught.value)
    assert not is_already_masked(clipped)


@pytest.mark.parametrize("lowest", [-120, 1])
def test_a_bone_only_ct_is_no_ct_cut_off_at_0(rng: np.random.Generator, lowest: int) -> None:
    """Of its marrow some is fat; where that is missing too, it is told by how little is muscle."""
    bone = np.zeros((24, 40, 40), np.int32)
    bone[4:-4, 12:-12, 12:-12] = 180 + rng.normal(0.0, 130.0, (16, 16, 16))
    bone[4:-4, 14:-14, 12] += 600
    bone[bone < lowest] = 0

    hu, warnings = clean_hu(bone)

    assert is_already_masked(hu)
    assert warnings == ()


def test_a_resampled_bone_only_ct_is_not_refused(rng: np.random.Generator) -> None:
    bone = np.zeros((24, 40, 40), np.float32)
    bone[4:-4, 12:-12, 12:-12] = 180.0 + rng.exponential(250.0, (16, 16, 16))
    halfway = (bone[1:] + bone[:-1]) / 2.0

    clean_hu(((halfway[:, 1:] + halfway[:, :-1]) / 2.0).astype(np.float32))


def test_what_may_be_cut_off_at_0_is_warned_of(rng: np.random.Generator) -> None:
    """A third of what is above 0 is like muscle: thin bone, or bone with a little muscle."""
    ct = np.zeros((24, 40, 40), np.int32)
    ct[4:-4, 12:-12, 12:-12] = rng.integers(150, 900, (16, 16, 16))
    ct[4:-4, 12:-12, 12:17] = rng.integers(20, 90, (16, 16, 5))

    _, warnings = clean_hu(ct)

    assert len(warnings) == 1
    assert "cut off at 0 HU" in warnings[0]
    assert "Check them" in warnings[0]


def test_a_picture_with_padding_is_refused_all_the_same(rng: np.random.Generator) -> None:
    picture = _padded(((_body(rng) + 1000) // 12).clip(0, 255), -2000)

    with pytest.raises(InputError, match="normalised picture"):
        clean_hu(picture)


def test_cts_of_patients_are_taken_and_refused_once_they_are_shifted(real_data: Path) -> None:
    cases = ["real/001/ct.nii.gz", "real/003/ct.nii.gz", "real/005/ct.nii.gz"]
    cases += ["ct_lowres/ct.nii.gz", "segmentations/slicerio/CTChest4.nrrd"]
    for case in cases:
        hu = sitk.GetArrayFromImage(sitk.ReadImage(str(real_data / case))).astype(np.int32)
        assert clean_hu(hu)[1] == ()
        for shift, words in ((1024, "was not applied"), (-1024, "applied twice")):
            with pytest.raises(InputError, match=words):
                clean_hu(hu + shift)
    with pytest.raises(InputError, match="cut off at 0"):
        clean_hu(hu.clip(0))


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
