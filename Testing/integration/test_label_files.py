"""Label files of other programs: named segments, turned axes, scaled values."""

from __future__ import annotations

import json
import struct
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.meaning import bone_of_name, bone_of_terminology
from FractureSegmentationLib.anatomy.naming import terminology_tag
from FractureSegmentationLib.bones.from_labels import bones_from_labels
from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.grid import placed_on_grid
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.io.sitk import volume_to_sitk
from FractureSegmentationLib.results.named_labels import read_bone_labels
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.orient import AxisOrder

OBLIQUE = Geometry(
    shape=(9, 11, 13),
    spacing_mm=(2.0, 0.75, 0.5),
    origin_lps_mm=(-12.5, 30.25, 101.0),
    direction=((0.0, 0.0, 1.0), (-0.6, 0.8, 0.0), (0.8, 0.6, 0.0)),
)
TURNS = [
    AxisOrder(axes=axes, reversed_axes=flips)
    for axes in permutations(range(3))
    for flips in product((False, True), repeat=3)
]


def hip_and_sacrum(geometry: Geometry = OBLIQUE) -> LabelVolume:
    """Mask values of the sacrum (1) and the left hip bone (2); no symmetry, no empty border."""
    voxels = np.zeros(geometry.shape, np.uint8)
    voxels[0:4, 1:5, 2:6] = 1
    voxels[5:8, 6:10, 3:12] = 2
    voxels[8, 10, 12] = 2
    return LabelVolume(voxels=voxels, geometry=geometry)


def write_segments(path: Path, segments: list[tuple[str, int, str]], labels: LabelVolume) -> Path:
    """A `.seg.nrrd`: (name, label value, terminology tag) per segment."""
    image = volume_to_sitk(labels)
    for index, (name, value, terminology) in enumerate(segments):
        entries = {"ID": f"Segment_{index + 1}", "Name": name, "LabelValue": str(value),
                   "Layer": "0", "Tags": f"TerminologyEntry:{terminology}|"}  # fmt: skip
        for key, text in entries.items():
            image.SetMetaData(f"Segment{index}_{key}", text)
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize(
    "turn", TURNS, ids=lambda t: f"{t.axes}{[int(r) for r in t.reversed_axes]}"
)
def test_a_mask_of_the_same_voxels_is_mapped_exactly_whatever_its_axes(turn: AxisOrder) -> None:
    """All 48 ways to permute and flip the axes of an oblique grid with three voxel sizes."""
    straight = hip_and_sacrum()

    placed = placed_on_grid(turn.volume(straight), OBLIQUE)

    np.testing.assert_array_equal(placed.voxels, straight.voxels)
    assert placed.geometry == OBLIQUE
    assert placed.voxels.flags.c_contiguous


def test_a_turned_box_of_the_voxels_is_mapped_too() -> None:
    straight = hip_and_sacrum()
    box = straight.cropped((slice(0, 9), slice(1, 11), slice(2, 13)))

    for turn in TURNS[::7]:
        placed = placed_on_grid(turn.volume(box), OBLIQUE)
        np.testing.assert_array_equal(placed.voxels, straight.voxels)


def test_evaluate_scores_a_turned_prediction_as_the_straight_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = hip_and_sacrum()
    truth = truth.with_voxels(np.array([0, 1, 51], np.uint8)[truth.voxels])
    turned = TURNS[29].volume(truth)
    turned = LabelVolume(voxels=np.ascontiguousarray(turned.voxels), geometry=turned.geometry)
    for name, labels in (("truth", truth), ("turned", turned)):
        sitk.WriteImage(volume_to_sitk(labels), str(tmp_path / f"{name}.nii.gz"))

    status = run(["evaluate", str(tmp_path / "turned.nii.gz"), str(tmp_path / "truth.nii.gz"),
                  "--pred-numbering", "fracseg", "--gt-numbering", "fracseg",
                  "--json", str(tmp_path / "s.json")])  # fmt: skip

    assert status == 0, capsys.readouterr().err
    assert '"iou": 1.0' in (tmp_path / "s.json").read_text()


SACRUM, LEFT, RIGHT = (bone_named(slug) for slug in ("sacrum", "left_hip", "right_hip"))


def test_segments_of_a_bone_mask_are_known_by_their_names_not_their_values(tmp_path: Path) -> None:
    """Slicer counted them 1 and 2; by the values they would be the sacrum and the left hip bone."""
    labels = hip_and_sacrum()
    path = write_segments(
        tmp_path / "b.seg.nrrd", [("Right hip bone", 1, ""), ("Sacrum", 2, "")], labels
    )

    read = bones_from_labels(read_bone_labels(path), OBLIQUE)

    np.testing.assert_array_equal(read.voxels, np.array([0, 3, 1], np.uint8)[labels.voxels])


def test_a_terminology_decides_where_the_name_says_nothing(tmp_path: Path) -> None:
    path = write_segments(
        tmp_path / "b.seg.nrrd",
        [("Segment_1", 1, terminology_tag(LEFT)), ("Segment_2", 2, terminology_tag(SACRUM))],
        hip_and_sacrum(),
    )

    assert read_bone_labels(path).voxels[0, 1, 2] == LEFT.mask_value
    assert read_bone_labels(path).voxels[5, 6, 3] == SACRUM.mask_value


def test_label_values_decide_where_no_name_is_known(tmp_path: Path) -> None:
    labels = hip_and_sacrum()
    path = write_segments(tmp_path / "b.seg.nrrd", [("A", 1, ""), ("B", 2, "")], labels)

    np.testing.assert_array_equal(read_bone_labels(path).voxels, labels.voxels)


CONTRADICTIONS = {
    "name and terminology": [("Left hip bone", 1, terminology_tag(RIGHT)), ("Sacrum", 2, "")],
    "a nameless value that a name claims": [("Left hip bone", 1, ""), ("tumour", 2, "")],
    "a nameless value of no bone": [("Left hip bone", 2, ""), ("plate", 40, "")],
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_a_contradiction_is_refused(tmp_path: Path, kind: str) -> None:
    path = write_segments(tmp_path / "b.seg.nrrd", CONTRADICTIONS[kind], hip_and_sacrum())

    with pytest.raises(InputError) as refused:
        read_bone_labels(path)
    assert refused.value.remedy


def test_evaluate_knows_fragments_by_the_names_of_their_segments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = hip_and_sacrum()
    named = [("Left hip bone - fragment 1", 1, ""), ("Left hip bone - fragment 2", 2, "")]
    prediction = write_segments(tmp_path / "p.seg.nrrd", named, labels)
    truth = labels.with_voxels(np.array([0, 52, 51], np.uint8)[labels.voxels])
    sitk.WriteImage(volume_to_sitk(truth), str(tmp_path / "t.nii.gz"))
    evaluate = ["evaluate", str(prediction), str(tmp_path / "t.nii.gz"),
                "--gt-numbering", "fracseg", "--json", str(tmp_path / "s.json")]  # fmt: skip

    assert run(evaluate) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "s.json").read_text())
    assert '"iou": 1.0' in (tmp_path / "s.json").read_text()

    assert run([*evaluate, "--pred-numbering", "fracseg", "--overwrite"]) == 2
    assert "sacrum" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("bone", ["sacrum", "left_hip", "right_hip", "left_femur", "right_tibia"])
@pytest.mark.parametrize("is_only_piece", [True, False])
def test_every_terminology_of_ours_is_understood(bone: str, is_only_piece: bool) -> None:
    meant = bone_named(bone)

    assert bone_of_terminology(terminology_tag(meant, is_only_piece=is_only_piece)) == meant
    assert bone_of_name(meant.name) == meant


def _scaled(path: Path, stored: np.ndarray, slope: float) -> Path:
    """NIfTI whose header says to multiply the stored numbers."""
    nib.save(nib.Nifti1Image(stored.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    content = bytearray(path.read_bytes())
    content[112:120] = struct.pack("<2f", slope, 0.0)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("kind", "slope", "most"),
    [
        (np.uint16, 30 / 65535, 30),  # 11 is stored as 24029 and comes back as 11.00008
        (np.uint8, 30 / 255, 30),  # 11 comes back as 11.06
        (np.int32, 7e-10, 1),
        (np.int16, 1.0, 30),
    ],
)
def test_labels_saved_with_a_scale_factor_are_read(
    tmp_path: Path, kind: type, slope: float, most: int
) -> None:
    labels = np.random.default_rng(5).integers(0, most + 1, (6, 7, 8)).astype(np.uint8)
    stored = np.rint(labels / slope).astype(kind)

    read = read_labels(_scaled(tmp_path / "labels.nii", stored, slope))

    np.testing.assert_array_equal(read.voxels, labels)


def test_true_fractions_stay_refused(tmp_path: Path) -> None:
    """Probabilities in steps of 0.01: 0.3 is no label, however coarse its step."""
    stored = np.arange(336, dtype=np.int16).reshape(6, 7, 8) % 100

    with pytest.raises(InputError, match="fractions"):
        read_labels(_scaled(tmp_path / "p.nii", stored, 0.01))
