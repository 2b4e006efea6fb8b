"""Writes pictures of every section of the panel, and of the result, in the tests' host.

    python -m Testing.gui.screenshots FOLDER [--case RESULT CT]

Without a case, a small simulated one is shown. RESULT is a result folder of `fracseg segment`.
The widgets are near copies of Slicer's, see Testing/gui/host/README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before Qt starts: no screen is needed.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

if TYPE_CHECKING:
    from Testing.gui.host.host import Host

PANEL_WIDTH = 480
WINDOW = (1500, 950)
SECTIONS = {
    "inputs": "inputsCollapsibleButton",
    "segment": "segmentCollapsibleButton",
    "fragments": "fragmentsCollapsibleButton",
    "correct": "correctCollapsibleButton",
    "plan": "planCollapsibleButton",
}


class Photographer:
    """Leads the panel through a case and takes pictures on the way.

    Args:
        host: with views.
        folder: for the pictures.
    """

    def __init__(self, host: Host, folder: Path) -> None:
        from Testing.gui.panel_case_steps import open_panel

        self.host, self.folder = host, folder
        self.panel = open_panel(host)
        self.taken: list[Path] = []
        # What has a scroll bar in Slicer is shown whole here.
        self.panel.parent.setMinimumWidth(PANEL_WIDTH - 30)
        host.window.resize(*WINDOW)
        host.window.show()

    def section(self, name: str, button: str) -> None:
        """Take a picture of one section."""
        self._take(getattr(self.panel.ui, button), name)

    def window(self, name: str) -> None:
        """Take a picture of the window, with the section of the name in sight."""
        self._take(self.host.window, name)

    def show_only(self, *names: str) -> None:
        """Open these sections and close the others."""
        for name, button in SECTIONS.items():
            getattr(self.panel.ui, button).collapsed = name not in names
        self.host.process_events(0.2)

    def _take(self, widget: Any, name: str) -> None:
        self.host.process_events(0.3)
        path = self.folder / f"{name}.png"
        self.host.screenshot(widget, path)
        self.taken.append(path)


def main(arguments: list[str] | None = None) -> int:
    """Take all pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--case", nargs=2, type=Path, metavar=("RESULT", "CT"))
    asked = parser.parse_args(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    from Testing.gui.host.boot import start

    host = start(views=True)
    try:
        photographer = Photographer(host, asked.folder)
        with tempfile.TemporaryDirectory() as scratch:
            ct, result = (
                _simulated(host, Path(scratch)) if asked.case is None else _read(asked.case)
            )
            take_all(photographer, ct, result)
        problems = host.slot_errors.report()
    finally:
        host.leave()
    for path in photographer.taken:
        print(path)  # noqa: T201  the command tells what it has written
    if problems:
        print(problems, file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


def take_all(photographer: Photographer, ct: Callable[[], Any], result: Path) -> None:
    """The pictures in the order of a tutorial."""
    import slicer

    host, panel = photographer.host, photographer.panel
    volume = ct()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    host.process_events(0.3)
    photographer.show_only("inputs", "segment")
    photographer.section("1-inputs", SECTIONS["inputs"])
    _pretend_to_run(photographer)
    panel.inputs.openResult(result)
    host.process_events(0.5)
    rows = panel.logic.fragmentRows(panel.segmentation())
    largest = _largest_of_the_most_broken(rows)
    panel.fragments.select([largest])
    panel.logic.goToFragment(panel.segmentation(), largest)
    _fit_views(host)
    photographer.show_only("fragments", "correct")
    photographer.section("3-fragments", SECTIONS["fragments"])
    photographer.window("4-result")
    _draw(photographer, rows, largest)
    _plan(photographer, rows, largest)


def _largest_of_the_most_broken(rows: Any) -> str:
    bones = [_bone(row) for row in rows]
    best = max(rows, key=lambda row: (bones.count(_bone(row)), row.volume_mm3))
    return str(best.segment_id)


def _bone(row: Any) -> str:
    return str(row.segment_id.rsplit("_", 1)[0])


def _pretend_to_run(photographer: Photographer) -> None:
    """Section Segment as it looks in the middle of a run."""
    ui = photographer.panel.ui
    ui.progressFrame.visible = True
    ui.cancelButton.enabled = True
    photographer.panel.run.onProgress("fragments", 0.62, 95.0)
    photographer.panel.run.onLog("Left hip bone: 3 fragments.")
    ui.logCollapsibleButton.collapsed = False
    photographer.section("2-segment", SECTIONS["segment"])
    ui.logCollapsibleButton.collapsed = True
    ui.logTextEdit.clear()
    photographer.panel.run.refresh()


def _draw(photographer: Photographer, rows: Any, largest: str) -> None:
    """Section Correct with two clicks in the largest fragment."""
    host, panel = photographer.host, photographer.panel
    upper, lower = _a_point_above_and_below(panel.segmentation(), largest)
    panel.ui.splitPointsButton.click()
    host.process_events(0.1)
    host.place_points(panel.correct.drawing.node, [upper, lower])
    panel.logic.goToPoint(lower)
    photographer.section("5-correct", SECTIONS["correct"])
    photographer.window("6-split-by-clicks")
    panel.ui.applyCutButton.click()
    host.process_events(0.6)
    photographer.window("7-after-the-split")
    panel.ui.undoButton.click()
    host.process_events(0.6)


def _a_point_above_and_below(segmentation: Any, segment_id: str) -> list[Any]:
    """Points of a fragment (RAS, mm), each in the middle of its bone, a fifth from an end."""
    import numpy as np

    from FractureSegmentationLib.mrml.frame import world_ras_of
    from FractureSegmentationLib.mrml.segmentation import fragments_of, label_of

    labels = fragments_of(segmentation).labels
    voxels = np.argwhere(labels.voxels == label_of(segmentation, segment_id))
    points = world_ras_of(segmentation, labels.geometry.to_lps(voxels))
    heights = np.array(points)[:, 2]
    found = []
    for height in np.quantile(heights, (0.8, 0.2)):
        layer = np.array(points)[np.abs(heights - height) < 2.0]
        found.append(tuple(layer[((layer - layer.mean(axis=0)) ** 2).sum(axis=1).argmin()]))
    return found


def _plan(photographer: Photographer, rows: Any, largest: str) -> None:
    """Section Plan and export with a fragment that was moved."""
    from FractureSegmentationLib.planning.pose import shift_by

    host, panel = photographer.host, photographer.panel
    photographer.show_only("plan")
    panel.ui.createPlanButton.click()
    host.process_events(0.5)
    bone = largest.rsplit("_", 1)[0]
    others = [row.segment_id for row in rows if row.segment_id.startswith(bone)]
    moved = next(segment_id for segment_id in [*others, largest] if segment_id != largest)
    panel.logic.planOf(panel.segmentation()).move(moved, shift_by((0.0, 0.0, 12.0)))
    panel.ui.planTable.selectRow([row.segment_id for row in rows].index(moved))
    panel.ui.exportFolderPath.currentPath = "exports"
    host.process_events(1.0)
    photographer.section("8-plan", SECTIONS["plan"])
    photographer.window("9-planned")


def _fit_views(host: Host) -> None:
    layout = host.app.layoutManager()
    view = layout.threeDWidget(0).threeDView()
    view.resetFocalPoint()
    view.resetCamera()
    host.process_events(0.2)


def _simulated(host: Host, scratch: Path) -> tuple[Callable[[], Any], Path]:
    from Testing.gui.panel_case import make_case, write_case_result
    from Testing.gui.panel_case_steps import add_ct

    case = make_case()
    return lambda: add_ct(host, case), write_case_result(case, scratch / "result")


def _read(case: list[Path]) -> tuple[Callable[[], Any], Path]:
    import slicer

    result, ct = case
    return lambda: slicer.util.loadVolume(str(ct), properties={"name": "CT"}), result


if __name__ == "__main__":
    sys.exit(main())
