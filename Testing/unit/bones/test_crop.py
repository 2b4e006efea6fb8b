"""Bone crops: where they lie, what they hold, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.bones.crop import bone_crops, padded_box
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.orient import AxisOrder


@pytest.fixture
def two_bones() -> tuple[Volume, LabelVolume]:
    """A CT of 400 HU bone in air: a sacrum that touches the border and a left hip."""
    bones = np.zeros((20, 24, 28), np.uint8)
    bones[0:6, 2:10, 2:10] = 1
    bones[8:16, 12:20, 15:25] = 2
    geometry = Geometry(shape=bones.shape, spacing_mm=(2.0, 1.0, 0.8), origin_lps_mm=(3, 4, 5))
    ct = np.where(bones > 0, 400, -1000).astype(np.int16)
    return Volume(voxels=ct, geometry=geometry), LabelVolume(voxels=bones, geometry=geometry)


def test_the_margin_is_in_millimetres_and_stops_at_the_border(
    two_bones: tuple[Volume, LabelVolume],
) -> None:
    """4 mm are 2 slices, 4 rows and 5 columns; the sacrum begins at slice 0 and row 2."""
    sacrum, hip = bone_crops(*two_bones, margin_mm=4.0, spacing_mm=(1.0, 1.0, 1.0))

    assert sacrum.box == (slice(0, 8), slice(0, 14), slice(0, 15))
    assert hip.box == (slice(6, 18), slice(8, 24), slice(10, 28))
    assert (sacrum.bone.slug, hip.bone.slug) == ("sacrum", "left_hip")


def test_a_crop_has_the_working_spacing_and_keeps_the_volume_of_its_bone(
    two_bones: tuple[Volume, LabelVolume],
) -> None:
    """8 slices of 2 mm x 8 rows x 10 columns of 0.8 mm = 16 x 8 x 8 = 1024 mm3."""
    _, hip = bone_crops(*two_bones, margin_mm=4.0, spacing_mm=(1.0, 1.0, 1.0))

    assert hip.working.spacing_mm == (1.0, 1.0, 1.0)
    assert hip.mask.sum() == pytest.approx(1024, rel=0.1)
    # Linear interpolation never overshoots.
    assert hip.ct.voxels.max() == pytest.approx(400, abs=1e-3)
    assert hip.ct.voxels.min() == pytest.approx(-1000, abs=1e-3)


@pytest.mark.parametrize(
    "order",
    [
        AxisOrder(axes=(0, 1, 2), reversed_axes=(False, False, False)),
        AxisOrder(axes=(2, 0, 1), reversed_axes=(True, False, True)),
    ],
)
def test_labels_come_back_to_the_voxels_they_were_cut_from(
    two_bones: tuple[Volume, LabelVolume], order: AxisOrder
) -> None:
    ct, bones = (order.volume(volume) for volume in two_bones)
    restored = np.zeros(bones.voxels.shape, np.uint16)

    for crop in bone_crops(ct, bones, margin_mm=3.0, spacing_mm=(1.0, 1.0, 1.0)):
        crop.paste(crop.native_mask * np.uint16(crop.bone.mask_value), restored)

    np.testing.assert_array_equal(restored, bones.voxels)


def test_a_turned_ct_gives_the_same_crop(two_bones: tuple[Volume, LabelVolume]) -> None:
    order = AxisOrder(axes=(1, 2, 0), reversed_axes=(True, True, False))
    straight = list(bone_crops(*two_bones, margin_mm=3.0, spacing_mm=(1.0, 1.0, 1.0)))
    turned = list(
        bone_crops(
            *(order.volume(volume) for volume in two_bones),
            margin_mm=3.0,
            spacing_mm=(1.0, 1.0, 1.0),
        )
    )
    for one, other in zip(straight, turned, strict=True):
        np.testing.assert_allclose(one.ct.voxels, other.ct.voxels, atol=1e-3)
        np.testing.assert_array_equal(one.mask, other.mask)
        assert one.working.is_close_to(other.working)


def test_grids_that_differ_are_refused(two_bones: tuple[Volume, LabelVolume]) -> None:
    ct, bones = two_bones
    with pytest.raises(ValueError, match="differ in grid"):
        next(
            bone_crops(
                ct.cropped((slice(0, 5),) * 3), bones, margin_mm=1.0, spacing_mm=(1.0, 1.0, 1.0)
            )
        )


def test_a_margin_never_leaves_the_grid() -> None:
    geometry = Geometry(shape=(5, 5, 5), spacing_mm=(1, 1, 1))
    assert padded_box((slice(1, 2),) * 3, geometry, 99.0) == (slice(0, 5),) * 3
