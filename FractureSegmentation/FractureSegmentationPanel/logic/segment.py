"""What the sections Inputs and Segment do, for scripts as well.

Also what about a CT stops a run, as far as a glance shows, or makes its result less sure. Metal and
thick slices are looked for by the run itself, which sees the voxels.
"""

from __future__ import annotations

import functools
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from FractureSegmentationLib.errors import FracSegError, InputError, as_problem
from FractureSegmentationPanel.run import outcome as job_outcome

if TYPE_CHECKING:
    from FractureSegmentationPanel.logic.segment_run import RunCallbacks, SegmentRun
    from FractureSegmentationPanel.run.command import RunSettings
    from FractureSegmentationPanel.run.job import Job

_UIDS = "DICOM.instanceUIDs"
_AGE, _BIRTH_DATE = "0010,1010", "0010,0030"
_EXAMINATION_DATES = ("0008,0020", "0008,0022", "0008,0021")  # of study, acquisition, series
_GROWN_UP_YEARS = 18
_AGREED, _YES = "installsPyTorch", "yes"
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.44, "Y": 365.25}


class SegmentLogic:
    """Runs the segmentation and shows its result. Part of `FractureSegmentationLogic`."""

    def __init__(self) -> None:
        self._job: Job | None = None

    @property
    def job(self) -> Job:
        """The child process of this logic; one run at a time."""
        if self._job is None:
            from FractureSegmentationPanel.run.job import Job

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
        return problem_of(volume)

    def cautionsOfVolume(self, volume: Any) -> tuple[str, ...]:
        """What makes the fragments of a CT less sure: a growing patient, unknown orientation."""
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
        """Start to segment a CT and return at once; `callbacks.finished` reports the end.

        Args:
            volume: as for `process`.
            segmentation: as for `process`.
            settings: as for `process`.
            bones: as for `process`.
            callbacks: called on the main thread.

        Returns:
            The run, which can be cancelled.

        Raises:
            FracSegError: a node cannot be used; what is not installed is reported at the end.
        """
        from FractureSegmentationPanel.logic.segment_run import (
            RunCallbacks,
            SceneAccess,
            SegmentRun,
        )
        from FractureSegmentationPanel.run.command import RunSettings

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
        from FractureSegmentationPanel.run.command import RunSettings
        from FractureSegmentationPanel.setup import dependencies
        from FractureSegmentationPanel.setup.pytorch import device_problem
        from FractureSegmentationPanel.setup.weights import weights_problem

        settings = settings or RunSettings()
        outcome = (
            device_problem(settings.device) or dependencies.ensure() or weights_problem(settings)
        )
        if outcome is not None:
            raise _refusal(outcome)

    @property
    def hasPyTorch(self) -> bool:
        """Whether PyTorch is installed; it is not loaded."""
        from FractureSegmentationPanel.setup.pytorch import is_pytorch_installed

        return is_pytorch_installed()

    def installPyTorch(self) -> None:
        """Install PyTorch after asking once; a segmentation runs without it, too.

        Where its extension has to be installed first, Slicer has to be restarted in between; the
        second call does not ask again.

        Raises:
            FracSegError: it is not there yet, e.g. because the user declined.
        """
        from FractureSegmentationPanel.logic.parameters import remember, user_setting
        from FractureSegmentationPanel.setup.pytorch import install_pytorch

        was_agreed = user_setting(_AGREED) == _YES
        outcome = install_pytorch((lambda _question: True) if was_agreed else None)
        is_half_done = outcome is not None and outcome.code == "restart_needed"
        remember(_AGREED, _YES if is_half_done else "")
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
        from FractureSegmentationPanel.logic.segment_run import write_bones
        from FractureSegmentationPanel.run.command import segment_command
        from FractureSegmentationPanel.run.folder import JobFolder

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


def problem_of(volume: Any) -> str:
    """Why a vtkMRMLScalarVolumeNode cannot be segmented; "" if nothing speaks against it."""
    from FractureSegmentationLib.errors import InputError
    from FractureSegmentationLib.mrml.volume import refuse_nonlinear

    try:
        refuse_nonlinear(volume)
    except InputError as error:
        return str(error)
    image = volume.GetImageData()
    if image is None:
        return _("The volume holds no voxels. Load the CT again, or choose another one.")
    if min(image.GetDimensions()) < 2:
        return _("This is a single slice. A CT of at least 10 slices is needed.")
    return ""


def cautions_of(volume: Any) -> tuple[str, ...]:
    """What a person should know before trusting the fragments of a CT, one sentence each.

    The age is looked up where the CT came from Slicer's DICOM database; neither it nor a date is
    kept or reported.

    Args:
        volume: vtkMRMLScalarVolumeNode.
    """
    cautions = []
    if _is_growing(volume):
        cautions.append(
            _("The patient is under 18: growth plates look like fractures. Check every border.")
        )
    if _has_unknown_orientation(volume):
        cautions.append(
            _("The file does not say how the patient lies. Check that left and right are right.")
        )
    return tuple(cautions)


def _is_growing(volume: Any) -> bool:
    uids = (volume.GetAttribute(_UIDS) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or database is None or not database.isOpen:
        return False

    def value(tag: str) -> str:
        return str(database.instanceValue(uids[0], tag) or "").strip()

    years = _years_of_age(value(_AGE))
    if years is None:
        # A date is written as in DICOM: YYYYMMDD.
        examined = next((day for tag in _EXAMINATION_DATES if (day := _day(value(tag)))), None)
        born = _day(value(_BIRTH_DATE))
        if born is None or examined is None or examined < born:
            return False
        years = (examined - born).days / _DAYS["Y"]
    return years < _GROWN_UP_YEARS


def _years_of_age(text: str) -> float | None:
    """An age as DICOM writes it, such as 017Y or 008M; None if there is none."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", text.upper())
    return int(match[1]) * _DAYS[match[2]] / _DAYS["Y"] if match else None


def _day(text: str) -> date | None:
    match = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", text)
    try:
        return date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        return None


def _has_unknown_orientation(volume: Any) -> bool:
    storage = volume.GetStorageNode()
    file_name = storage.GetFileName() if storage is not None else None
    if not file_name or volume.GetAttribute(_UIDS):
        return False
    path = Path(file_name)
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return False
    return _says_nothing_of_orientation(path, changed)


@functools.lru_cache(maxsize=16)
def _says_nothing_of_orientation(path: Path, _changed: int) -> bool:
    """Whether an image file could say where the patient's left is, and does not."""
    from FractureSegmentationLib.errors import InputError
    from FractureSegmentationLib.io.image_header import HeaderError
    from FractureSegmentationLib.io.verify import read_image_header

    try:
        return not read_image_header(path).affines
    except (HeaderError, InputError, OSError, ValueError):
        # Of another kind, such as DICOM; what Slicer could read is not judged again.
        return False
