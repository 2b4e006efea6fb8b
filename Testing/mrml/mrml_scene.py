"""A scene of 3D Slicer without its application: the logics that a real one would bring along."""

from __future__ import annotations

import json
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.mrml.nodes import Scene, VolumeNode
from FractureSegmentationLib.mrml.volume import fill_volume
from FractureSegmentationLib.volume import Volume

OBLIQUE_SPACING_MM = (2.0, 0.7, 1.1)


class Module:
    """What `slicer.modules.<name>` is asked for."""

    def __init__(self, name: str, logic: Any) -> None:
        self.name = name
        self._logic = logic

    def logic(self) -> Any:
        return self._logic


@dataclass(frozen=True)
class SlicerScene:
    """A scene, and what has to stay alive as long as it.

    Attributes:
        scene: the vtkMRMLScene.
        application: the vtkSlicerApplicationLogic.
        modules: logic by module name in small letters.
        attributes: what the package `slicer` has in an application: `mrmlScene`, `modules`, `app`.
        kept: what nobody asks for, but the scene points to.
    """

    scene: Scene
    application: Any
    modules: dict[str, Any]
    attributes: dict[str, Any]
    kept: tuple[Any, ...]


def start_scene(folder: Path) -> SlicerScene:
    """A new scene with all logics.

    Args:
        folder: for the cache that reading .mrb files needs, and for the empty terminologies.
    """
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    colors = application.GetColorLogic()
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    _write_empty_terminologies(folder)
    modules = {
        "colors": colors,
        "terminologies": slicer.vtkSlicerTerminologiesModuleLogic(),
        "subjecthierarchy": slicer.vtkSlicerSubjectHierarchyModuleLogic(),
        "volumes": slicer.vtkSlicerVolumesLogic(),
        "models": slicer.vtkSlicerModelsLogic(),
        "segmentations": slicer.vtkSlicerSegmentationsModuleLogic(),
    }
    names = {"subjecthierarchy": "SubjectHierarchy"}
    offered = types.SimpleNamespace()
    for key, logic in modules.items():
        name = names.get(key, key.capitalize())
        if hasattr(logic, "SetModuleShareDirectory"):
            logic.SetModuleShareDirectory(str(folder))
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        setattr(offered, key, Module(name, logic))
    app = types.SimpleNamespace(
        applicationLogic=lambda: application, processEvents=lambda: None, temporaryPath=str(folder)
    )
    return SlicerScene(
        scene=scene,
        application=application,
        modules=modules,
        attributes={"mrmlScene": scene, "modules": offered, "app": app},
        kept=_file_access(scene, application, folder),
    )


def oblique_geometry(shape: tuple[int, int, int]) -> Geometry:
    """Axes turned by 0.5 about x, then by 0.3 about z; every voxel another size along each axis."""
    about_x = np.array([[1, 0, 0], [0, np.cos(0.5), -np.sin(0.5)], [0, np.sin(0.5), np.cos(0.5)]])
    about_z = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])
    k, j, i = (tuple(row) for row in (about_z @ about_x).T[::-1].tolist())
    return Geometry(
        shape=shape,
        spacing_mm=OBLIQUE_SPACING_MM,
        origin_lps_mm=(-31.0, 12.5, 400.0),
        direction=(k, j, i),
    )


def add_volume(scene: Scene, volume: Volume, name: str = "CT") -> VolumeNode:
    """Put a volume into the scene, as loading a file would."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    fill_volume(node, volume)
    return node


def _file_access(scene: Scene, application: Any, folder: Path) -> tuple[Any, ...]:
    """What reading a scene file goes through."""
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(scene)
    remote.SetMRMLApplicationLogic(application)
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    remote.GetCacheManager().SetRemoteCacheDirectory(str(cache))
    access = slicer.vtkDataIOManagerLogic()
    access.SetMRMLScene(scene)
    access.SetMRMLApplicationLogic(application)
    access.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    return remote, access


def _write_empty_terminologies(folder: Path) -> None:
    """Slicer's own lists are no part of its wheel; without a file each costs an error message."""
    types_of = {"SegmentationCodes": {"Category": []}}
    regions = {"AnatomicCodes": {"AnatomicRegion": []}}
    for name, key, title, codes in (
        (
            "SegmentationCategoryTypeModifier-SlicerGeneralAnatomy",
            "SegmentationCategoryTypeContextName",
            "Segmentation category and type - 3D Slicer General Anatomy list",
            types_of,
        ),
        (
            "SegmentationCategoryTypeModifier-DICOM-Master",
            "SegmentationCategoryTypeContextName",
            "Segmentation category and type - DICOM master list",
            types_of,
        ),
        (
            "AnatomicRegionAndModifier-DICOM-Master",
            "AnatomicContextName",
            "Anatomic codes - DICOM master list",
            regions,
        ),
    ):
        path = folder / f"{name}.term.json"
        path.write_text(json.dumps({key: title, **codes}), encoding="utf-8")
