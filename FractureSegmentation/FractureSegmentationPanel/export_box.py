"""The box Export: which formats, into which folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from FractureSegmentationLib.errors import OutputExistsError
from FractureSegmentationPanel.messages import busy_cursor, confirm, show_message, telling
from FractureSegmentationPanel.parameters import remember, user_setting

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
        with telling(label):
            try:
                told = self._write(may_replace=False)
            except OutputExistsError:
                if not confirm(_("The folder holds an earlier export. Replace it?")):
                    return
                told = self._write(may_replace=True)
            show_message(label, "\n".join(told), is_problem=len(told) > 1)

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
