"""Nothing of the patient leaves through the panel: from a DICOM series to files, log and scene.

Every text tag of the series, the folder, the CT's node and the bones' node hold sentinels. What a
user loads and saves again is left out, for it is no output of ours: in a saved scene the nodes of
the CT and of the bones, those that keep their file names, and their voxel files. A DICOM SEG is
written by Slicer's own exporter and identifies the patient, as DICOM demands.
"""

from __future__ import annotations

import ast
import gzip
import logging
import re
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

from Testing.gui.host.host import Host
from Testing.gui.panel_case_steps import click, fragment_ids, open_panel, run_to_end
from Testing.unit.io.dicom_series import SeriesMaker

DATES = ("19641231", "20191105")
NUMBER = "471108154711"
SENTINELS = ("Mustermann", NUMBER, *DATES, "1964-12-31", "2019-11-05")
NAME_TAGS = (
    "PatientName", "PatientID", "OtherPatientNames", "PatientBirthName", "PatientAddress",
    "PatientMotherBirthName", "PatientComments", "AdditionalPatientHistory", "Occupation",
    "IssuerOfPatientID", "EthnicGroup", "PatientReligiousPreference", "CountryOfResidence",
    "MilitaryRank", "MedicalAlerts", "Allergies", "InstitutionName", "InstitutionAddress",
    "InstitutionalDepartmentName", "ReferringPhysicianName", "PhysiciansOfRecord",
    "PerformingPhysicianName", "OperatorsName", "StudyDescription", "SeriesDescription",
    "ProtocolName", "StationName", "RequestingPhysician", "RequestedProcedureDescription",
    "ImageComments", "DeviceSerialNumber",
)  # fmt: skip
NUMBER_TAGS = ("AccessionNumber", "StudyID", "OtherPatientIDs", "PatientTelephoneNumbers")
DATE_TAGS = {
    "PatientBirthDate": DATES[0],
    "StudyDate": DATES[1],
    "SeriesDate": DATES[1],
    "AcquisitionDate": DATES[1],
    "ContentDate": DATES[1],
}
FORMAT_BOXES = ("stl", "obj", "ply", "glb", "nifti", "segNrrd")


class CubeMaker(SeriesMaker):
    """A series that shows a cube of bone in soft tissue."""

    def stored(self, k: int) -> np.ndarray:
        pixels = np.full(self.shape[1:], 1064, np.int16)
        if 4 <= k < self.shape[0] - 4:
            pixels[4:-4, 4:-4] = 1524
        return pixels


def write_series(folder: Path) -> Path:
    """A series whose every text tag about the patient and the visit holds a sentinel."""
    fields = {
        **dict.fromkeys(NAME_TAGS, "Mustermann"),
        **dict.fromkeys(NUMBER_TAGS, NUMBER),
        **DATE_TAGS,
        "StudyInstanceUID": f"1.2.826.{NUMBER}",
        "FrameOfReferenceUID": f"1.2.826.{NUMBER}.1",
    }
    series = CubeMaker(
        folder=folder,
        shape=(24, 24, 24),
        spacing_mm=(1.0, 1.0, 1.0),
        series_uid=f"1.2.826.{NUMBER}.2",
        fields=fields,
    )
    series.file_name = lambda k: f"Mustermann_{k:03d}.dcm"
    return series.write()


def load_series(folder: Path) -> Any:
    """The series as a volume that says where it comes from, as Slicer's DICOM reader leaves it."""
    import slicer

    first = min(folder.iterdir())
    volume = slicer.util.loadVolume(str(first), {"singleFile": False, "name": "3: Mustermann"})
    assert min(volume.GetImageData().GetDimensions()) == 24
    volume.SetAttribute("DICOM.instanceUIDs", f"1.2.826.{NUMBER}.3 1.2.826.{NUMBER}.4")
    return volume


def add_bones(volume: Any) -> Any:
    """The user's own segmentation of the bone, named after the patient."""
    import slicer

    voxels = slicer.util.arrayFromVolume(volume)
    bones = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mustermann bones")
    bones.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = bones.GetSegmentation().AddEmptySegment("", f"left hip Mustermann {NUMBER}")
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        (voxels > 200).astype(np.uint8), bones, segment_id, volume
    )
    return bones


def lead_through(host: Host, panel: Any, private: Path, files: Path) -> list[str]:
    """Segment by the real command line, correct, plan and export; returns what was said."""
    panel.parameterNode.inputVolume = load_series(write_series(private))
    panel.parameterNode.bonesSegmentation = add_bones(panel.volume())
    panel.ui.deviceComboBox.setCurrentIndex(panel.ui.deviceComboBox.findData("cpu"))
    host.process_events(0.1)
    click(host, panel.ui.segmentButton)
    run_to_end(host, panel, seconds=100.0)
    said = [panel.ui.runMessageLabel.text, panel.ui.logTextEdit.plainText]
    assert "Done" in said[0], said
    segmentation = panel.segmentation()
    (first, *_) = fragment_ids(panel)
    bounds = panel.logic.boundsOf(segmentation, first)
    middle = [(bounds[2 * n] + bounds[2 * n + 1]) / 2 for n in range(3)]
    panel.logic.splitByPlane(segmentation, first, middle, (0.0, 0.0, 1.0))
    host.dialogs.answer("ok")
    panel.inputs.openResult(private / "nothing there")
    said.append(panel.ui.inputsMessageLabel.text)
    panel.fragments.select(fragment_ids(panel))
    host.process_events(0.1)
    click(host, panel.ui.acceptButton)
    click(host, panel.ui.createPlanButton)
    panel.logic.savePlan(segmentation, files / "plan.json")
    for box in FORMAT_BOXES:
        getattr(panel.ui, f"{box}CheckBox").checked = True
    panel.ui.exportFolderPath.currentPath = str(files)
    click(host, panel.ui.exportButton)
    assert panel.ui.planMessageLabel.text.startswith("Exported")
    labels = ("inputs", "run", "fragments", "correct", "plan")
    return said + [getattr(panel.ui, f"{name}MessageLabel").text for name in labels]


def test_nothing_of_the_patient_leaves_through_the_panel(
    host: Host,
    tmp_path: Path,
    tiny_models: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import slicer

    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))
    files, temporary = tmp_path / "files", tmp_path / "temporary"
    files.mkdir()
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    private = tmp_path / f"Mustermann_{NUMBER}" / DATES[0]
    panel = open_panel(host)

    said = lead_through(host, panel, private, files)
    assert slicer.util.saveScene(str(tmp_path / "case.mrb"))

    printed = capfd.readouterr()
    said += [caplog.text, *host.dialogs.texts, printed.out, printed.err]
    assert not [text for text in said if _sentinels_in(text.encode())]
    assert not list(temporary.rglob("*")), "temporary files were left"
    written = [path for path in files.rglob("*") if path.is_file()]
    assert len(written) > len(FORMAT_BOXES) * 2
    for path in written:
        assert not _sentinels_in(str(path.relative_to(files)).encode())
        assert not _sentinels_in(_content(path)), path.name
    _check_scene(tmp_path / "case.mrb", panel)


def test_an_unexpected_failure_is_logged_by_its_place_and_without_its_message(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With every trace that a log would write, and that of the cause."""
    from Testing.gui.panel_case import make_case, write_case_result
    from Testing.gui.panel_case_steps import panel_with_result

    case = make_case()
    panel = panel_with_result(host, case, write_case_result(case, tmp_path / "result"))

    def fail(*_: Any, **__: Any) -> None:
        try:
            Path(tmp_path / "Mustermann").read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"/data/Mustermann/{NUMBER}.nrrd") from error

    monkeypatch.setattr(panel.logic, "createPlan", fail)
    click(host, panel.ui.createPlanButton)

    assert panel.ui.planMessageLabel.text
    assert "ValueError in" in caplog.text
    assert "sections/plan_export.py" in caplog.text
    assert not _sentinels_in(caplog.text.encode())
    assert str(tmp_path) not in caplog.text


def test_no_other_place_of_the_panel_logs_a_trace_or_prints(repository: Path) -> None:
    for path in (repository / "FractureSegmentation").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            called = ast.unparse(call.func)
            assert called != "print", path.name
            assert not re.match(r"(logging|logger)\.exception|traceback\.(print|format_e)", called)
            if called.startswith("logging."):
                assert "exc_info" not in {keyword.arg for keyword in call.keywords}, path.name
                # An error is named by its class.
                values = {ast.unparse(value) for value in call.args[1:]}
                assert values <= {"type(error).__name__", "name", "text", "what"}, path.name


def _check_scene(bundle: Path, panel: Any) -> None:
    """What the saved scene holds besides the CT and the bones, which are the user's own."""
    own = [panel.volume(), panel.parameterNode.bonesSegmentation]
    own_ids = {node.GetID() for node in own} | {node.GetStorageNodeID() for node in own}
    with zipfile.ZipFile(bundle) as archive:
        (scene_file,) = [name for name in archive.namelist() if name.endswith(".mrml")]
        elements = list(ElementTree.fromstring(archive.read(scene_file)))  # noqa: S314  made here
        ours = [element for element in elements if element.get("id") not in own_ids]
        own_files = {
            unquote(element.get("fileName", "")) for element in elements if element not in ours
        }
        names = [unquote(name).partition("/")[2] for name in archive.namelist()]
        assert own_files <= {"", *names}
        assert len(elements) - len(ours) == len(own_ids) == 4
        for element in ours:
            assert not _sentinels_in(ElementTree.tostring(element)), element.tag
        for entry, name in zip(archive.namelist(), names, strict=True):
            if name not in own_files and entry != scene_file:
                assert not _sentinels_in(name.encode())
                assert not _sentinels_in(_unpacked(archive.read(entry))), name


def _sentinels_in(content: bytes) -> list[str]:
    return [one for one in SENTINELS if one.encode() in content]


def _content(path: Path) -> bytes:
    return _unpacked(path.read_bytes())


def _unpacked(content: bytes) -> bytes:
    return content + gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
