from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from small_bodies import a_small_body

from fracseg_training.synthesis.label_map import LabelMap, read_label_map


def test_a_label_map_is_turned_so_that_i_runs_to_the_left(tmp_path: Path) -> None:
    voxels = np.zeros((2, 3, 4), np.uint8)
    voxels[1, 0, 0] = 7
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(image, str(tmp_path / "map.nii.gz"))
    (tmp_path / "names.json").write_text(json.dumps({"7": "hip_left"}))

    body = read_label_map(tmp_path / "map.nii.gz", tmp_path / "names.json")

    assert body.labels[1, 2, 3] == 7
    assert body.spacing_mm == (3.0, 2.0, 1.0)
    assert body.names == {7: "hip_left"}


def test_s1_belongs_to_the_sacrum_and_a_lumbar_vertebra_to_no_bone_of_ours() -> None:
    names = {1: "vertebrae_S1", 2: "sacrum", 3: "vertebrae_L5", 4: "femur_right", 5: "hip_left"}
    labels = np.arange(6, dtype=np.uint8).reshape(1, 1, 6)

    bones = LabelMap(labels=labels, names=names, spacing_mm=(1.0, 1.0, 1.0)).bones()

    assert bones.ravel().tolist() == [0, 1, 1, 0, 5, 2]


def test_the_box_around_a_body_has_its_margin_at_the_sides_only() -> None:
    labels = np.zeros((9, 10, 10), np.uint8)
    labels[3:5, 1, 8] = 1
    body = LabelMap(labels=labels, names={1: "hip_left"}, spacing_mm=(1.0, 1.0, 2.0))

    box = body.around(4.0)

    assert box.labels.shape == (2, 9, 5)
    assert box.labels[:, 4, 2].tolist() == [1, 1]
    assert np.count_nonzero(box.labels) == 2


def test_structures_are_found_by_the_beginning_of_their_name() -> None:
    body = a_small_body()

    assert np.array_equal(body.mask_of("femur_"), np.isin(body.labels, (1, 2)))
