"""`fracseg export`, in this process and as a child process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.cli import export as command
from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.export.formats import FORMATS
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.volume import LabelVolume


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_labels(path: Path, size: int = 12) -> Path:
    """Label 1 (sacrum) and 11 (left hip bone), two halves of a cube."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros((size,) * 3, np.uint8)
    voxels[2:-2, 2:-2, 2:-2] = 1
    voxels[size // 2 :][voxels[size // 2 :] > 0] = 11
    geometry = Geometry(shape=voxels.shape, spacing_mm=(1.0, 1.0, 1.0))
    write_volume(path, LabelVolume(voxels=voxels, geometry=geometry))
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_labels(tmp_path / "Jane Döe 1970" / "labels.nii.gz")


@pytest.fixture
def arguments(labels: Path, tmp_path: Path) -> list[str]:
    out = tmp_path / "Ausgabe ä"
    return ["export", str(labels), str(out), "--format", "stl", "--numbering", "pengwin2024"]


def write_plan(path: Path, **poses: object) -> Path:
    plan = {"schema": "fracseg-plan/1", "space": "LPS", "unit": "mm", "poses": poses}
    path.write_text(json.dumps(plan))
    return path


def test_fragments_are_exported_and_told_in_words(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("2 fragments: sacrum_1.stl, left_hip_1.stl\n")
    assert "Not for diagnosis" in printed.out
    assert "Jane" not in printed.out + printed.err
    assert entries(tmp_path / "Ausgabe ä") == [
        "left_hip_1.stl",
        "report.json",
        "sacrum_1.stl",
    ]


def test_an_export_is_replaced_only_when_asked(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 0
    first = (tmp_path / "Ausgabe ä" / "sacrum_1.stl").read_bytes()
    assert run(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert run([*arguments, "--overwrite"]) == 0
    assert (tmp_path / "Ausgabe ä" / "sacrum_1.stl").read_bytes() == first
    assert run([*arguments, "--overwrite", "--format", "glb"]) == 0
    assert entries(tmp_path / "Ausgabe ä") == ["fragments.glb", "report.json"]


def test_the_formats_of_the_help_are_those_that_are_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tuple(FORMATS) == command.FORMATS
    assert run(["export", "--help"]) == 0
    text = capsys.readouterr().out
    assert "stl|obj|ply|glb|nifti|seg.nrrd|dicom-seg" in text
    assert "carries the patient's identity" in " ".join(text.split())


def test_without_highdicom_its_installation_is_named_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    out = tmp_path / "out"
    arguments = ["export", str(tmp_path / "nothing"), str(out), "--format", "dicom-seg"]

    assert run([*arguments, "--ct", str(tmp_path / "ct")]) == 4
    said = " ".join(capsys.readouterr().err.split())
    assert "highdicom, which is not installed" in said
    assert "pip install highdicom" in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (["--format", "stp"], 2, "'stp' is none of stl, obj"),
        (["--numbering", "roman"], 2, "roman"),
        (["--numbering", "fracseg", "--poses", "nowhere.json"], 2, "plan was not found"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence_and_leaves_nothing(
    arguments: list[str],
    tmp_path: Path,
    change: list[str],
    status: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*arguments, *change]) == status
    printed = capsys.readouterr()
    assert words in printed.err
    assert "Traceback" not in printed.err
    assert "Jane" not in printed.err
    assert entries(tmp_path) == ["Jane Döe 1970"]


def test_a_folder_without_dicom_is_refused_as_ground_of_a_dicom_seg(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("highdicom")
    empty = tmp_path / "no dicom"
    empty.mkdir()
    arguments = ["export", str(labels), str(tmp_path / "out"), "--numbering", "none"]

    assert run([*arguments, "--format", "dicom-seg", "--ct", str(empty)]) == 2

    said = " ".join(capsys.readouterr().err.split())
    assert "no DICOM series" in said
    assert "Give the DICOM folder that the segmentation was made from" in said


def test_labels_of_unknown_meaning_ask_for_a_numbering(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(labels), str(tmp_path / "out"), "--format", "ply"]
    assert run(arguments) == 2
    assert "do not say which bones" in capsys.readouterr().err
    assert run([*arguments, "--numbering", "none"]) == 0
    assert "Label_1.ply, Label_11.ply" in capsys.readouterr().out


def test_an_empty_segmentation_is_no_bone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_labels(tmp_path / "in" / "labels.nii.gz", size=4)
    out = tmp_path / "out"
    assert run(["export", str(path), str(out), "--format", "glb", "--numbering", "fracseg"]) == 3
    assert "holds no fragment" in capsys.readouterr().err
    assert not out.exists()


def test_a_plan_is_applied_and_its_overlaps_are_warned_of(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each half is 4 x 8 x 8 mm; one step down, 64 mm³ of the second lie in the first."""
    pose = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -1], [0, 0, 0, 1]]
    plan = write_plan(tmp_path / "plan.json", left_hip_1=pose)
    assert run([*arguments, "--format", "nifti", "--poses", str(plan)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("2 fragments, 1 moved by the plan: fragments.nii.gz")
    sentence = "Sacrum – one piece and Left hip bone – one piece overlap by 64 mm³ in the plan."
    assert f"Warning: {sentence}" in printed.err
    report = json.loads((tmp_path / "Ausgabe ä" / "report.json").read_text(encoding="utf-8"))
    assert report["warnings"] == [sentence]


def test_a_plan_for_other_fragments_names_them(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write_plan(tmp_path / "plan.json", right_hip_4=np.eye(4).tolist())
    assert run([*arguments, "--poses", str(plan)]) == 2
    printed = capsys.readouterr().err
    assert "does not hold: 'right_hip_4'." in printed
    assert "It holds: sacrum_1, left_hip_1." in printed


def test_the_output_is_kept_away_from_the_input(
    arguments: list[str], labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments[2] = str(labels.parent)
    assert run([*arguments, "--overwrite"]) == 2
    assert "is, holds or lies inside the input" in capsys.readouterr().err
    plan = write_plan(tmp_path / "Ausgabe ä", sacrum_1=np.eye(4).tolist())
    arguments[2] = str(plan)
    assert run([*arguments, "--poses", str(plan), "--overwrite"]) == 2
    assert plan.is_file()


def test_overlapping_segments_of_3d_slicer_are_exported(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slicerio = pytest.importorskip("slicerio")
    trimesh = pytest.importorskip("trimesh")
    source = real_data / "segmentations/slicerio/SegmentationOverlapping.seg.nrrd"
    out = tmp_path / "out"

    for name in ("stl", "seg.nrrd"):
        assert run(["export", str(source), str(out / name[:3]), "--format", name]) == 0
    assert run(["export", str(source), str(out / "nifti"), "--format", "nifti"]) == 2

    assert "ribs and overlapping sphere overlap" in capsys.readouterr().err
    theirs = slicerio.read_segmentation(str(source))
    ours = slicerio.read_segmentation(str(out / "seg" / "fragments.seg.nrrd"))
    np.testing.assert_array_equal(ours["voxels"], theirs["voxels"])
    np.testing.assert_allclose(ours["ijkToLPS"], theirs["ijkToLPS"], atol=1e-9)
    for one, other in zip(ours["segments"], theirs["segments"], strict=True):
        assert one["color"] == pytest.approx(other["color"])
        for key in ("id", "name", "labelValue", "layer", "terminology", "status"):
            assert one[key] == other[key]
    sphere = trimesh.load(out / "stl" / "overlapping_sphere.stl")
    voxels = np.count_nonzero(theirs["voxels"][1] == 1)
    voxel_mm3 = abs(np.linalg.det(theirs["ijkToLPS"][:3, :3]))
    assert sphere.is_watertight
    assert sphere.volume == pytest.approx(voxels * voxel_mm3, rel=0.03)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without a signal")
def test_a_signal_ends_an_export_and_leaves_nothing(tmp_path: Path, repository: Path) -> None:
    labels = write_labels(tmp_path / "in" / "labels.nii.gz", size=320)
    code = "from FractureSegmentationLib.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "export", str(labels), str(tmp_path / "out"),
         "--format", "obj", "--numbering", "pengwin2024"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("export"):
            break
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=30) == 130
    assert entries(tmp_path) == ["in"]
    process.stderr.close()
