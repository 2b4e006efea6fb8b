"""Resampling between parallel grids, against hand-made numbers and the plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.resample import (
    axis_weights,
    nearest_labels,
    resample_mask,
    resample_probability,
    resample_volume,
)


def a_ramp(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Volume:
    """A volume whose value is 2 z + 3 y - x (mm), which any interpolation keeps inside."""
    geometry = Geometry(shape=shape, spacing_mm=spacing, origin_lps_mm=(10.0, -20.0, 30.0))
    points = geometry.to_lps(np.stack(np.indices(shape), axis=-1).astype(float))
    values = 2.0 * points[..., 2] + 3.0 * points[..., 1] - points[..., 0]
    return Volume(voxels=values.astype(np.float32), geometry=geometry)


def test_linear_weights_are_shares_of_the_two_neighbours() -> None:
    weights = axis_weights(3, np.array([-0.5, 0.25, 1.0, 9.0]), 1)
    np.testing.assert_allclose(weights, [[1, 0, 0], [0.75, 0.25, 0], [0, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize("order", [1, 3])
def test_a_linear_ramp_keeps_its_values_at_the_same_places(order: int) -> None:
    ramp = a_ramp((8, 9, 10), (2.0, 1.0, 0.8))
    target = ramp.geometry.resampled((1.0, 1.0, 1.0))

    resampled = resample_volume(ramp, target, order=order)

    points = target.to_lps(np.stack(np.indices(target.shape), axis=-1).astype(float))
    expected = 2.0 * points[..., 2] + 3.0 * points[..., 1] - points[..., 0]
    # The blur and the edge reach two voxels inwards.
    inner = (slice(3, -3),) * 3
    np.testing.assert_allclose(resampled.voxels[inner], expected[inner], atol=0.02)
    assert resampled.voxels.dtype == np.float32


@given(step=st.floats(0.3, 4.0), count=st.integers(1, 40), order=st.sampled_from([1, 3]))
def test_a_constant_stays_constant(step: float, count: int, order: int) -> None:
    positions = -0.5 + step * np.arange(12)
    weights = axis_weights(count, positions, order, blurs=True)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-4)


def test_a_coarser_grid_sees_a_thin_sheet_fade_not_flicker() -> None:
    """A sheet of 1 mm and 900 HU every 3 mm: sampled at 3 mm it is about a third everywhere."""
    voxels = np.zeros((30, 4, 4), np.int16)
    voxels[::3] = 900
    volume = Volume(voxels=voxels, geometry=Geometry(shape=voxels.shape, spacing_mm=(1, 1, 1)))

    coarse = resample_volume(volume, volume.geometry.resampled((3.0, 1.0, 1.0)), order=1)
    offset = resample_volume(
        Volume(voxels=np.roll(voxels, 1, axis=0), geometry=volume.geometry),
        volume.geometry.resampled((3.0, 1.0, 1.0)),
        order=1,
    )

    assert abs(float(coarse.voxels[5, 2, 2]) - float(offset.voxels[5, 2, 2])) < 300
    assert 150 < coarse.voxels[5, 2, 2] < 550


def test_the_slabs_of_a_large_volume_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = a_ramp((12, 9, 10), (2.0, 1.0, 0.8))
    target = ramp.geometry.resampled((1.1, 1.2, 1.3))
    whole = resample_volume(ramp, target)
    monkeypatch.setattr("FractureSegmentationLib.voxels.resample._SLAB_VOXELS", 100)
    np.testing.assert_allclose(resample_volume(ramp, target).voxels, whole.voxels, rtol=1e-5)


def test_grids_that_are_not_parallel_are_refused() -> None:
    ramp = a_ramp((4, 4, 4), (1, 1, 1))
    other = Geometry(
        shape=(4, 4, 4), spacing_mm=(1, 1, 1), direction=((0, 0, 1), (1, 0, 0), (0, 1, 0))
    )
    with pytest.raises(ValueError, match="parallel"):
        resample_volume(ramp, other)


def test_a_one_voxel_mask_survives_a_coarser_grid() -> None:
    """Voxel 5 of 1 mm is centred at 5 mm; of the 3 mm voxels at 1, 4, 7 mm number 1 holds it."""
    source = Geometry(shape=(9, 9, 9), spacing_mm=(1, 1, 1))
    mask = np.zeros((9, 9, 9), bool)
    mask[5, 5, 5] = True

    coarse = resample_mask(mask, source, source.resampled((3.0, 3.0, 3.0)))

    assert np.argwhere(coarse).tolist() == [[1, 1, 1]]


def test_a_box_keeps_its_volume_on_a_finer_grid() -> None:
    source = Geometry(shape=(20, 20, 20), spacing_mm=(2.0, 1.5, 1.5))
    mask = np.zeros((20, 20, 20), bool)
    mask[4:14, 5:15, 5:15] = True
    target = source.resampled((1.0, 1.0, 1.0))

    fine = resample_mask(mask, source, target)

    assert fine.sum() == pytest.approx(mask.sum() * source.voxel_volume_mm3, rel=0.1)


def test_probabilities_are_interpolated_halfway() -> None:
    source = Geometry(shape=(2, 1, 1), spacing_mm=(2.0, 1.0, 1.0))
    target = Geometry(shape=(3, 1, 1), spacing_mm=(1.0, 1.0, 1.0))
    values = np.array([0.0, 1.0], np.float16).reshape(2, 1, 1)
    np.testing.assert_allclose(
        resample_probability(values, source, target).ravel(), [0.0, 0.5, 1.0]
    )


def test_labels_of_a_cropped_segmentation_land_where_they_lie() -> None:
    """The small grid begins 2 mm further left and 1 slice higher."""
    small = LabelVolume(
        voxels=np.array([[[7, 0]]], np.uint8),
        geometry=Geometry(shape=(1, 1, 2), spacing_mm=(2, 1, 1), origin_lps_mm=(2, 0, 2)),
    )
    target = Geometry(shape=(3, 2, 4), spacing_mm=(2, 1, 1))

    placed = nearest_labels(small, target)

    assert np.argwhere(placed.voxels).tolist() == [[1, 0, 2]]
    assert placed.voxels[1, 0, 2] == 7


def test_labels_follow_a_turned_grid() -> None:
    """On a grid whose k axis runs to the Left, voxel (k, j, i) lies where (i, j, k) did."""
    voxels = np.zeros((2, 3, 4), np.uint8)
    voxels[1, 2, 3] = 5
    labels = LabelVolume(voxels=voxels, geometry=Geometry(shape=(2, 3, 4), spacing_mm=(1, 1, 1)))
    target = Geometry(
        shape=(4, 3, 2), spacing_mm=(1, 1, 1), direction=((1, 0, 0), (0, 1, 0), (0, 0, 1))
    )

    assert np.argwhere(nearest_labels(labels, target).voxels).tolist() == [[3, 2, 1]]
