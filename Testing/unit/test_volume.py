"""Volumes: read-only voxels that never part from their geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import FragmentMap, LabelVolume, Volume

GRID = Geometry(shape=(2, 3, 4), spacing_mm=(3.0, 2.0, 1.0), origin_lps_mm=(5.0, 6.0, 7.0))
BOX = (slice(1, 2), slice(0, 2), slice(2, 4))


def counting(dtype: type[np.generic] = np.int16) -> np.ndarray:
    return np.arange(24).reshape(2, 3, 4).astype(dtype)


def test_voxels_must_fill_the_grid() -> None:
    with pytest.raises(ValueError, match=r"\(4, 3, 2\) do not fill the grid \(2, 3, 4\)"):
        Volume(voxels=counting().reshape(4, 3, 2), geometry=GRID)


def test_voxels_are_read_only_and_the_owner_keeps_its_array() -> None:
    voxels = counting()
    volume = Volume(voxels=voxels, geometry=GRID)

    with pytest.raises(ValueError, match="read-only"):
        volume.voxels[0, 0, 0] = 1

    assert voxels.flags.writeable
    assert np.shares_memory(volume.voxels, voxels)


def test_new_voxels_keep_grid_and_kind() -> None:
    labels = LabelVolume(voxels=counting(np.uint8), geometry=GRID)

    doubled = labels.with_voxels(labels.voxels * 2)

    assert type(doubled) is LabelVolume
    assert doubled.geometry is GRID
    assert doubled.voxels[1, 2, 3] == 46
    assert labels.voxels[1, 2, 3] == 23


def test_new_voxels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fill the grid"):
        Volume(voxels=counting(), geometry=GRID).with_voxels(np.zeros((2, 3, 5)))


def test_a_crop_moves_voxels_and_geometry_together() -> None:
    """Voxel (1, 0, 2) is 3 mm up and 2 mm to the left: (5 + 2, 6, 7 + 3)."""
    crop = Volume(voxels=counting(), geometry=GRID).cropped(BOX)

    assert crop.voxels.tolist() == [[[14, 15], [18, 19]]]
    assert crop.geometry.shape == (1, 2, 2)
    assert crop.geometry.origin_lps_mm == (7.0, 6.0, 10.0)


@pytest.mark.parametrize("voxels", [counting(np.float32), np.ones((1, 2, 3, 4), np.uint8)])
def test_a_label_map_holds_integers_on_three_axes(voxels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a label map holds"):
        LabelVolume(voxels=voxels, geometry=GRID)


def test_values_are_ascending_without_background() -> None:
    voxels = np.zeros((2, 3, 4), np.uint16)
    voxels[0, 0, :3] = (151, 2, 151)

    assert LabelVolume(voxels=voxels, geometry=GRID).values() == (2, 151)
    assert LabelVolume(voxels=voxels * 0, geometry=GRID).values() == ()


def test_a_fragment_map_is_cropped_in_space_and_keeps_its_channels() -> None:
    voxels = np.stack([counting(np.float16), counting(np.float16) + 100])
    probabilities = FragmentMap(voxels=voxels, geometry=GRID, channels=("inside", "contact"))

    crop = probabilities.cropped(BOX)

    assert crop.voxels.shape == (2, 1, 2, 2)
    assert crop.channels == ("inside", "contact")
    assert crop.channel("contact").tolist() == [[[114, 115], [118, 119]]]
    assert crop.geometry.origin_lps_mm == (7.0, 6.0, 10.0)


def test_a_fragment_map_names_every_channel_once() -> None:
    voxels = np.zeros((2, 2, 3, 4), np.float16)

    with pytest.raises(ValueError, match="3 channels named"):
        FragmentMap(voxels=voxels, geometry=GRID, channels=("a", "b", "c"))
    with pytest.raises(ValueError, match="1 channels named"):
        FragmentMap(voxels=voxels[0], geometry=GRID, channels=("a",))


def test_a_channel_that_is_not_there_is_a_callers_bug() -> None:
    one = FragmentMap(
        voxels=np.zeros((1, 2, 3, 4), np.float16), geometry=GRID, channels=("contact",)
    )

    with pytest.raises(ValueError, match=r"tuple\.index"):
        one.channel("interior")


def test_geometry_cannot_be_swapped_in_place() -> None:
    volume = Volume(voxels=counting(), geometry=GRID)

    with pytest.raises(AttributeError):
        volume.geometry = replace(GRID, spacing_mm=(1.0, 1.0, 1.0))  # type: ignore[misc]
