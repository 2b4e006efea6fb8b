"""What is exported: results, label images and whose numbering they follow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.results.report import write_report
from FractureSegmentationLib.results.source import read_source
from FractureSegmentationLib.volume import LabelVolume


def an_image(path: Path, *labels: int) -> Path:
    voxels = np.zeros((4, 4, 4), np.uint16)
    voxels.ravel()[: len(labels)] = labels
    geometry = Geometry(shape=voxels.shape, spacing_mm=(1.0, 1.0, 1.0))
    write_volume(path, LabelVolume(voxels=voxels, geometry=geometry))
    return path


def names(path: Path, numbering: str | None = None) -> dict[int, str]:
    source = read_source(path, numbering)
    return {one.segment.label_value: one.segment.name for one in source.labels.segments}


def test_a_result_folder_and_its_label_image_are_the_same_source(result: Path) -> None:
    for path in (result, result / "fragments.nii.gz"):
        source = read_source(path)
        segments = [one.segment for one in source.labels.segments]
        assert [one.id for one in segments] == ["left_hip_1", "left_hip_2"]
        assert segments[1].tags["FracSeg.Confidence"] == "0.250"
        assert segments[0].tags["DICOM.SegmentAlgorithmName"] == "FractureSegmentation"
        assert source.numbering is not None
        assert source.numbering.name == "fracseg"


def test_a_bone_with_one_label_is_one_piece(tmp_path: Path) -> None:
    path = an_image(tmp_path / "labels.mha", 1, 11, 12)

    assert names(path, "pengwin2024") == {
        1: "Sacrum – one piece",
        11: "Left hip bone – fragment 1 (main)",
        12: "Left hip bone – fragment 2",
    }


def test_labels_of_another_program_claim_no_algorithm_of_ours(tmp_path: Path) -> None:
    source = read_source(an_image(tmp_path / "labels.nrrd", 1), "fracseg")

    (one,) = source.labels.segments
    assert not [name for name in one.segment.tags if name.startswith("DICOM.")]


def test_labels_that_stand_for_no_bones_are_called_by_their_values(tmp_path: Path) -> None:
    path = an_image(tmp_path / "labels.nii", 3, 700)

    source = read_source(path, "none")

    assert [one.segment.id for one in source.labels.segments] == ["Label_3", "Label_700"]
    assert names(path, "none") == {3: "Label 3", 700: "Label 700"}
    assert source.numbering is None
    colors = [one.segment.color for one in source.labels.segments]
    assert np.abs(np.subtract(*colors)).max() > 0.2


def test_a_femur_that_may_be_either_is_not_given_a_side(tmp_path: Path) -> None:
    """In pengwin2026 labels 151 to 200 are the femur of one side."""
    path = an_image(tmp_path / "labels.nii.gz", 151, 152)

    source = read_source(path, "pengwin2026")

    segments = [one.segment for one in source.labels.segments]
    assert [one.id for one in segments] == ["femur_1", "femur_2"]
    assert segments[0].name == "Femur – fragment 1 (main)"
    assert "Left" not in segments[0].tags["TerminologyEntry"]


@pytest.mark.parametrize(
    ("bones", "name"),
    [
        (["right_femur"], "Right femur – one piece"),
        (["left_femur"], "Left femur – one piece"),
        (["left_femur", "right_femur"], "Femur – one piece"),
        ([], "Femur – one piece"),
    ],
)
def test_a_report_says_which_femur_it_is(tmp_path: Path, bones: list[str], name: str) -> None:
    an_image(tmp_path / "fragments.nii.gz", 151)
    entries = [{"bone": bone, "fragments": [{"label": 151}]} for bone in bones]
    write_report(tmp_path, {"numbering": "pengwin2026", "bones": entries})

    assert names(tmp_path) == {151: name}


def test_a_numbering_is_never_guessed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not say which bones") as refusal:
        read_source(an_image(tmp_path / "labels.nii.gz", 1))

    assert "--numbering: fracseg, pengwin2024, pengwin2026, or none" in refusal.value.remedy


def test_a_report_beside_a_file_of_another_name_says_nothing_of_it(result: Path) -> None:
    with pytest.raises(InputError, match="do not say which bones"):
        read_source(an_image(result / "other.nii.gz", 1))


def test_a_report_of_another_program_says_nothing(result: Path) -> None:
    (result / "report.json").write_text('{"numbering": "fracseg"}')

    with pytest.raises(InputError, match="do not say which bones"):
        read_source(result / "fragments.nii.gz")
    assert names(result / "fragments.nii.gz", "fracseg")[52] == "Left hip bone – fragment 2"
    with pytest.raises(InputError, match="was not written by fracseg"):
        read_source(result)


@pytest.mark.parametrize(
    "bones", [None, 3, "x", [3], [{}], [{"bone": 1, "fragments": 3}], [{"fragments": [[], {}]}]]
)
def test_a_report_that_says_nothing_of_fragments_is_enough(result: Path, bones: object) -> None:
    report = json.loads((result / "report.json").read_text())
    (result / "report.json").write_text(json.dumps({**report, "bones": bones}))

    assert len(names(result)) == 2


def test_a_numbering_that_contradicts_the_report_is_refused(result: Path) -> None:
    with pytest.raises(InputError, match="numbered fracseg, not pengwin2024"):
        read_source(result, "pengwin2024")
    with pytest.raises(InputError, match="numbered fracseg, not none"):
        read_source(result, "none")
    assert len(names(result, "fracseg")) == 2


def test_a_label_of_no_bone_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds label 31, which is no bone's"):
        read_source(an_image(tmp_path / "labels.nii.gz", 1, 31), "pengwin2024")


def test_a_segmentation_that_names_its_segments_takes_no_numbering(real_data: Path) -> None:
    path = real_data / "segmentations/slicerio/Segmentation.seg.nrrd"

    with pytest.raises(InputError, match="names its segments itself"):
        read_source(path, "fracseg")


def test_what_is_no_segmentation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    for path, words in (
        (tmp_path / "nowhere", "was not found"),
        (tmp_path, "is no result of fracseg"),
        (tmp_path / "notes.txt", "of no known kind"),
    ):
        with pytest.raises(InputError, match=words):
            read_source(path)


def test_a_damaged_label_image_is_refused(result: Path) -> None:
    path = result / "fragments.nii.gz"
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(InputError, match="damaged"):
        read_source(result)


def test_doubts_about_left_and_right_are_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "labels.nrrd"
    an_image(path, 1)
    content = path.read_bytes()
    without = content.replace(b"space: left-posterior-superior", b"space dimension: 3", 1)
    path.write_bytes(without)

    source = read_source(path, "fracseg")

    assert any("left and right" in warning for warning in source.warnings)


def test_layers_that_name_no_segments_and_overlap_are_refused(tmp_path: Path) -> None:
    voxels = np.ones((3, 3, 3, 2), np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(voxels, isVector=True), str(tmp_path / "two.nrrd"))

    with pytest.raises(InputError, match="overlap or share"):
        read_source(tmp_path / "two.nrrd", "none")
