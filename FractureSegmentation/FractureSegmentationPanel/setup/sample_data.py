"""An openly licensed case for Slicer's module Sample Data; loaded when the user clicks on it.

The case is one file per bone, bone-only CTs of one grid and their masks. They become one CT and one
bone segmentation, which the panel takes as its inputs.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from FractureSegmentationLib.anatomy.catalogue import bone_named, bone_of_mask_value
from FractureSegmentationLib.errors import EnvironmentProblemError, FracSegError, as_problem
from FractureSegmentationLib.io.temporary import clear_leftovers, working_folder
from FractureSegmentationPanel.setup.sample_case import PELVIS, SampleCase, SampleFile

if TYPE_CHECKING:
    from FractureSegmentationLib.volume import LabelVolume, Volume

CATEGORY = "FractureSegmentation"
_TIMEOUT_SECONDS = 30
_PORTION_BYTES = 1 << 18


def register(thumbnail: Path | None = None, case: SampleCase = PELVIS) -> None:
    """Offer the case in the module Sample Data; nothing is downloaded.

    Args:
        thumbnail: a picture of about 260 x 280 pixels.
        case: what is offered.
    """
    import SampleData

    logic = SampleData.SampleDataLogic
    # New in Slicer 5.12.
    if hasattr(logic, "registerCustomSampleDataCategory"):
        logic.registerCustomSampleDataCategory(CATEGORY, title=_("Fracture Segmentation"))
    logic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=case.name,
        thumbnailFileName=str(thumbnail) if thumbnail is not None else None,
        uris=[f"{case.address}/{file.name}" for file in case.files],
        fileNames=[_cache_name(case, file) for file in case.files],
        nodeNames=[Path(file.name).name.partition(".")[0] for file in case.files],
        checksums=[f"SHA256:{file.sha256}" for file in case.files],
        customDownloader=lambda _source: _on_clicked(case),
    )


def load_sample(case: SampleCase = PELVIS) -> tuple[Any, Any]:
    """Download the case, unless it is in Slicer's cache, and put it into the scene.

    Returns:
        The vtkMRMLScalarVolumeNode of the CT and the vtkMRMLSegmentationNode of its bones.

    Raises:
        EnvironmentProblemError: the server cannot be reached, or sent something else; the scene is
            as it was.
    """
    folder = _cache_folder()
    for number, file in enumerate(case.files):
        status = _("Downloading sample data, file {number} of {count}")
        _show_status(status.format(number=number + 1, count=len(case.files)))
        fetch(f"{case.address}/{file.name}", folder / _cache_name(case, file), file.sha256)
    _show_status(_("Loading sample data"))
    ct, bones = combine(case, folder)
    return _show(case, ct, bones)


def fetch(address: str, target: Path, sha256: str, step: Callable[[], None] | None = None) -> None:
    """Download a file, whole and as it should be, or not at all.

    Args:
        address: where it is.
        target: where it is put; one that is there already is kept if its content is right.
        sha256: of its content.
        step: called after every portion; None keeps the window alive.

    Raises:
        EnvironmentProblemError: it did not arrive, or is another file.
    """
    digest = hashlib.sha256()
    with _failures_as_problems():
        if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == sha256:
            return
        clear_leftovers(target)
    with _failures_as_problems(), working_folder(target) as staging:
        draft = staging / "draft"
        answer = urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS)  # noqa: S310  ours
        with answer as source, draft.open("wb") as file:
            while portion := source.read(_PORTION_BYTES):
                digest.update(portion)
                file.write(portion)
                (step or _breathe)()
        if digest.hexdigest() != sha256:
            raise EnvironmentProblemError(
                _("The sample data that arrived is not the published one."),
                _("Try again; a proxy or a cut connection may have changed it."),
            )
        draft.replace(target)


def combine(case: SampleCase, folder: Path) -> tuple[Volume, LabelVolume]:
    """The parts of a case as one CT and one bone mask.

    Args:
        case: its parts.
        folder: holds its files under the names of the cache.

    Returns:
        (K, J, I) int16 HU, and the bones as mask values of the catalogue, on one grid.

    Raises:
        EnvironmentProblemError: the parts do not lie on one grid.
        FracSegError: a file cannot be read.
    """
    import numpy as np

    from FractureSegmentationLib.io.image_file import read_image_file
    from FractureSegmentationLib.io.sitk import volume_from_sitk
    from FractureSegmentationLib.volume import LabelVolume

    def read(file: SampleFile) -> Volume:
        return volume_from_sitk(read_image_file(folder / _cache_name(case, file)).image)

    first = read(case.bones[0].ct)
    hu = np.zeros(first.geometry.shape, np.int32)
    bones = np.zeros(first.geometry.shape, np.uint8)
    for part in case.bones:
        ct, mask = read(part.ct), read(part.mask)
        if not all(one.geometry.is_close_to(first.geometry) for one in (ct, mask)):
            raise EnvironmentProblemError(
                _("The parts of the sample data do not fit together."), _("Report it.")
            )
        hu += ct.voxels.astype(np.int32)
        bones[np.asarray(mask.voxels, float) > 0] = bone_named(part.bone).mask_value
    limits = np.iinfo(np.int16)
    whole = first.with_voxels(hu.clip(limits.min, limits.max).astype(np.int16))
    return whole, LabelVolume(voxels=bones, geometry=first.geometry)


def _show(case: SampleCase, ct: Volume, bones: LabelVolume) -> tuple[Any, Any]:
    from FractureSegmentationLib.mrml.volume import fill_volume

    scene = slicer.mrmlScene
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", case.name)
    fill_volume(volume, ct)
    volume.CreateDefaultDisplayNodes()
    name = _("{case} bones").format(case=case.name)
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    _import_bones(bones, segmentation)
    if slicer.app.layoutManager() is not None:
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume, segmentation


def _import_bones(bones: LabelVolume, segmentation: Any) -> None:
    """One segment per bone, all in one layer, named as the panel knows them."""
    from FractureSegmentationLib.mrml.volume import fill_volume

    labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    try:
        fill_volume(labelmap, bones)
        slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(
            labelmap, segmentation
        )
    finally:
        slicer.mrmlScene.RemoveNode(labelmap)
    inner = segmentation.GetSegmentation()
    for number in range(inner.GetNumberOfSegments()):
        segment = inner.GetNthSegment(number)
        segment.SetName(bone_of_mask_value(segment.GetLabelValue()).name)
        segment.SetNameAutoGenerated(False)


def _on_clicked(case: SampleCase) -> list[Any]:
    """What a click in Sample Data does; a failure is shown, and changes nothing."""
    try:
        return list(load_sample(case))
    except (FracSegError, MemoryError) as error:
        slicer.util.errorDisplay(str(as_problem(error)), _("Fracture Segmentation"))
        return []


@contextlib.contextmanager
def _failures_as_problems() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise EnvironmentProblemError(
            _("The sample data could not be downloaded."),
            _("Check the connection to the Internet and the disk, and try again."),
        ) from error


def _cache_name(case: SampleCase, file: SampleFile) -> str:
    return f"{case.name}-{file.name}"


def _cache_folder() -> Path:
    manager = slicer.mrmlScene.GetCacheManager()
    known = manager.GetRemoteCacheDirectory() if manager is not None else ""
    folder = Path(known or slicer.app.temporaryPath)
    with _failures_as_problems():
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _show_status(text: str) -> None:
    if slicer.util.mainWindow() is not None:
        slicer.util.showStatusMessage(text, 3000)
    _breathe()


def _breathe() -> None:
    """Let the window be drawn, and no click start the same again."""
    slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)
