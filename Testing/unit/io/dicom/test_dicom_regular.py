"""Tilted and unevenly stepped series: resampled where that is honest, refused where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.dicom.series import list_series
from FractureSegmentationLib.io.dicom.volume import judge_series, read_series
from FractureSegmentationLib.io.read import read_ct
from FractureSegmentationLib.types import FloatArray
from FractureSegmentationLib.volume import Volume

Maker = Callable[..., "SeriesMaker"]  # noqa: F821 -- of this folder's conftest

TILT = math.radians(20.0)
TILTED_AXES = {"j_axis": (0.0, math.cos(TILT), -math.sin(TILT))}


def _read(folder: Path) -> tuple[Volume, tuple[str, ...]]:
    return read_series(list_series(folder)[0])


def _refusal(folder: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        _read(folder)
    return caught.value


def _filled_by(value_at: Callable[[FloatArray], FloatArray]) -> Callable[[int, Dataset], None]:
    """Gives every pixel the value, in HU, of its place in the patient."""

    def change(_k: int, data: Dataset) -> None:
        i_axis, j_axis = np.array(data.ImageOrientationPatient).reshape(2, 3)
        row_mm, column_mm = data.PixelSpacing
        rows, columns = np.indices((data.Rows, data.Columns))
        points = (
            np.array(data.ImagePositionPatient)
            + rows[..., None] * row_mm * j_axis
            + columns[..., None] * column_mm * i_axis
        )
        data.PixelData = np.rint(value_at(points) + 1024).astype(np.int16).tobytes()

    return change


def _ramp(points_lps_mm: FloatArray) -> FloatArray:
    """Values that grow evenly in space: linear interpolation gives them back exactly."""
    return points_lps_mm @ np.array([6.0, 10.0, 14.0]) + 100.0


def _check_against(volume: Volume, value_at: Callable[[FloatArray], FloatArray]) -> float:
    """Share of voxels with a value of their own; those must be right within rounding."""
    places = volume.geometry.to_lps(np.stack(np.indices(volume.voxels.shape), axis=-1))
    is_filled = volume.voxels > -1024
    error = np.abs(volume.voxels - value_at(places))[is_filled]
    assert error.max() <= 1.0 + 6.0  # rounding twice, and half a pixel kept at the outer edge
    assert np.mean(error <= 1.0) > 0.85
    return float(is_filled.mean())


def test_a_tilted_gantry_is_straightened_in_the_planes_of_the_slices(series_maker: Maker) -> None:
    """Tilt 20 degrees, table steps of 2 mm: 2·cos 20 = 1.879 mm along the normal, and every slice
    2·sin 20 = 0.684 mm further along j, which is 1.368 pixels of 0.5 mm. Eleven steps are 15.05
    pixels, so the grid has 16 rows more; the first slice has its rows at the end of them.
    """
    maker = series_maker(
        **TILTED_AXES,
        shape=(12, 40, 10),
        slice_positions_mm=[0.0] * 12,
        shift_mm_per_slice=(0.0, 0.0, 2.0),
        change=_filled_by(_ramp),
    )

    volume, notes = _read(maker.write())

    geometry = volume.geometry
    assert geometry.shape == (12, 56, 10)
    assert geometry.spacing_mm == pytest.approx((2.0 * math.cos(TILT), 0.5, 0.75))
    normal = (0.0, math.sin(TILT), math.cos(TILT))
    assert geometry.direction[0] == pytest.approx(normal)
    assert geometry.origin_lps_mm == pytest.approx(
        np.array([10.0, -20.0, 30.0]) - 16 * 0.5 * np.array(TILTED_AXES["j_axis"])
    )
    assert _check_against(volume, _ramp) == pytest.approx(40 / 56, abs=0.02)
    assert (volume.voxels[0, :16] == -1024).all()
    assert (volume.voxels[0, 16:] > -1024).all()
    assert len(notes) == 1
    assert "20.0 degrees" in notes[0]


def test_a_shift_of_whole_pixels_keeps_every_value(series_maker: Maker) -> None:
    """Each slice 0.5 mm, one row, further along j: the bone voxel (2, 5) moves to row 2 + k."""
    volume, _ = _read(series_maker(shift_mm_per_slice=(0.0, 0.5, 0.0)).write())

    assert volume.geometry.shape == (12, 19, 10)
    assert volume.geometry.spacing_mm == (2.0, 0.5, 0.75)
    assert volume.geometry.origin_lps_mm == (10.0, -20.0, 30.0)
    for k in range(12):
        assert np.argwhere(volume.voxels[k] > 0).tolist() == [[2 + k, 5]]
        assert volume.voxels[k, 2 + k, 5] == 700 + k
    assert volume.voxels.dtype == np.int16


def test_a_tilt_to_the_side_is_straightened_too(series_maker: Maker) -> None:
    """0.75 mm, one column, towards the right per slice: the grid begins 11 columns earlier."""
    volume, _ = _read(series_maker(shift_mm_per_slice=(-0.75, 0.0, 0.0)).write())

    assert volume.geometry.shape == (12, 8, 21)
    assert volume.geometry.origin_lps_mm == pytest.approx((10.0 - 11 * 0.75, -20.0, 30.0))
    assert [int(volume.voxels[k, 2, 16 - k]) for k in range(12)] == [700 + k for k in range(12)]


def test_a_series_tilted_more_than_any_gantry_is_refused(series_maker: Maker) -> None:
    refusal = _refusal(series_maker(shift_mm_per_slice=(0.0, 2.5, 0.0)).write())

    assert "tilted" in refusal.message
    assert "51.3 degrees" in refusal.message


def test_slices_not_sheared_along_one_line_are_refused(series_maker: Maker) -> None:
    def change(k: int, data: Dataset) -> None:
        if k == 6:
            x, y, z = data.ImagePositionPatient
            data.ImagePositionPatient = [x, y + 1.5, z]

    refusal = _refusal(series_maker(change=change).write())

    assert "sheared unevenly" in refusal.message
    assert "1.5 mm (slice 7 of 12)" in refusal.message


def test_a_missing_slice_of_a_fine_series_is_filled_and_told(series_maker: Maker) -> None:
    """Steps of 1 mm without the slice at 5 mm: it is the mean of its neighbours."""
    heights = [h for h in range(13) if h != 5]
    maker = series_maker(slice_positions_mm=heights, change=_filled_by(_ramp))

    volume, notes = _read(maker.write())

    assert volume.geometry.shape[0] == 13
    assert volume.geometry.spacing_mm[0] == 1.0
    assert _check_against(volume, _ramp) == 1.0
    mean = (volume.voxels[4].astype(float) + volume.voxels[6]) / 2
    assert np.abs(volume.voxels[5] - mean).max() <= 0.5
    assert notes == (
        "The steps between the slices are uneven, from 1.00 to 2.00 mm (the largest between "
        "slices 5 and 6 of 12); slices at even steps were interpolated.",
    )


def test_slices_that_lie_on_the_even_grid_are_kept_as_they_are(series_maker: Maker) -> None:
    heights = [h for h in range(13) if h != 5]

    volume, _ = _read(series_maker(slice_positions_mm=heights).write())

    assert [int(volume.voxels[h, 2, 5]) for h in heights] == [700 + k for k in range(12)]


def test_a_coarse_part_gets_the_steps_of_the_fine_one(series_maker: Maker) -> None:
    """Ten steps of 1 mm, then four of 3 mm: 22 steps of 1 mm, nothing of the fine part is lost."""
    heights = [*range(11), 13, 16, 19, 22]
    maker = series_maker(slice_positions_mm=heights, change=_filled_by(_ramp))

    volume, notes = _read(maker.write())

    assert volume.geometry.shape[0] == 23
    assert volume.geometry.spacing_mm[0] == 1.0
    assert _check_against(volume, _ramp) == 1.0
    assert "from 1.00 to 3.00 mm" in notes[0]


def test_many_coarse_and_few_very_fine_steps_do_not_make_thousands_of_slices(
    series_maker: Maker,
) -> None:
    """Steps of 0.02 and 3 mm in turn: on average 1.51 mm, so none finer than a quarter of that."""
    heights = np.cumsum([0.0, *[0.02, 3.0] * 8]).tolist()

    volume, _ = _read(series_maker(slice_positions_mm=heights).write())

    assert volume.geometry.shape[0] == 65
    assert volume.geometry.spacing_mm[0] == pytest.approx(24.16 / 64)


@pytest.mark.parametrize(
    ("widest_mm", "is_refused"), [(2.9, False), (3.0, False), (3.01, True), (4.0, True)]
)
def test_uneven_steps_are_filled_up_to_three_millimetres(
    series_maker: Maker, widest_mm: float, is_refused: bool
) -> None:
    heights = [0.0, 2.0, 4.0, 6.0, *(6.0 + widest_mm + 2.0 * n for n in range(8))]
    folder = series_maker(slice_positions_mm=heights).write()

    if not is_refused:
        assert "uneven" in _read(folder)[1][0]
        return
    refusal = _refusal(folder)
    assert f"uneven steps from 2.00 to {widest_mm:.2f} mm" in refusal.message
    assert "between slices 4 and 5 of 12" in refusal.message
    assert "at most 3 mm" in refusal.remedy


def test_tilt_and_uneven_steps_together_are_made_straight_and_even(series_maker: Maker) -> None:
    heights = [h for h in range(16) if h not in {5, 9}]
    maker = series_maker(
        shape=(14, 40, 10),
        slice_positions_mm=heights,
        change=lambda k, data: (_shear(k, data, heights[k]), _filled_by(_ramp)(k, data))[1],
    )

    volume, notes = _read(maker.write())

    assert volume.geometry.shape == (16, 46, 10)
    assert _check_against(volume, _ramp) > 0.8
    assert [note[:10] for note in notes] == ["The slices", "The steps "]


def _shear(_k: int, data: Dataset, height_mm: float) -> None:
    """Leans by 0.2 mm per mm along j: 15 mm of height are 3 mm, or 6 rows."""
    x, y, z = data.ImagePositionPatient
    data.ImagePositionPatient = [x, y + 0.2 * height_mm, z]


def test_padding_is_not_mixed_into_tissue(series_maker: Maker) -> None:
    """Half a row of shift mixes neighbours: of -3024 and 40 that would be -1492 instead of -492."""

    def change(_k: int, data: Dataset) -> None:
        pixels = np.full((8, 10), 1064, np.int16)
        pixels[:4] = -2000
        data.PixelData = pixels.tobytes()

    volume, _ = _read(series_maker(change=change, shift_mm_per_slice=(0.0, 0.25, 0.0)).write())

    assert volume.voxels[1].min() == -1024
    assert -492 in volume.voxels[1]


def test_impossible_values_are_found_before_they_are_mixed(series_maker: Maker) -> None:
    def change(_k: int, data: Dataset) -> None:
        data.PixelRepresentation = 0
        data.PixelData = np.full((8, 10), 60_000, np.uint16).tobytes()

    refusal = _refusal(series_maker(change=change, shift_mm_per_slice=(0.0, 0.5, 0.0)).write())

    assert "cannot be Hounsfield units" in refusal.message


def test_fractions_stay_fractions(series_maker: Maker) -> None:
    maker = series_maker(fields={"RescaleSlope": "0.5"}, shift_mm_per_slice=(0.0, 0.25, 0.0))

    volume, _ = _read(maker.write())

    assert volume.voxels.dtype == np.float32
    assert volume.voxels[1, 0, 0] == 12.0 - 1024.0


def test_steps_of_a_hand_are_no_volume(series_maker: Maker) -> None:
    refusal = _refusal(series_maker(slice_positions_mm=[50.0 * k for k in range(12)]).write())

    assert "50 mm apart, too far for a volume" in refusal.message


def test_resampling_is_told_with_the_result(series_maker: Maker) -> None:
    ct = read_ct(series_maker(shift_mm_per_slice=(0.0, 0.5, 0.0)).write())

    assert ["gantry tilt" in warning for warning in ct.warnings] == [True]


def test_images_that_repeat_others_pixel_by_pixel_are_left_out_and_told(
    series_maker: Maker,
) -> None:
    """A series that was sent twice under new instance identifiers."""
    series_maker("both/first", series_uid="1.2.3.4").write()
    folder = series_maker("both/second", series_uid="1.2.3.4", shape=(3, 8, 10)).write().parent

    volume, notes = _read(folder)

    assert volume.geometry.shape == (12, 8, 10)
    assert notes == ("3 images repeat others at the same place, pixel by pixel; left out.",)


def test_different_images_at_one_place_are_refused(series_maker: Maker) -> None:
    """Two phases of a scan: none of them may win by chance."""
    series_maker("both/first", series_uid="1.2.3.4").write()

    def brighter(_k: int, data: Dataset) -> None:
        data.RescaleIntercept = -1023

    second = series_maker("both/second", series_uid="1.2.3.4", change=brighter).write()

    refusal = _refusal(second.parent)

    assert "12 duplicate positions" in refusal.message
    assert "every scan or phase" in refusal.remedy


@pytest.mark.parametrize("missing", [1, 11])
def test_a_rescale_that_only_some_images_have_is_refused(series_maker: Maker, missing: int) -> None:
    def change(k: int, data: Dataset) -> None:
        if k < missing:
            del data.RescaleSlope
            del data.RescaleIntercept

    assert "only of some images" in _refusal(series_maker(change=change).write()).message


def test_judging_a_series_reads_no_pixel(series_maker: Maker) -> None:
    def change(_k: int, data: Dataset) -> None:
        data.PixelData = b""

    series = list_series(series_maker(change=change).write())[0]

    assert judge_series(series).problems == ()
