"""What the panel warns of: growing patients, unknown orientation, and what the run has told."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from Testing.gui.host.host import Host
from Testing.gui.panel_case import PanelCase, make_case, write_case_result
from Testing.gui.panel_case_steps import (
    SETTLED_S,
    add_ct,
    click,
    let_child_do,
    open_panel,
    run_to_end,
)

METAL = "There is metal in or at the left hip bone; check its fragments with care."
AGE, BORN, STUDIED = "0010,1010", "0010,0030", "0008,0020"


class DicomDatabase:
    """Slicer's DICOM database, as far as it is asked: one patient's values by tag."""

    def __init__(self, values: dict[str, str], *, is_open: bool = True) -> None:
        self.values = values
        self.isOpen = is_open

    def instanceValue(self, uid: str, tag: str) -> str:  # noqa: N802  Slicer's name
        return self.values.get(tag, "") if uid == "1.2.3" else ""


@pytest.fixture(scope="module")
def case() -> PanelCase:
    return make_case()


def told_of(host: Host, monkeypatch: pytest.MonkeyPatch, case: PanelCase, database: Any) -> str:
    """What the section Inputs says of a CT whose patient the database knows."""
    import slicer

    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    panel = open_panel(host)
    # As Slicer's reader does: the volume first, then where it comes from.
    add_ct(host, case).SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    host.process_events(SETTLED_S)
    return str(panel.ui.inputsMessageLabel.text)


@pytest.mark.parametrize(
    "values",
    [
        {AGE: "017Y"},
        {AGE: "011M", BORN: "19500101", STUDIED: "20200101"},
        {AGE: "930W"},
        {BORN: "20020301", STUDIED: "20200201"},
        {BORN: "2002.03.01", "0008,0022": "20200201"},
    ],
)
def test_a_growing_patient_is_warned_of(
    host: Host, case: PanelCase, monkeypatch: pytest.MonkeyPatch, values: dict[str, str]
) -> None:
    assert "under 18" in told_of(host, monkeypatch, case, DicomDatabase(values))


@pytest.mark.parametrize(
    "database",
    [
        DicomDatabase({AGE: "018Y"}),
        DicomDatabase({AGE: "240M"}),
        DicomDatabase({AGE: "child", BORN: "unknown", STUDIED: "20200101"}),
        DicomDatabase({BORN: "20020131", STUDIED: "20200201"}),
        DicomDatabase({BORN: "20250101", STUDIED: "20200101"}),
        DicomDatabase({BORN: "20021399", STUDIED: "20200101"}),
        DicomDatabase({BORN: "20150101"}),
        DicomDatabase({}),
        DicomDatabase({AGE: "012Y"}, is_open=False),
        None,
    ],
)
def test_no_warning_where_the_age_is_18_or_not_known(
    host: Host, case: PanelCase, monkeypatch: pytest.MonkeyPatch, database: Any
) -> None:
    assert told_of(host, monkeypatch, case, database) == ""


def test_the_age_is_written_nowhere(
    host: Host,
    case: PanelCase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    text = told_of(host, monkeypatch, case, DicomDatabase({AGE: "007Y", BORN: "20130507"}))

    assert host.scene.Commit(str(tmp_path / "scene.mrml"))
    saved = (tmp_path / "scene.mrml").read_text(encoding="utf-8")
    said = "\n".join([text, saved, *caplog.messages])
    for sentinel in ("007Y", "20130507", "2013-05-07", "7 years"):
        assert sentinel not in said


def test_a_file_that_does_not_say_how_the_patient_lies_is_warned_of(
    host: Host, case: PanelCase, tmp_path: Path
) -> None:
    import slicer

    image = sitk.GetImageFromArray(np.asarray(case.ct.voxels))
    sitk.WriteImage(image, str(tmp_path / "placed.nrrd"))
    header, _, voxels = (tmp_path / "placed.nrrd").read_bytes().partition(b"\n\n")
    kept = [line for line in header.split(b"\n") if not line.startswith(b"space")]
    (tmp_path / "bare.nrrd").write_bytes(b"\n".join([*kept, b"spacings: 1 1 1"]) + b"\n\n" + voxels)
    panel = open_panel(host)

    panel.parameterNode.inputVolume = slicer.util.loadVolume(str(tmp_path / "bare.nrrd"))
    host.process_events(SETTLED_S)
    assert "left and right" in panel.ui.inputsMessageLabel.text
    assert panel.ui.segmentButton.enabled

    panel.parameterNode.inputVolume = slicer.util.loadVolume(str(tmp_path / "placed.nrrd"))
    host.process_events(SETTLED_S)
    assert panel.ui.inputsMessageLabel.isHidden()


def test_metal_that_the_run_finds_is_told_and_stays_beside_the_fragments(
    host: Host, case: PanelCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    result = write_case_result(case, tmp_path / "result", warnings=(METAL,))
    let_child_do(monkeypatch, f"started,warning={METAL.replace(',', ' ')},copy={result},result")
    panel = open_panel(host)
    add_ct(host, case)
    host.process_events(0.1)
    click(host, panel.ui.segmentButton)
    run_to_end(host, panel)
    assert "There is metal" in panel.ui.runMessageLabel.text

    assert slicer.util.saveScene(str(tmp_path / "case.mrb"))
    host.close_scene()
    host.process_events(0.2)
    slicer.util.loadScene(str(tmp_path / "case.mrb"))
    host.process_events(0.3)
    assert panel.ui.runMessageLabel.text == METAL


def test_a_result_folder_tells_what_its_run_has_warned_of(
    host: Host, case: PanelCase, tmp_path: Path
) -> None:
    panel = open_panel(host)
    add_ct(host, case)
    panel.inputs.openResult(write_case_result(case, tmp_path / "result", warnings=(METAL,)))

    assert panel.ui.runMessageLabel.text == METAL
    assert panel.logic.warningsOf(panel.segmentation()) == (METAL,)
