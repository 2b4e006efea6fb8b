"""The user's own bone segmentation."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.bones.from_labels import bones_from_labels
from FractureSegmentationLib.errors import InputError, NoBoneError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import LabelVolume

GRID = Geometry(shape=(4, 5, 6), spacing_mm=(2.0, 1.0, 1.0), origin_lps_mm=(1.0, 2.0, 3.0))


def labels_of(voxels: np.ndarray, geometry: Geometry = GRID) -> LabelVolume:
    return LabelVolume(voxels=voxels, geometry=geometry)


def test_catalogue_values_are_taken_as_they_are() -> None:
    voxels = np.zeros(GRID.shape, np.uint16)
    voxels[1, 2, 3], voxels[0, 0, 0] = 4, 11
    bones = bones_from_labels(labels_of(voxels), GRID)
    np.testing.assert_array_equal(bones.voxels, voxels)
    assert bones.voxels.dtype == np.uint8


def test_a_cropped_segmentation_lands_at_its_place() -> None:
    """The box begins at voxel (1, 2, 3)."""
    box = (slice(1, 3), slice(2, 4), slice(3, 5))
    part = np.full((2, 2, 2), 2, np.uint8)
    bones = bones_from_labels(labels_of(part, GRID.cropped(box)), GRID)
    assert np.argwhere(bones.voxels).min(axis=0).tolist() == [1, 2, 3]
    assert np.count_nonzero(bones.voxels) == 8


def test_a_value_that_is_no_bone_is_refused_with_the_list_of_values() -> None:
    with pytest.raises(InputError, match=r"values 12, 51.*1 sacrum, 2 left_hip"):
        bones_from_labels(labels_of(np.full(GRID.shape, 12) + 39 * np.eye(6)[:5].astype(int)), GRID)


def test_an_empty_segmentation_holds_no_bone() -> None:
    with pytest.raises(NoBoneError, match="empty"):
        bones_from_labels(labels_of(np.zeros(GRID.shape, np.uint8)), GRID)


def test_a_segmentation_of_another_ct_is_refused() -> None:
    other = Geometry(shape=(4, 5, 7), spacing_mm=(2.0, 1.0, 1.0))
    with pytest.raises(InputError, match="grid"):
        bones_from_labels(labels_of(np.ones(other.shape, np.uint8), other), GRID)
