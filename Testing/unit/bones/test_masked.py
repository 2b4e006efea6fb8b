"""CTs that hold bone only."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.bones.masked import fitted_to_masked_ct
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import LabelVolume, Volume


def test_bones_end_where_the_ct_becomes_zero() -> None:
    """Columns 2 to 7 are bone with a hole of 0 HU at 4; what was found is columns 0 to 5."""
    geometry = Geometry(shape=(3, 3, 10), spacing_mm=(1, 1, 1))
    hu = np.zeros(geometry.shape, np.int16)
    hu[..., 2:8] = 300
    hu[1, 1, 4] = 0
    rough = np.zeros(geometry.shape, np.uint8)
    rough[..., :6] = 3

    fitted = fitted_to_masked_ct(
        Volume(voxels=hu, geometry=geometry), LabelVolume(voxels=rough, geometry=geometry)
    )

    expected = np.zeros(geometry.shape, np.uint8)
    expected[..., 2:8] = 3
    np.testing.assert_array_equal(fitted.voxels, expected)


def test_every_voxel_takes_the_nearest_bone() -> None:
    geometry = Geometry(shape=(1, 1, 8), spacing_mm=(1, 1, 1))
    hu = np.full(geometry.shape, 300, np.int16)
    rough = np.array([1, 0, 0, 0, 0, 0, 2, 2], np.uint8).reshape(1, 1, 8)
    fitted = fitted_to_masked_ct(
        Volume(voxels=hu, geometry=geometry), LabelVolume(voxels=rough, geometry=geometry)
    )
    assert fitted.voxels.ravel().tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_nothing_found_stays_nothing() -> None:
    geometry = Geometry(shape=(2, 2, 2), spacing_mm=(1, 1, 1))
    fitted = fitted_to_masked_ct(
        Volume(voxels=np.ones((2, 2, 2), np.int16), geometry=geometry),
        LabelVolume(voxels=np.zeros((2, 2, 2), np.uint8), geometry=geometry),
    )
    assert not fitted.voxels.any()
