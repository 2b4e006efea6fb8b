"""Section Plan and export: move fragments by handles, compare with the other side, write files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import vtk
from slicer.i18n import tr as _

from FractureSegmentationLib.errors import OutputExistsError
from FractureSegmentationPanel.logic.parameters import remember, user_setting
from FractureSegmentationPanel.sections.messages import (
    busy_cursor,
    confirm,
    failures_shown_in,
    show_message,
)

NAME, SHIFT, TURN = range(3)
_PLAN_FILES = "plan (*.json)"
_DIGIT = qt.Qt.AlignRight | qt.Qt.AlignVCenter
_REFRESH_MS = 250
_REST_MS = 500
_MOST_WARNINGS = 3
FORMAT_BOXES = {
    "stl": "stlCheckBox",
    "obj": "objCheckBox",
    "ply": "plyCheckBox",
    "glb": "glbCheckBox",
    "nifti": "niftiCheckBox",
    "seg.nrrd": "segNrrdCheckBox",
    "dicom-seg": "dicomSegCheckBox",
}
"""The check box of each format."""


class PlanSection:
    """The reduction plan of the fragments, and the export.

    Args:
        panel: the widget that this is a section of.
    """

    def __init__(self, panel: Any) -> None:
        self._panel, self._ui, self._logic = panel, panel.ui, panel.logic
        self._rows: tuple[Any, ...] = ()
        self._observed: list[tuple[Any, int]] = []
        self.export = ExportBox(panel)
        ui = self._ui
        self._set_up_table(ui.planTable)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.connect("timeout()", self.refreshMoves)
        self._overlap_timer = qt.QTimer()
        self._overlap_timer.setSingleShot(True)
        self._overlap_timer.setInterval(_REST_MS)
        self._overlap_timer.connect("timeout()", self.refreshOverlaps)
        ui.createPlanButton.connect("clicked()", self.onCreate)
        ui.mirrorButton.connect("toggled(bool)", self.onMirror)
        ui.resetPoseButton.connect("clicked()", self.onReset)
        ui.resetAllPosesButton.connect("clicked()", self.onResetAll)
        ui.openPlanButton.connect("clicked()", self.onOpen)
        ui.savePlanButton.connect("clicked()", self.onSave)

    def leave(self) -> None:
        """The panel is hidden or the scene is closing: nothing is watched any more."""
        self._timer.stop()
        self._overlap_timer.stop()
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed.clear()

    def refresh(self) -> None:
        """Show the plan as it is now."""
        ui, segmentation = self._ui, self._panel.segmentation()
        has_fragments = bool(segmentation and segmentation.GetSegmentation().GetNumberOfSegments())
        has_plan = has_fragments and self._logic.hasPlan(segmentation)
        ui.createPlanButton.enabled = has_fragments
        ui.createPlanButton.text = _("Remove the plan") if has_plan else _("Plan the reduction")
        ui.mirrorButton.enabled = ui.openPlanButton.enabled = has_fragments
        ui.mirrorButton.blockSignals(True)
        ui.mirrorButton.checked = has_fragments and self._logic.hasMirror(segmentation)
        ui.mirrorButton.blockSignals(False)
        ui.planFrame.visible = has_plan
        ui.exportMovedCheckBox.enabled = has_plan
        self._watch(segmentation if has_plan else None)
        self.refreshMoves()
        self.export.refresh()

    def fragmentsEdited(self) -> None:
        """Let an existing plan follow fragments that were cut, merged or renamed."""
        segmentation = self._panel.segmentation()
        self._logic.forgetPlans()
        if segmentation is not None and self._logic.hasPlan(segmentation):
            with failures_shown_in(self._ui.planMessageLabel), busy_cursor():
                self._logic.createPlan(segmentation)

    def refreshMoves(self) -> None:
        """Show how far the fragments are moved."""
        segmentation = self._panel.segmentation()
        selected = self.selectedSegmentIds()
        self._rows = ()
        with failures_shown_in(self._ui.overlapLabel):
            if segmentation is not None and self._logic.hasPlan(segmentation):
                self._rows = self._logic.displacements(segmentation)
                self._overlap_timer.start()
        self._fill(self._ui.planTable, selected)
        self._ui.resetPoseButton.enabled = bool(self.selectedSegmentIds())

    def refreshOverlaps(self) -> None:
        """Warn of fragments that lie in each other; after the hand has come to rest."""
        self._settle()
        segmentation = self._panel.segmentation()
        if segmentation is None or not self._logic.hasPlan(segmentation):
            return
        with failures_shown_in(self._ui.overlapLabel):
            warnings = self._logic.overlapWarnings(segmentation)
            show_message(
                self._ui.overlapLabel, "\n".join(warnings[:_MOST_WARNINGS]), is_problem=True
            )

    def selectedSegmentIds(self) -> list[str]:
        """The fragments selected in the table of the plan."""
        rows = sorted(index.row() for index in self._ui.planTable.selectionModel().selectedRows())
        return [self._rows[row].segment_id for row in rows if row < len(self._rows)]

    def onCreate(self) -> None:
        """Begin a plan, or remove the one there is."""
        segmentation = self._panel.segmentation()
        if self._logic.hasPlan(segmentation):
            if not confirm(_("Remove the plan? All fragments go back to where the CT shows them.")):
                return
            self._do(lambda: self._logic.removePlan(segmentation))
        else:
            self._do(lambda: self._logic.createPlan(segmentation))
        self._planned()

    def onMirror(self, is_shown: bool) -> None:
        """Show or remove the mirrored other side."""
        warnings: list[str] = []
        segmentation = self._panel.segmentation()
        self._do(lambda: warnings.extend(self._logic.showMirror(segmentation, is_shown)))
        if warnings:
            show_message(self._ui.planMessageLabel, "\n".join(warnings), is_problem=True)
        self.refresh()

    def onSelectionChanged(self) -> None:
        """Show the handles of the selected fragments only, for they hide the view."""
        selected = self.selectedSegmentIds()
        self._ui.resetPoseButton.enabled = bool(selected)
        if self._rows:
            with failures_shown_in(self._ui.planMessageLabel):
                self._logic.showHandles(self._panel.segmentation(), selected)

    def onReset(self) -> None:
        """Put the selected fragments back."""
        ids = self.selectedSegmentIds()
        self._do(lambda: self._logic.resetPose(self._panel.segmentation(), ids))

    def onResetAll(self) -> None:
        """Put all fragments back."""
        self._do(lambda: self._logic.resetPose(self._panel.segmentation()))

    def onSave(self) -> None:
        """Ask for a file and write the poses."""
        name = qt.QFileDialog.getSaveFileName(
            None, _("Save plan"), user_setting("planFile", "plan.json"), _PLAN_FILES
        )
        if name:
            remember("planFile", name)
            # The dialog has asked whether an existing file may be replaced.
            self._do(lambda: self._logic.savePlan(self._panel.segmentation(), Path(name), True))

    def onOpen(self) -> None:
        """Ask for a file and take the poses from it."""
        name = qt.QFileDialog.getOpenFileName(
            None, _("Open plan"), user_setting("planFile"), _PLAN_FILES
        )
        if name:
            remember("planFile", name)
            segmentation = self._panel.segmentation()
            had_plan = self._logic.hasPlan(segmentation)
            self._do(lambda: self._logic.openPlan(segmentation, Path(name)))
            if self._logic.hasPlan(segmentation) != had_plan:
                self._planned()

    def _planned(self) -> None:
        """There may be a plan where there was none, or none where there was one."""
        # The models that move would lie inside the surfaces that do not.
        has_plan = self._logic.hasPlan(self._panel.segmentation())
        self._panel.parameterNode.showsSurfaces = not has_plan
        self.refresh()

    def _fill(self, table: Any, selected: list[str]) -> None:
        table.blockSignals(True)
        table.setRowCount(len(self._rows))
        for row, one in enumerate(self._rows):
            texts = (one.name, f"{one.shift_mm:.1f}", f"{one.turn_deg:.1f}")
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                if column != NAME:
                    item.setTextAlignment(_DIGIT)
                table.setItem(row, column, item)
                item.setSelected(one.segment_id in selected)
        table.blockSignals(False)

    def _do(self, action: Callable[[], Any]) -> None:
        self._settle()
        with failures_shown_in(self._ui.planMessageLabel), busy_cursor():
            action()
        self._settle()
        self.refreshMoves()

    def _settle(self) -> None:
        """What was moved until now is one step of the undo history."""
        self._panel.undo.settle_moves()
        self._panel.correct.refreshUndo()

    def _watch(self, segmentation: Any) -> None:
        """Follow the fragments while they are dragged."""
        self.leave()
        if segmentation is None:
            return
        for node in self._logic.poseNodes(segmentation):
            for event in (node.TransformModifiedEvent, vtk.vtkCommand.ModifiedEvent):
                self._observed.append((node, node.AddObserver(event, self._on_moved)))

    def _on_moved(self, *_values: Any) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _set_up_table(self, table: Any) -> None:
        table.setColumnCount(3)
        table.setHorizontalHeaderLabels([_("Fragment"), _("Moved (mm)"), _("Turned (°)")])
        header = table.horizontalHeader()
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        for column in (SHIFT, TURN):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        table.verticalHeader().hide()
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setSelectionMode(qt.QAbstractItemView.ExtendedSelection)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.connect("itemSelectionChanged()", self.onSelectionChanged)


class ExportBox:
    """Writes the fragments; every format gets a folder of its own in the one chosen.

    Args:
        panel: the widget that this is a part of.
    """

    def __init__(self, panel: Any) -> None:
        self._panel, self._ui, self._logic = panel, panel.ui, panel.logic
        chosen = user_setting("exportFormats", "stl").split(",")
        for name, box in FORMAT_BOXES.items():
            getattr(self._ui, box).checked = name in chosen
            getattr(self._ui, box).connect("toggled(bool)", self._on_choice)
        self._ui.exportFolderPath.currentPath = user_setting("exportFolder")
        self._ui.exportFolderPath.connect("currentPathChanged(QString)", self._on_choice)
        self._ui.exportButton.connect("clicked()", self.onExport)

    def formats(self) -> list[str]:
        """The formats that are ticked and can be written."""
        boxes = {name: getattr(self._ui, box) for name, box in FORMAT_BOXES.items()}
        return [name for name, box in boxes.items() if box.checked and box.enabled]

    def refresh(self) -> None:
        """Offer what can be written; the button says why it cannot be used."""
        ui, volume = self._ui, self._panel.volume()
        reason = self._logic.problemOfDicomSeg(volume)
        ui.dicomSegCheckBox.enabled = not reason
        self._dicom_tip = getattr(self, "_dicom_tip", ui.dicomSegCheckBox.toolTip)
        ui.dicomSegCheckBox.toolTip = reason or self._dicom_tip
        problem = self._reason_against()
        ui.exportButton.enabled = not problem
        ui.exportButton.toolTip = problem or _("Write the fragments into the folder.")

    def onExport(self) -> None:
        """Write; a folder that is there already is asked about."""
        if self._reason_against():
            return
        label = self._ui.planMessageLabel
        with failures_shown_in(label):
            try:
                report = self._write(may_replace=False)
            except OutputExistsError:
                if not confirm(_("The folder holds an earlier export. Replace it?")):
                    return
                report = self._write(may_replace=True)
            show_message(label, "\n".join(report), is_problem=len(report) > 1)

    def _write(self, *, may_replace: bool) -> list[str]:
        ui, segmentation = self._ui, self._panel.segmentation()
        is_moved = ui.exportMovedCheckBox.checked and self._logic.hasPlan(segmentation)
        formats = self.formats()
        with busy_cursor():
            warnings = self._logic.exportTo(
                segmentation,
                Path(ui.exportFolderPath.currentPath),
                formats,
                volume=self._panel.volume(),
                isMoved=is_moved,
                mayReplace=may_replace,
            )
        ui.exportFolderPath.addCurrentPathToHistory()
        return [_("Exported: {formats}.").format(formats=", ".join(formats)), *warnings]

    def _reason_against(self) -> str:
        segmentation = self._panel.segmentation()
        if segmentation is None or not segmentation.GetSegmentation().GetNumberOfSegments():
            return _("There are no fragments yet.")
        if not self.formats():
            return _("Tick a format.")
        if not self._ui.exportFolderPath.currentPath:
            return _("Choose a folder.")
        return ""

    def _on_choice(self, _value: Any = None) -> None:
        ticked = [name for name, box in FORMAT_BOXES.items() if getattr(self._ui, box).checked]
        remember("exportFormats", ",".join(ticked))
        remember("exportFolder", self._ui.exportFolderPath.currentPath)
        self.refresh()
