"""Section Segment: start, progress, time left, Cancel, warnings and the log."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FractureSegmentationLib.anatomy.catalogue import BONES
from FractureSegmentationPanel.logic.parameters import METHODS, remember, user_setting
from FractureSegmentationPanel.sections.messages import (
    busy_cursor,
    confirm,
    failures_shown_in,
    show_message,
)

if TYPE_CHECKING:
    from FractureSegmentationPanel.run.outcome import Outcome

_STEPS = 1000
_DEVICES = ("auto", "cpu", "cuda", "mps")
_MODEL_PATHS = {"model": "modelPath", "bones_model": "bonesModelPath"}
"""Setting of a run and the widget that names its folder."""


class RunSection:
    """What is looked for and how, and the run itself.

    Args:
        panel: the widget that this is a section of.
    """

    def __init__(self, panel: Any) -> None:
        self._panel, self._ui, self._logic = panel, panel.ui, panel.logic
        self._warnings: list[str] = []
        self._bone_actions: dict[str, Any] = {}
        self._set_up_choices()
        self._ui.segmentButton.connect("clicked()", self.onSegment)
        self._ui.cancelButton.connect("clicked()", self.onCancel)
        self._ui.pytorchButton.connect("clicked()", self.onInstallPyTorch)
        self._offer_pytorch()

    def refresh(self) -> None:
        """Show the settings; the button says why it cannot be used."""
        ui, parameters = self._ui, self._panel.parameterNode
        is_running = self._logic.isRunning
        reason = self._reason_against()
        ui.segmentButton.enabled = not reason
        ui.segmentButton.toolTip = reason or _("Find the fragments. This takes a few minutes.")
        ui.cancelButton.enabled = is_running
        ui.progressFrame.visible = is_running
        choices = (ui.methodComboBox, ui.deviceComboBox, ui.onlyButton, ui.openResultButton)
        for widget in (*choices, ui.modelPath, ui.bonesModelPath, ui.pytorchButton):
            widget.enabled = not is_running
        if parameters is not None:
            ui.methodComboBox.setCurrentIndex(max(0, ui.methodComboBox.findData(parameters.method)))
            wanted = parameters.only.split(",") if parameters.only else []
            for slug, action in self._bone_actions.items():
                action.checked = slug in wanted
            ui.onlyButton.text = self._bones_text(wanted)

    def settings(self) -> Any:
        """What the user chose, as `RunSettings`."""
        from FractureSegmentationPanel.run.command import RunSettings

        parameters = self._panel.parameterNode
        return RunSettings(
            method=parameters.method,
            device=str(self._ui.deviceComboBox.currentData),
            only=tuple(slug for slug in parameters.only.split(",") if slug),
            model=_folder_in(self._ui.modelPath),
            bones_model=_folder_in(self._ui.bonesModelPath),
        )

    def onSegment(self) -> None:
        """Ask what has to be asked, then start."""
        if self._reason_against() or not self._may_replace():
            return
        from FractureSegmentationPanel.logic.segment_run import RunCallbacks

        ui, parameters = self._ui, self._panel.parameterNode
        self._warnings.clear()
        ui.logTextEdit.clear()
        ui.progressBar.value = 0
        ui.stageLabel.text, ui.timeLeftLabel.text = _("Starting…"), ""
        callbacks = RunCallbacks(
            progress=self.onProgress,
            log=self.onLog,
            warning=self.onWarning,
            finished=self.onFinished,
        )
        # A dialog of the installation lets further clicks in.
        ui.segmentButton.enabled = False
        with failures_shown_in(ui.runMessageLabel):
            settings = self.settings()
            for widget in (ui.modelPath, ui.bonesModelPath):
                widget.addCurrentPathToHistory()
            self._logic.ensureReady(settings)
            with busy_cursor():
                self._logic.startSegment(
                    parameters.inputVolume,
                    parameters.outputSegmentation,
                    settings=settings,
                    bones=parameters.bonesSegmentation,
                    callbacks=callbacks,
                )
        self.refresh()

    def onInstallPyTorch(self) -> None:
        """Install PyTorch, which the next run then uses."""
        label = self._ui.runMessageLabel
        with failures_shown_in(label):
            self._logic.installPyTorch()
            show_message(label, _("PyTorch is installed. The next segmentation uses it."))
        self._offer_pytorch()

    def onCancel(self) -> None:
        """Stop the run; what the scene holds stays."""
        self._ui.cancelButton.enabled = False
        self._ui.stageLabel.text, self._ui.timeLeftLabel.text = _("Cancelling…"), ""
        self._logic.cancelSegment()

    def onProgress(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        """Show how far the run is."""
        self._ui.progressBar.value = round(fraction * _STEPS)
        self._ui.stageLabel.text = _stage_text(stage)
        self._ui.timeLeftLabel.text = _time_text(seconds_left)

    def onLog(self, text: str) -> None:
        """Add lines to the log."""
        self._ui.logTextEdit.appendPlainText(text)

    def onWarning(self, text: str) -> None:
        """Show a warning; it stays until the next run."""
        self._warnings.append(text)
        show_message(self._ui.runMessageLabel, "\n".join(self._warnings), is_problem=True)

    def showWarnings(self) -> None:
        """Show what the run has warned of that made the fragments of a folder or of a scene."""
        segmentation = self._panel.segmentation()
        warnings = self._logic.warningsOf(segmentation) if segmentation is not None else ()
        show_message(self._ui.runMessageLabel, "\n".join(warnings), is_problem=True)

    def onFinished(self, outcome: Outcome, segmentation: Any) -> None:
        """Show what came of it."""
        if outcome.kind == "done":
            self._panel.resultLoaded(segmentation)
            count = segmentation.GetSegmentation().GetNumberOfSegments()
            done = _("Done: {count} fragments.").format(count=count)
            lines, is_problem = [done, *self._warnings], bool(self._warnings)
        else:
            lines, is_problem = [outcome.text], outcome.kind == "failed"
        show_message(self._ui.runMessageLabel, "\n".join(lines), is_problem=is_problem)
        # The job is still notifying; a moment later it no longer runs.
        qt.QTimer.singleShot(0, self._panel.refresh)

    def _reason_against(self) -> str:
        volume = self._panel.volume()
        if self._logic.isRunning:
            return _("A segmentation is running.")
        if volume is None:
            return _("Select a CT.")
        problem: str = self._logic.problemOfVolume(volume)
        return problem

    def _may_replace(self) -> bool:
        target = self._panel.segmentation()
        if target is None or not self._logic.isEdited(target):
            return True
        return confirm(
            _("The fragments were edited or reviewed. Replace them? Undo brings them back.")
        )

    def _offer_pytorch(self) -> None:
        self._ui.pytorchButton.visible = not self._logic.hasPyTorch

    def _set_up_choices(self) -> None:
        ui = self._ui
        for name, title in METHODS:
            ui.methodComboBox.addItem(title, name)
        titles = {
            "auto": _("Automatic"),
            "cpu": _("Processor (CPU)"),
            "cuda": _("NVIDIA graphics card"),
            "mps": _("Apple graphics"),
        }
        for device in _DEVICES:
            ui.deviceComboBox.addItem(titles[device], device)
        chosen = ui.deviceComboBox.findData(user_setting("device", "auto"))
        ui.deviceComboBox.setCurrentIndex(max(0, chosen))
        ui.deviceComboBox.connect("currentIndexChanged(int)", self._on_device)
        ui.methodComboBox.connect("currentIndexChanged(int)", self._on_method)
        menu = qt.QMenu(ui.onlyButton)
        for bone in BONES:
            action = menu.addAction(bone.name)
            action.checkable = True
            action.connect("triggered()", self._on_bones)
            self._bone_actions[bone.slug] = action
        ui.onlyButton.setMenu(menu)
        for setting, name in _MODEL_PATHS.items():
            widget = getattr(ui, name)
            widget.currentPath = user_setting(setting)
            widget.connect("currentPathChanged(QString)", partial(remember, setting))

    def _on_device(self, _index: int = 0) -> None:
        remember("device", str(self._ui.deviceComboBox.currentData))

    def _on_method(self, _index: int = 0) -> None:
        if self._panel.parameterNode is not None:
            self._panel.parameterNode.method = str(self._ui.methodComboBox.currentData)

    def _on_bones(self) -> None:
        wanted = [slug for slug, action in self._bone_actions.items() if action.checked]
        if self._panel.parameterNode is not None:
            self._panel.parameterNode.only = ",".join(wanted)

    def _bones_text(self, wanted: list[str]) -> str:
        names = [bone.name for bone in BONES if bone.slug in wanted]
        if not names:
            return _("All that are found")
        return ", ".join(names) if len(names) < 3 else _("{count} bones").format(count=len(names))


def _folder_in(widget: Any) -> Path | None:
    """The folder that a ctkPathLineEdit names; None if it is empty."""
    text = str(widget.currentPath).strip()
    return Path(text).expanduser() if text else None


def _stage_text(stage: str) -> str:
    texts = {
        "read": _("Reading the CT"),
        "bones": _("Finding the bones"),
        "fragments": _("Finding the fragments"),
        "write": _("Writing the result"),
    }
    return texts.get(stage, stage)


def _time_text(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return _("less than a minute left")
    return _("about {minutes} min left").format(minutes=round(seconds / 60.0))
