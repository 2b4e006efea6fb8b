"""What the sections Inputs and Segment do, for scripts as well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from FractureSegmentationLib.errors import FracSegError, InputError, as_problem
from FractureSegmentationPanel import job_outcome

if TYPE_CHECKING:
    from FractureSegmentationPanel.job import Job
    from FractureSegmentationPanel.job_command import RunSettings
    from FractureSegmentationPanel.segment_run import RunCallbacks, SegmentRun


class SegmentLogic:
    """Runs the segmentation and shows its result. Part of `FractureSegmentationLogic`."""

    def __init__(self) -> None:
        self._job: Job | None = None

    @property
    def job(self) -> Job:
        """The child process of this logic; one run at a time."""
        if self._job is None:
            from FractureSegmentationPanel.job import Job

            self._job = Job()
        return self._job

    @job.setter
    def job(self, job: Job) -> None:
        self._job = job

    @property
    def isRunning(self) -> bool:
        """Whether a segmentation is going on; also while it is being cancelled."""
        return self._job is not None and self._job.is_running

    def problemOfVolume(self, volume: Any) -> str:
        """Why a volume cannot be segmented, as far as a glance shows; "" if nothing speaks against.

        Args:
            volume: vtkMRMLScalarVolumeNode.
        """
        from FractureSegmentationPanel.cautions import problem_of

        return problem_of(volume)

    def cautionsOfVolume(self, volume: Any) -> tuple[str, ...]:
        """What makes the fragments of a CT less sure: a growing patient, unknown orientation."""
        from FractureSegmentationPanel.cautions import cautions_of

        return cautions_of(volume)

    def warningsOf(self, segmentation: Any) -> tuple[str, ...]:
        """What the run that made fragments has warned of, such as metal; kept with the scene."""
        from FractureSegmentationLib.mrml.nodes import REPORT, object_of

        return tuple(str(text) for text in object_of(segmentation, REPORT).get("warnings", ()))

    def process(
        self,
        volume: Any,
        segmentation: Any = None,
        *,
        settings: RunSettings | None = None,
        bones: Any = None,
    ) -> Any:
        """Segment a CT and wait until it is done; the window stays alive meanwhile.

        Args:
            volume: the CT, vtkMRMLScalarVolumeNode.
            segmentation: receives the fragments, also if it holds edited ones (that can be undone);
                None makes a new vtkMRMLSegmentationNode.
            settings: method, device, bones to look for; None takes the defaults.
            bones: segmentation of whole bones, named after them; None lets the method find them.

        Returns:
            The vtkMRMLSegmentationNode with one segment per fragment.

        Raises:
            FracSegError: it did not come to a result; the message says why.
        """
        self.ensureReady(settings)
        run = self.startSegment(volume, segmentation, settings=settings, bones=bones)
        if run.outcome is None:
            self.job.wait()
        outcome = run.outcome
        if outcome is None or outcome.kind != "done":
            outcome = outcome or job_outcome.no_result()
            error = FracSegError(outcome.message, outcome.remedy)
            error.code = outcome.code
            raise error
        result = slicer.mrmlScene.GetNodeByID(run.segmentation_id)
        self.showSurfaces(result)
        return result

    def startSegment(
        self,
        volume: Any,
        segmentation: Any = None,
        *,
        settings: RunSettings | None = None,
        bones: Any = None,
        callbacks: RunCallbacks | None = None,
    ) -> SegmentRun:
        """Start to segment a CT and return at once; `callbacks.finished` tells the end.

        Args:
            volume: as for `process`.
            segmentation: as for `process`.
            settings: as for `process`.
            bones: as for `process`.
            callbacks: whom to tell; called on the main thread.

        Returns:
            The run, which can be cancelled.

        Raises:
            FracSegError: a node cannot be used; what is not installed is told at the end.
        """
        from FractureSegmentationPanel.job_command import RunSettings
        from FractureSegmentationPanel.segment_run import RunCallbacks, SceneAccess, SegmentRun

        if self.isRunning:
            raise _refusal(job_outcome.already_running())
        if volume is None:
            raise InputError(_("No CT is selected."), _("Select one."))
        run = SegmentRun(
            self.job,
            volume,
            segmentation,
            callbacks or RunCallbacks(),
            SceneAccess(load=self.loadResult, is_edited=self.isEdited),
        )
        run.start(*self._prepared(volume, bones, settings or RunSettings()))
        return run

    def cancelSegment(self) -> None:
        """Stop the segmentation that is going on, within five seconds; the scene stays as it is."""
        if self._job is not None:
            self._job.cancel()

    def ensureReady(self, settings: RunSettings | None = None) -> None:
        """Install what is missing, after asking, and look at the models; before a segmentation.

        Args:
            settings: name the models; None takes the defaults.

        Raises:
            FracSegError: something is missing still, e.g. because the user declined.
        """
        from FractureSegmentationPanel import dependencies
        from FractureSegmentationPanel.job_command import RunSettings
        from FractureSegmentationPanel.weights import weights_problem

        outcome = dependencies.ensure() or weights_problem(settings or RunSettings())
        if outcome is not None:
            raise _refusal(outcome)

    def shutdown(self) -> None:
        """End a run now, because the module is unloaded or Slicer quits."""
        if self._job is not None:
            self._job.shutdown()

    def isEdited(self, segmentation: Any) -> bool:
        """Whether fragments were edited or reviewed since they were loaded."""
        if not segmentation.GetSegmentation().GetNumberOfSegments():
            return False
        from FractureSegmentationLib.mrml.result import is_edited

        return is_edited(segmentation)

    def loadResult(self, folder: Path | str, volume: Any = None, segmentation: Any = None) -> Any:
        """Show a result folder, also one made by `fracseg segment`; one step that can be undone.

        Surfaces are made by `showSurfaces`, for the slices need not wait for them.

        Args:
            folder: a result folder.
            volume: its CT; None if it is not loaded.
            segmentation: receives the fragments; None makes a new one.

        Returns:
            The vtkMRMLSegmentationNode.

        Raises:
            FracSegError: the folder is no result, or does not fit the CT.
        """
        from FractureSegmentationLib.mrml.result import load_result

        is_replaced = (
            segmentation is not None and segmentation.GetSegmentation().GetNumberOfSegments() > 0
        )
        history = self.historyOf(segmentation) if is_replaced else None
        loaded = load_result(slicer.mrmlScene, Path(folder), volume, segmentation, history)
        return loaded.segmentation

    def showSurfaces(self, segmentation: Any, isShown: bool = True) -> None:
        """Make the surfaces of the fragments; after an edit only those that changed. Or hide them.

        Args:
            segmentation: vtkMRMLSegmentationNode.
            isShown: whether the 3D views show the fragments.
        """
        display = segmentation.GetDisplayNode()
        if display is not None:
            display.SetVisibility3D(isShown)
        if isShown:
            from FractureSegmentationLib.mrml.segments import show_surfaces

            show_surfaces(segmentation)

    def _prepared(self, volume: Any, bones: Any, settings: RunSettings) -> Any:
        """The command, and the folder with the files that it reads."""
        from dataclasses import replace

        from FractureSegmentationLib.mrml.volume import write_ct
        from FractureSegmentationPanel.bones_file import write_bones
        from FractureSegmentationPanel.job_command import segment_command
        from FractureSegmentationPanel.job_folder import JobFolder

        try:
            folder = JobFolder()
        except OSError as error:
            raise _refusal(job_outcome.no_working_folder()) from error
        try:
            write_ct(volume, folder.ct)
            if bones is not None:
                write_bones(bones, volume, folder.bones)
                settings = replace(settings, bones=folder.bones)
            return segment_command(folder.ct, folder.result, settings), folder
        except FileNotFoundError as error:
            folder.remove()
            raise _refusal(job_outcome.failed_to_start()) from error
        except BaseException as error:
            folder.remove()
            raise as_problem(error) from error


def _refusal(outcome: job_outcome.Outcome) -> FracSegError:
    error = FracSegError(outcome.message, outcome.remedy)
    error.code = outcome.code
    return error
