"""Steps that the tests of the panel have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from Testing.gui.fake_child import fake_command
from Testing.gui.host.host import Host
from Testing.gui.panel_case import PanelCase

MODULE_FILE = Path(__file__).resolve().parents[2] / "FractureSegmentation/FractureSegmentation.py"
SETTLED_S = 0.4


def open_panel(host: Host) -> Any:
    """The module's widget, loaded and entered."""
    host.load_module(MODULE_FILE)
    return host.open_module("FractureSegmentation")


def add_ct(host: Host, case: PanelCase, name: str = "CT") -> Any:
    """The case's CT as a volume of the scene."""
    from FractureSegmentationLib.mrml.volume import fill_volume

    node = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    fill_volume(node, case.ct)
    return node


def panel_with_result(host: Host, case: PanelCase, result: Path) -> Any:
    """The panel with a CT and the fragments of a result folder."""
    panel = open_panel(host)
    add_ct(host, case)
    panel.inputs.openResult(result)
    host.process_events(SETTLED_S)
    return panel


def click(host: Host, button: Any, settled_s: float = SETTLED_S) -> None:
    """Click, and let the table and the surfaces follow."""
    assert button.enabled, f"{button.objectName} is disabled: {button.toolTip}"
    button.click()
    host.process_events(settled_s)


def fragment_ids(panel: Any) -> list[str]:
    """Segment ids in the order of the table."""
    return [row.segment_id for row in panel.logic.fragmentRows(panel.segmentation())]


def volumes_cm3(panel: Any) -> dict[str, float]:
    """Volume by segment id, rounded to 0.1 cm³."""
    rows = panel.logic.fragmentRows(panel.segmentation())
    return {row.segment_id: round(row.volume_mm3 / 1000.0, 1) for row in rows}


def let_child_do(monkeypatch: pytest.MonkeyPatch, steps: str) -> list[list[str]]:
    """Let every run start the fake child; returns the commands that would have been run."""
    from FractureSegmentationPanel.run import command as job_command

    asked: list[list[str]] = []
    real = job_command.segment_command

    def command(*args: Any) -> list[str]:
        asked.append(real(*args))
        return fake_command(steps, *asked[-1][asked[-1].index("segment") :])

    monkeypatch.setattr(job_command, "segment_command", command)
    return asked


def run_to_end(host: Host, panel: Any, seconds: float = 20.0) -> None:
    """Wait until the run is over and shown."""
    host.wait_until(lambda: not panel.logic.isRunning, seconds=seconds)
    host.process_events(SETTLED_S)
