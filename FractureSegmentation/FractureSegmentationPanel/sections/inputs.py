"""Section Inputs: which CT, which bones, where the fragments go, or a result made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from FractureSegmentationPanel.logic.parameters import remember, user_setting
from FractureSegmentationPanel.sections.messages import (
    busy_cursor,
    confirm,
    failures_shown_in,
    show_message,
)


class InputsSection:
    """The nodes are bound to the parameter node by the .ui file; this adds what is no node.

    Args:
        panel: the widget that this is a section of.
    """

    def __init__(self, panel: Any) -> None:
        self._panel, self._ui, self._logic = panel, panel.ui, panel.logic
        self._ui.openResultButton.connect("clicked()", self.onOpenResult)

    def refresh(self) -> None:
        """Say at once what would stop a run, or make its result less sure."""
        volume, lines = self._panel.volume(), []
        if volume is not None:
            problem = self._logic.problemOfVolume(volume)
            lines = [problem] if problem else [*self._logic.cautionsOfVolume(volume)]
        show_message(self._ui.inputsMessageLabel, "\n".join(lines), is_problem=True)

    def onOpenResult(self) -> None:
        """Ask for a folder and show what it holds."""
        folder = qt.QFileDialog.getExistingDirectory(
            None, _("Open a result folder"), user_setting("resultFolder")
        )
        if folder:
            remember("resultFolder", folder)
            self.openResult(Path(folder))

    def openResult(self, folder: Path) -> None:
        """Show a result of the command line, on the chosen CT if there is one."""
        target = self._panel.segmentation()
        if target is not None and self._logic.isEdited(target):
            question = _(
                "The fragments were edited or reviewed. Replace them? Undo brings them back."
            )
            if not confirm(question):
                return
        with failures_shown_in(self._ui.inputsMessageLabel), busy_cursor():
            segmentation = self._logic.loadResult(folder, self._panel.volume(), target)
            self._panel.resultLoaded(segmentation)
            self._panel.run.showWarnings()
