"""The MRML side of the application on bare slicer-core: scene, logics, data input and output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
import vtk

# Name of the module, name of its logic class. Terminologies before segmentations, which ask them.
LOGICS = (
    ("Terminologies", "vtkSlicerTerminologiesModuleLogic"),
    ("SubjectHierarchy", "vtkSlicerSubjectHierarchyModuleLogic"),
    ("Units", "vtkSlicerUnitsLogic"),
    ("Volumes", "vtkSlicerVolumesLogic"),
    ("Models", "vtkSlicerModelsLogic"),
    ("Segmentations", "vtkSlicerSegmentationsModuleLogic"),
    ("Markups", "vtkSlicerMarkupsLogic"),
    ("Transforms", "vtkSlicerTransformLogic"),
    ("CropVolume", "vtkSlicerCropVolumeLogic"),
    ("VolumeRendering", "vtkSlicerVolumeRenderingLogic"),
    ("Tables", "vtkSlicerTablesLogic"),
)


@dataclass(frozen=True)
class MrmlWorld:
    """A scene and everything that must stay alive beside it.

    Attributes:
        scene: the vtkMRMLScene.
        application_logic: what all logics share.
        logics: module name to logic.
        kept: objects that are held by C++ without a reference.
    """

    scene: Any
    application_logic: Any
    logics: dict[str, Any]
    kept: tuple[Any, ...]


@contextmanager
def quiet_vtk() -> Iterator[None]:
    """Print no warnings of VTK meanwhile."""
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtk.vtkObject.GlobalWarningDisplayOn()


def make_world(folder: Path) -> MrmlWorld:
    """Build a scene with the logics of Slicer's core modules.

    Args:
        folder: for the cache and temporary files; holds no terminologies, which slicer-core
            does not bring.
    """
    scene = slicer.vtkMRMLScene()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    logic.SetTemporaryPath(str(folder))
    colors = logic.GetColorLogic()
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    logic.SetModuleLogic("Colors", colors)
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    logics = {"Colors": colors}
    for name, class_name in LOGICS:
        with quiet_vtk():  # the terminologies logic misses its files
            logics[name] = _add_logic(name, class_name, logic, folder)
    return MrmlWorld(scene, logic, logics, _make_data_io(scene, logic, folder))


def _add_logic(name: str, class_name: str, application_logic: Any, folder: Path) -> Any:
    logic = getattr(slicer, class_name)()
    if hasattr(logic, "SetModuleShareDirectory"):
        logic.SetModuleShareDirectory(str(folder))
    logic.SetMRMLApplicationLogic(application_logic)
    logic.SetMRMLScene(application_logic.GetMRMLScene())
    application_logic.SetModuleLogic(name, logic)
    return logic


def _make_data_io(scene: Any, application_logic: Any, folder: Path) -> tuple[Any, ...]:
    """Without it the scene reads no file of a bundle."""
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(scene)
    remote.SetMRMLApplicationLogic(application_logic)
    remote.GetCacheManager().SetRemoteCacheDirectory(str(cache))
    data = slicer.vtkDataIOManagerLogic()
    data.SetMRMLScene(scene)
    data.SetMRMLApplicationLogic(application_logic)
    data.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    return remote, data
