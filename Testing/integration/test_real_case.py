"""`fracseg segment` and `fracseg evaluate` on a real patient, with the weights that ship."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.io.read import read_labels

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def result(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(result folder, patient folder) of the right hip bone of patient 003, its mask given."""
    patient = real_data / "real" / "003"
    out = tmp_path_factory.mktemp("real") / "result"
    arguments = ["segment", str(patient / "ct.nii.gz"), str(out)]
    arguments += ["--bones", str(patient / "bones.nii.gz"), "--only", "right_hip"]
    assert run([*arguments, "--device", "cpu", "--progress", "none"]) == 0
    return out, patient


def test_every_voxel_of_the_mask_has_a_label_and_no_other(result: tuple[Path, Path]) -> None:
    out, patient = result

    fragments = read_labels(out / "fragments.nii.gz")
    bones = read_labels(patient / "bones.nii.gz")

    assert fragments.geometry.is_close_to(bones.geometry)
    assert np.array_equal(fragments.voxels > 0, bones.voxels == 3)
    assert set(fragments.values()) <= set(range(101, 151))


def test_result_folder_is_complete(result: tuple[Path, Path]) -> None:
    out, _ = result
    count = len(read_labels(out / "fragments.nii.gz").values())

    report = json.loads((out / "report.json").read_text())
    assert report["reviewed"] is False
    assert {path.name for path in out.iterdir()} == {
        "fragments.nii.gz",
        "fragments.seg.nrrd",
        "contact.nrrd",
        "regions.nrrd",
        "bones.nii.gz",
        "meshes",
        "report.json",
        "preview.png",
    }
    assert len(list((out / "meshes").glob("right_hip_*.stl"))) == count


def test_result_is_on_the_grid_that_another_reader_sees(result: tuple[Path, Path]) -> None:
    out, patient = result

    found = sitk.ReadImage(str(out / "fragments.nii.gz"))
    ct = sitk.ReadImage(str(patient / "ct.nii.gz"))

    assert found.GetSize() == ct.GetSize()
    assert np.allclose(found.GetDirection(), ct.GetDirection(), atol=1e-5)
    assert np.allclose(found.GetOrigin(), ct.GetOrigin(), atol=1e-3)


def test_result_can_be_evaluated_against_the_truth(
    result: tuple[Path, Path], tmp_path: Path
) -> None:
    out, patient = result
    scores = tmp_path / "scores.json"

    status = run(
        [
            "evaluate",
            str(out),
            str(patient / "fragments.nii.gz"),
            "--gt-numbering",
            "pengwin2024",
            "--no-distances",
            "--json",
            str(scores),
        ]
    )

    assert status == 0
    assert "right_hip" in scores.read_text()
