from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.grid import placed_on_grid
from FractureSegmentationLib.volume import LabelVolume

CT = Geometry(
    shape=(12, 11, 10),
    spacing_mm=(2.0, 0.5, 0.75),
    origin_lps_mm=(10.0, -20.0, 30.0),
    direction=((0.0, 0.0, 1.0), (-0.8, 0.6, 0.0), (0.6, 0.8, 0.0)),
)


def _whole() -> LabelVolume:
    voxels = np.zeros(CT.shape, np.uint16)
    voxels[3, 2, 7] = 301
    voxels[4:6, 5:8, 1:4] = 7
    return LabelVolume(voxels=voxels, geometry=CT)


def test_labels_of_the_whole_grid_keep_their_voxels_and_take_its_geometry() -> None:
    rounded = replace(CT, origin_lps_mm=(10.0001, -20.0001, 30.0))
    labels = LabelVolume(voxels=_whole().voxels, geometry=rounded)

    placed = placed_on_grid(labels, CT)

    assert placed.geometry == CT
    np.testing.assert_array_equal(placed.voxels, _whole().voxels)


def test_a_box_of_labels_is_put_back_where_it_was_cut_out() -> None:
    box = (slice(3, 7), slice(2, 9), slice(1, 8))

    placed = placed_on_grid(_whole().cropped(box), CT)

    np.testing.assert_array_equal(placed.voxels, _whole().voxels)
    assert placed.voxels.dtype == np.uint16


def _padded(before: tuple[int, int, int]) -> LabelVolume:
    """The whole map with `before` empty layers in front of every axis and one behind."""
    origin = CT.to_lps(-np.array(before))
    voxels = np.pad(_whole().voxels, [(n, 1) for n in before])
    geometry = replace(CT, shape=voxels.shape, origin_lps_mm=tuple(origin.tolist()))
    return LabelVolume(voxels=voxels, geometry=geometry)


def test_empty_margins_outside_the_ct_are_cut_off() -> None:
    placed = placed_on_grid(_padded((2, 0, 3)), CT)

    np.testing.assert_array_equal(placed.voxels, _whole().voxels)


def test_labels_outside_the_ct_are_refused() -> None:
    padded = _padded((1, 1, 1))
    voxels = padded.voxels.copy()
    voxels[0, 4, 4] = 5

    with pytest.raises(InputError, match="outside the CT"):
        placed_on_grid(padded.with_voxels(voxels), CT)


def test_a_label_map_beside_the_ct_is_refused_unless_it_is_empty() -> None:
    far = replace(CT, origin_lps_mm=tuple(CT.to_lps(np.array([50, 0, 0])).tolist()))

    with pytest.raises(InputError, match="outside the CT"):
        placed_on_grid(replace(_whole(), geometry=far), CT)

    empty = LabelVolume(voxels=np.zeros(CT.shape, np.uint8), geometry=far)
    assert not placed_on_grid(empty, CT).voxels.any()


@pytest.mark.parametrize(
    "change",
    [
        {"origin_lps_mm": (10.3, -20.0, 30.0)},
        {"spacing_mm": (2.0, 0.5, 0.8)},
        {"direction": ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))},
        {"direction": ((0.0, 0.0, 1.0), (-0.6, 0.8, 0.0), (0.8, 0.6, 0.0))},
    ],
)
def test_voxels_that_do_not_coincide_are_refused(change: dict) -> None:
    labels = replace(_whole(), geometry=replace(CT, **change))

    with pytest.raises(InputError, match="do not share one grid"):
        placed_on_grid(labels, CT)
