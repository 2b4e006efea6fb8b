"""Bones by density alone: on clearly separate bodies, in any orientation."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.bones.threshold import bones_by_threshold
from FractureSegmentationLib.errors import NoBoneError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import Volume
from FractureSegmentationLib.voxels.orient import AxisOrder


@pytest.fixture
def five_bodies() -> tuple[Volume, np.ndarray]:
    """A sacrum, two hips and two femora as ellipsoids of 500 HU; left is the larger i."""
    geometry = Geometry(shape=(60, 40, 100), spacing_mm=(3.0, 3.0, 3.0))
    k, j, i = np.indices(geometry.shape)
    truth = np.zeros(geometry.shape, np.uint8)
    for value, centre, radii in (
        (1, (40, 28, 50), (12, 8, 10)),
        (2, (38, 18, 72), (14, 10, 8)),
        (3, (38, 18, 28), (14, 10, 8)),
        (4, (12, 18, 84), (11, 6, 6)),
        (5, (12, 18, 16), (11, 6, 6)),
    ):
        shares = [(x - c) / r for x, c, r in zip((k, j, i), centre, radii, strict=True)]
        truth[sum(s**2 for s in shares) <= 1.0] = value
    hu = np.where(truth > 0, 500, 40).astype(np.int16)
    return Volume(voxels=hu, geometry=geometry), truth


def dice(predicted: np.ndarray, truth: np.ndarray, value: int) -> float:
    a, b = predicted == value, truth == value
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_separate_bodies_are_found_and_named_by_position(
    five_bodies: tuple[Volume, np.ndarray],
) -> None:
    ct, truth = five_bodies
    predicted = bones_by_threshold(ct).voxels
    for value in range(1, 6):
        assert dice(predicted, truth, value) > 0.9


def test_a_flipped_ct_gives_the_same_bones_at_the_same_places(
    five_bodies: tuple[Volume, np.ndarray],
) -> None:
    ct, _ = five_bodies
    order = AxisOrder(axes=(2, 0, 1), reversed_axes=(True, False, True))
    turned = bones_by_threshold(order.volume(ct))
    np.testing.assert_array_equal(turned.voxels, order.apply(bones_by_threshold(ct).voxels))


def test_soft_tissue_holds_no_bone() -> None:
    geometry = Geometry(shape=(20, 20, 20), spacing_mm=(3.0, 3.0, 3.0))
    with pytest.raises(NoBoneError, match="dense"):
        bones_by_threshold(Volume(voxels=np.full(geometry.shape, 60, np.int16), geometry=geometry))
