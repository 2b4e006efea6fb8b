"""One segmentation from the scene and back: nodes out to the child process, its result in again.

The scene goes on living meanwhile, so nodes are held by their id, and what has become of them is
looked at when the result is there. The user's own bone segmentation becomes the label file that the
command line takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

from FractureSegmentationLib.anatomy.catalogue import BONES, Bone
from FractureSegmentationLib.anatomy.meaning import bone_of_name
from FractureSegmentationLib.errors import InputError, as_problem
from FractureSegmentationPanel.run import outcome as job_outcome
from FractureSegmentationPanel.run.folder import JobFolder
from FractureSegmentationPanel.run.job import Job, JobHandlers
from FractureSegmentationPanel.run.outcome import Outcome


def _nothing(*_values: Any) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCallbacks:
    """What to call during a segmentation, on the main thread.

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
        callbacks: called with progress and result.
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
            text = _(
                "The fragments were edited meanwhile; the new ones are in another segmentation."
            )
            self._callbacks.warning(text)
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


def bones_of_segments(segmentation: Any) -> dict[str, Bone]:
    """The bone of each segment that stands for one, by segment id.

    Raises:
        InputError: none does, or two stand for the same.
    """
    inner = segmentation.GetSegmentation()
    bones = {}
    for segment_id in inner.GetSegmentIDs():
        bone = bone_of_name(inner.GetSegment(segment_id).GetName())
        if bone is not None:
            bones[segment_id] = bone
    if not bones:
        raise InputError(
            _("No segment of the bone segmentation is named after a bone."),
            _("Name them like this: {names}.").format(names=_listed(b.name for b in BONES[:5])),
        )
    twice = {bone.name for bone in bones.values() if list(bones.values()).count(bone) > 1}
    if twice:
        raise InputError(
            _("Several segments are named after the same bone: {names}.").format(
                names=_listed(sorted(twice))
            ),
            _("Keep one segment per bone."),
        )
    return bones


def write_bones(segmentation: Any, volume: Any, path: Path) -> None:
    """Write the bones on the grid of a CT, with the catalogue's mask values.

    Args:
        segmentation: vtkMRMLSegmentationNode with one segment per bone.
        volume: the CT.
        path: ends in `.nrrd`.

    Raises:
        InputError: no segment is named after a bone.
    """
    import numpy as np

    from FractureSegmentationLib.io.sitk import write_volume
    from FractureSegmentationLib.mrml.volume import volume_of
    from FractureSegmentationLib.volume import LabelVolume

    bones = bones_of_segments(segmentation)
    ids = list(bones)
    # In their order they get the values 1, 2, 3, ...
    values = np.array([0, *(bones[segment_id].mask_value for segment_id in ids)], np.uint8)
    labelmap = slicer.mrmlScene.CreateNodeByClass("vtkMRMLLabelMapVolumeNode")
    labelmap.UnRegister(None)
    labelmap.SetHideFromEditors(True)
    labelmap = slicer.mrmlScene.AddNode(labelmap)
    try:
        slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode(
            segmentation, ids, labelmap, volume
        )
        labels = volume_of(labelmap)
        write_volume(path, LabelVolume(voxels=values[labels.voxels], geometry=labels.geometry))
    finally:
        _remove_with_colors(labelmap)


def _remove_with_colors(labelmap: Any) -> None:
    """Take a label map out of the scene, with the colour table that its export has made for it."""
    scene, display = slicer.mrmlScene, labelmap.GetDisplayNode()
    colors = display.GetColorNode() if display is not None else None
    made = (slicer.vtkMRMLColorTableNode, slicer.vtkMRMLColorTableStorageNode)
    storage = colors.GetStorageNode() if colors is not None else None
    scene.RemoveNode(labelmap)
    for node in (storage, colors):
        # Slicer's own colours belong to no saved scene.
        if isinstance(node, made) and node.GetSaveWithScene():
            scene.RemoveNode(node)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
