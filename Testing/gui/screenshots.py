"""Writes the pictures of the documentation: the panel's sections, and the result in the window.

    python -m Testing.gui.screenshots [FOLDER] [--case RESULT CT]

Without a case, a small simulated one is shown. RESULT is a result folder of `fracseg segment`.
FOLDER is Resources/Screenshots by default. Everything is shown in the tests' host, whose widgets
are near copies of Slicer's, see Testing/gui/host/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

# Before Qt starts: no screen is needed.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from Resources.small_png import shrink

if TYPE_CHECKING:
    from Testing.gui.host.host import Host

SECTIONS = ("inputs", "run", "fragments", "export")
"""Pictures of a part of the panel."""
WINDOWS = ("result", "correct", "split", "plan")
"""Pictures of the whole window."""
DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Screenshots"
PANEL_WIDTH = 480
WINDOW = (1320, 880)
SHIFT_MM = 10.0
_RUN = "started,stage=bones," + "".join(f"progress=0.{n},sleep=0.3," for n in range(1, 10))
_RUN += "stage=fragments," + "".join(f"progress=0.{n}5,sleep=0.4," for n in range(1, 5))
_PANEL_SECTIONS = ("inputs", "segment", "fragments", "correct", "plan")


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

    def section(self, name: str, widget: Any) -> None:
        """Take a picture of a part of the panel."""
        self._take(widget, name)

    def window(self, name: str) -> None:
        """Take a picture of the window."""
        self._take(self.host.window, name)

    def show_only(self, *names: str) -> None:
        """Open these sections and close the others."""
        for name in _PANEL_SECTIONS:
            button = getattr(self.panel.ui, f"{name}CollapsibleButton")
            button.collapsed = name not in names
        self.host.process_events(0.2)

    def _take(self, widget: Any, name: str) -> None:
        self.host.process_events(0.3)
        path = self.folder / f"{name}.png"
        self.host.screenshot(widget, path)
        shrink(path)
        self.taken.append(path)


def main(arguments: list[str] | None = None) -> int:
    """Take all pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT_FOLDER)
    parser.add_argument("--case", nargs=2, type=Path, metavar=("RESULT", "CT"))
    asked = parser.parse_args(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    from Testing.gui.host.boot import start

    host = start(views=True)
    try:
        photographer = Photographer(host, asked.folder)
        with tempfile.TemporaryDirectory() as scratch:
            ct, result = simulated(host, Path(scratch)) if asked.case is None else _read(asked.case)
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
    """The pictures in the order of a tutorial.

    Args:
        photographer: with the panel open.
        ct: loads the CT into the scene.
        result: a result folder on that CT.
    """
    import slicer

    host, panel = photographer.host, photographer.panel
    volume = ct()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    _show_bone_window(volume)
    host.process_events(0.3)
    photographer.show_only("inputs", "segment")
    photographer.section("inputs", panel.ui.inputsCollapsibleButton)
    _run(photographer)
    panel.inputs.openResult(result)
    host.process_events(0.5)
    largest = _largest_of_the_most_broken(panel)
    panel.fragments.select([largest])
    table = panel.ui.fragmentsTable
    table.scrollToItem(table.item(_fragment_ids(panel).index(largest), 2))
    photographer.show_only("fragments", "correct")
    _turn_views(host, panel, largest)
    photographer.section("fragments", panel.ui.fragmentsCollapsibleButton)
    photographer.window("result")
    _correct(photographer, largest)
    _plan(photographer, largest)


def _largest_of_the_most_broken(panel: Any) -> str:
    rows = panel.logic.fragmentRows(panel.segmentation())
    bones = [_bone(row.segment_id) for row in rows]
    best = max(rows, key=lambda row: (bones.count(_bone(row.segment_id)), row.volume_mm3))
    return str(best.segment_id)


def _fragment_ids(panel: Any) -> list[str]:
    return [row.segment_id for row in panel.logic.fragmentRows(panel.segmentation())]


def _bone(segment_id: str) -> str:
    return segment_id.rsplit("_", 1)[0]


def _show_bone_window(volume: Any) -> None:
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(2000.0, 500.0)


def _turn_views(host: Host, panel: Any, segment_id: str) -> None:
    from FractureSegmentationPanel.logic.fragments import middle_of
    from Testing.gui.picture_views import fill_slices, look_from_the_front

    segmentation = panel.segmentation()
    box = [0.0] * 6
    segmentation.GetRASBounds(box)
    host.process_events(0.3)
    fill_slices(host, box, middle_of(segmentation, segment_id))
    look_from_the_front(host)


def _run(photographer: Photographer) -> None:
    """Section Segment in the middle of a run."""
    host, panel = photographer.host, photographer.panel
    with _child_that_takes_its_time():
        panel.ui.segmentButton.click()
        host.wait_until(lambda: bool(panel.ui.timeLeftLabel.text), seconds=20.0)
        photographer.section("run", panel.ui.segmentCollapsibleButton)
        panel.ui.cancelButton.click()
        host.wait_until(lambda: not panel.logic.isRunning, seconds=10.0)
    host.process_events(0.3)


@contextlib.contextmanager
def _child_that_takes_its_time() -> Iterator[None]:
    from FractureSegmentationPanel.run import command as job_command
    from Testing.gui.fake_child import fake_command

    command = fake_command(f"{_RUN}hang")
    with mock.patch.object(job_command, "segment_command", return_value=command):
        yield


def _correct(photographer: Photographer, largest: str) -> None:
    """A fragment before and after it is split by two clicks."""
    from Testing.gui.picture_places import a_point_above_and_below

    host, panel = photographer.host, photographer.panel
    upper, lower = a_point_above_and_below(panel.segmentation(), largest)
    panel.ui.splitPointsButton.click()
    host.process_events(0.1)
    host.place_points(panel.correct.drawing.node, [upper, lower])
    photographer.window("correct")
    panel.ui.applyCutButton.click()
    host.process_events(1.0)
    photographer.window("split")
    panel.ui.undoButton.click()
    host.process_events(0.6)


def _plan(photographer: Photographer, largest: str) -> None:
    """Section Plan and export, with a fragment that was moved."""
    from FractureSegmentationLib.planning.pose import shift_by
    from Testing.gui.picture_places import away_from

    host, panel = photographer.host, photographer.panel
    photographer.show_only("plan")
    panel.ui.createPlanButton.click()
    host.process_events(0.5)
    ids = _fragment_ids(panel)
    moved = next(one for one in [*ids, largest] if one != largest and _bone(one) == _bone(largest))
    shift = SHIFT_MM * away_from(panel.segmentation(), moved, largest)
    panel.logic.planOf(panel.segmentation()).move(moved, shift_by(shift))
    panel.ui.planTable.selectRow(ids.index(moved))
    panel.ui.exportFolderPath.currentPath = "exports"
    host.process_events(1.0)
    photographer.window("plan")
    photographer.section("export", panel.ui.exportGroupBox)


def simulated(host: Host, scratch: Path) -> tuple[Callable[[], Any], Path]:
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
