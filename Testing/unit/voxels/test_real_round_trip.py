"""Real fragments to the working grid and back: what the way costs at most."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from FractureSegmentationLib.bones.crop import bone_crops
from FractureSegmentationLib.io.read import read_ct, read_labels
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.resample import nearest_labels
from FractureSegmentationLib.voxels.upsample import labels_to_grid


def test_the_way_to_one_millimetre_and_back_costs_at_most_two_percent(real_data: Path) -> None:
    folder = real_data / "real" / "003"
    ct = read_ct(folder / "ct.nii.gz").volume
    bones = read_labels(folder / "bones.nii.gz")
    hip = bones.with_voxels(np.where(bones.voxels == 2, 2, 0).astype(np.uint8))
    truth = read_labels(folder / "fragments.nii.gz")
    (crop,) = bone_crops(ct, hip, margin_mm=6.0, spacing_mm=(1.0, 1.0, 1.0))
    native = np.ascontiguousarray(crop.order.apply(truth.voxels[crop.box])) * crop.native_mask
    working = nearest_labels(LabelVolume(voxels=native, geometry=crop.native), crop.working)

    back = labels_to_grid(working.voxels, crop.working, crop.native, crop.native_mask)

    np.testing.assert_array_equal(back > 0, crop.native_mask)
    for label in np.unique(native[native > 0]):
        found, expected = back == label, native == label
        assert (found & expected).sum() / (found | expected).sum() > 0.98
    assert (back == native)[crop.native_mask].mean() > 0.999
