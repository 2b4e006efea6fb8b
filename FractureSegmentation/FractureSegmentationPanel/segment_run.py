"""One segmentation from the scene and back: nodes out to the child process, its result in again.

The scene goes on living meanwhile, so nodes are held by their id, and what has become of them is
looked at when the result is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

from FractureSegmentationLib.errors import as_problem
from FractureSegmentationPanel import job_outcome
from FractureSegmentationPanel.job import Job
from FractureSegmentationPanel.job_folder import JobFolder
from FractureSegmentationPanel.job_outcome import Outcome
from FractureSegmentationPanel.job_run import JobHandlers


def _nothing(*_values: Any) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCallbacks:
    """Whom a segmentation tells what, on the main thread.

    Attributes:
        progress: stage, fraction of the whole run (0 to 1), seconds left or None.
        log: lines for the log.
        warning: one sentence for the user.
        finished: how it ended, and the segmentation that holds the fragments if it is done.
    """

    progress: Callable[[str, float, float | None], None] = _nothing
    log: Callable[[str], None] = _nothing
    warning: Callable[[str], None] = _nothing
    finished: Callable[[Outcome, Any], None] = _nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneAccess:
    """What a run asks of the logic.

    Attributes:
        load: shows a result folder: (folder, CT, segmentation or None) to the segmentation.
        is_edited: whether a segmentation holds work of the user.
    """

    load: Callable[[Any, Any, Any], Any]
    is_edited: Callable[[Any], bool]


class SegmentRun:
    """A run of the command line on a CT of the scene.

    Args:
        job: runs the child.
        volume: the CT, vtkMRMLScalarVolumeNode.
        segmentation: receives the fragments; None makes a new one when they are there.
        callbacks: whom to tell.
        access: what is done with the result.
    """

    def __init__(
        self, job: Job, volume: Any, segmentation: Any, callbacks: RunCallbacks, access: SceneAccess
    ) -> None:
        self._job, self._callbacks, self._access = job, callbacks, access
        self._volume_id = volume.GetID()
        self._segmentation_id = segmentation.GetID() if segmentation is not None else ""
        # Edits that are there already were asked about; those made meanwhile were not.
        self._was_edited = segmentation is not None and access.is_edited(segmentation)
        self._tags: list[int] = []
        self._stopped_by: Outcome | None = None
        self.outcome: Outcome | None = None
        self.segmentation_id = ""

    def start(self, command: list[str], folder: JobFolder) -> None:
        """Start the child.

        Args:
            command: what is run, see `segment_command`.
            folder: holds the CT; removed at the end.
        """
        self._folder = folder
        scene = slicer.mrmlScene

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(_caller: Any, _event: str, node: Any) -> None:
            if node is not None and node.GetID() == self._volume_id:
                self._stop(volume_removed())

        self._tags = [
            scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, self._on_scene_closed),
            scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, removed),
        ]
        handlers = JobHandlers(
            progress=self._callbacks.progress,
            log=self._callbacks.log,
            warning=self._callbacks.warning,
            finished=self._on_finished,
        )
        self._job.start(command, handlers, folder)

    def cancel(self) -> None:
        """Stop; the scene stays as it is."""
        self._job.cancel()

    def _on_scene_closed(self, *_values: Any) -> None:
        self._stop(scene_closed())

    def _stop(self, outcome: Outcome) -> None:
        self._stopped_by = self._stopped_by or outcome
        self._job.cancel()

    def _on_finished(self, outcome: Outcome) -> None:
        for tag in self._tags:
            slicer.mrmlScene.RemoveObserver(tag)
        segmentation = None
        # A run that failed on its own keeps its reason; one that was done comes too late.
        if self._stopped_by is not None and outcome.kind != "failed":
            outcome = self._stopped_by
        if outcome.kind == "done":
            outcome, segmentation = self._applied(outcome)
        self.outcome = outcome
        self.segmentation_id = segmentation.GetID() if segmentation is not None else ""
        self._callbacks.finished(outcome, segmentation)

    def _applied(self, outcome: Outcome) -> tuple[Outcome, Any]:
        volume = slicer.mrmlScene.GetNodeByID(self._volume_id)
        if volume is None:
            return volume_removed(), None
        try:
            return outcome, self._access.load(self._folder.result, volume, self._target())
        except Exception as error:
            problem = as_problem(error)
            return job_outcome.failed(problem.code, problem.message, problem.remedy), None

    def _target(self) -> Any:
        """The segmentation asked for, unless it is gone or was edited during the run."""
        if not self._segmentation_id:
            return None
        target = slicer.mrmlScene.GetNodeByID(self._segmentation_id)
        if target is None:
            return None
        if self._access.is_edited(target) and not self._was_edited:
            told = _(
                "The fragments were edited meanwhile; the new ones are in another segmentation."
            )
            self._callbacks.warning(told)
            return None
        return target


def scene_closed() -> Outcome:
    """The scene was closed during the run."""
    return Outcome(
        kind="cancelled",
        code="scene_closed",
        message=_("The scene was closed, so the segmentation was stopped."),
    )


def volume_removed() -> Outcome:
    """The CT was removed during the run."""
    return Outcome(
        kind="cancelled",
        code="volume_removed",
        message=_("The CT was removed from the scene, so the segmentation was stopped."),
        remedy=_("Load it again."),
    )
