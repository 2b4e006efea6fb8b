from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from fracseg_training.bones.sources import read_bare_bones, read_bare_fragments


def write(path: Path, voxels: np.ndarray, spacing: tuple[float, float, float]) -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(image, str(path))


def test_what_lies_outside_the_bones_does_not_bleed_into_them(tmp_path: Path) -> None:
    bones = np.zeros((20, 30, 40), np.uint8)
    bones[4:16, 6:24, 2:18], bones[4:16, 6:24, 22:38] = 3, 2
    write(tmp_path / "ct.nii.gz", np.where(bones > 0, 700, 0).astype(np.int16), (0.8, 0.8, 1.0))
    write(tmp_path / "bones.nii.gz", bones, (0.8, 0.8, 1.0))

    bare = read_bare_bones(tmp_path / "ct.nii.gz", tmp_path / "bones.nii.gz", 2.0)

    assert bare.spacing_mm == (2.0, 2.0, 2.0)
    assert np.all(np.abs(bare.hu[bare.bones > 0] - 700.0) < 1.0)


def test_bones_are_turned_to_canonical_axes_and_keep_their_volume(tmp_path: Path) -> None:
    bones = np.zeros((20, 30, 40), np.uint8)
    bones[4:16, 6:24, 2:18] = 3
    write(tmp_path / "ct.nii.gz", (bones * 100).astype(np.int16), (1.0, 1.0, 1.0))
    write(tmp_path / "bones.nii.gz", bones, (1.0, 1.0, 1.0))

    bare = read_bare_bones(tmp_path / "ct.nii.gz", tmp_path / "bones.nii.gz", 2.0)

    # The file's i axis runs to the right: low indices there are high ones here.
    assert np.nonzero(bare.bones)[2].min() >= 10
    volume = np.count_nonzero(bare.bones == 3) * 8.0
    assert volume == pytest.approx(12 * 18 * 16, rel=0.02)


def test_real_patients_come_as_sacrum_and_hip_bones(real_data: Path) -> None:
    patient = real_data / "real" / "003"

    bare = read_bare_bones(patient / "ct.nii.gz", patient / "bones.nii.gz", 3.0)

    assert set(np.unique(bare.bones)) == {0, 1, 2, 3}
    left, right = (np.nonzero(bare.bones == value)[2].mean() for value in (2, 3))
    assert left > right
    assert np.median(bare.hu[bare.bones == 2]) > 100.0


def test_fragments_of_real_bones_fill_each_bone_with_its_own_labels(tmp_path: Path) -> None:
    """Two bones that touch, one in two halves: no label crosses over, whatever the resampling."""
    bones = np.zeros((20, 30, 40), np.uint8)
    bones[4:16, 6:24, 2:20], bones[4:16, 6:24, 20:37] = 3, 1
    fragments = np.where(bones == 3, 21, bones).astype(np.uint8)
    fragments[4:16, 15:24][bones[4:16, 15:24] == 3] = 22
    for name, voxels in (("ct", bones.astype(np.int16)), ("bones", bones), ("frags", fragments)):
        write(tmp_path / f"{name}.nii.gz", voxels, (0.7, 0.7, 1.3))
    bare = read_bare_bones(tmp_path / "ct.nii.gz", tmp_path / "bones.nii.gz", 1.0)

    labels = read_bare_fragments(tmp_path / "frags.nii.gz", tmp_path / "bones.nii.gz", bare)

    assert labels.shape == bare.bones.shape
    assert set(np.unique(labels[bare.bones == 3])) == {21, 22}
    assert set(np.unique(labels[bare.bones == 1])) == {1}
    assert not labels[bare.bones == 0].any()
