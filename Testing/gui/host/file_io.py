"""`slicer.app.coreIOManager()`: the readers and writers that `slicer.util.load...` asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import vtk
from PySide6 import QtCore

from Testing.gui.host.standin import StandIn

ENDINGS = {
    "SegmentationFile": (".seg.nrrd", ".seg.nhdr", ".seg.vtm"),
    "MarkupsFile": (".mrk.json", ".fcsv"),
    "VolumeFile": (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm"),
    "ModelFile": (".stl", ".obj", ".ply", ".vtk", ".vtp"),
    "TransformFile": (".h5", ".tfm"),
    "SceneFile": (".mrb", ".mrml"),
}


class CoreIOManager(StandIn, QtCore.QObject):
    """Chooses a reader by the file's name and runs the real logics and storage nodes."""

    def fileType(self, file_name: str) -> str:
        """The type of the longest matching ending; "NoFile" when there is none."""
        name = str(file_name).lower()
        found = [
            (len(ending), kind)
            for kind, endings in ENDINGS.items()
            for ending in endings
            if name.endswith(ending)
        ]
        return max(found)[1] if found else "NoFile"

    def loadNodes(
        self, file_type: str, properties: dict[str, Any], nodes: Any = None, messages: Any = None
    ) -> bool:
        """Read a file into the scene.

        Args:
            file_type: one of the keys of `ENDINGS`.
            properties: `fileName`, and the reader's options.
            nodes: vtkCollection that takes the new nodes.
            messages: vtkMRMLMessageCollection that takes what went wrong.

        Returns:
            Whether it worked.
        """
        file = str(properties["fileName"])
        reader = _READERS.get(file_type)
        if reader is None or not Path(file).exists():
            if messages is not None:
                messages.AddMessage(vtk.vtkCommand.ErrorEvent, f"cannot read {file}")
            return False
        found = reader(file, properties)
        if nodes is not None and isinstance(found, vtk.vtkObject):
            nodes.AddItem(found)
        return bool(found)

    def fileWriterFileType(self, _node: Any) -> str:
        """Any node is written by its storage node."""
        return "Node"

    def saveNodes(self, file_type: str, properties: dict[str, Any], messages: Any = None) -> bool:
        """Write a node or the scene; whether it worked."""
        file = str(properties["fileName"])
        scene = slicer.mrmlScene
        if file_type == "SceneFile":
            if file.lower().endswith(".mrb"):
                return bool(scene.WriteToMRB(file))
            scene.SetURL(file)
            return bool(scene.Commit(file))
        node = scene.GetNodeByID(properties["nodeID"])
        node.AddDefaultStorageNode(file)
        storage = node.GetStorageNode()
        storage.SetFileName(file)
        if "useCompression" in properties:
            storage.SetUseCompression(int(properties["useCompression"]))
        return bool(storage.WriteData(node))


def _name(file: str, properties: dict[str, Any]) -> str:
    return str(properties.get("name") or Path(file).name.split(".")[0])


def _volume(file: str, properties: dict[str, Any]) -> Any:
    logic = slicer.modules.volumes.logic()
    node = logic.AddArchetypeVolume(
        file, _name(file, properties), int(bool(properties.get("labelmap")))
    )
    if node is not None and properties.get("show", True):
        slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def _segmentation(file: str, properties: dict[str, Any]) -> Any:
    logic = slicer.modules.segmentations.logic()
    return logic.LoadSegmentationFromFile(file, True, _name(file, properties))


def _stored(class_name: str) -> Callable[[str, dict[str, Any]], Any]:
    def read(file: str, properties: dict[str, Any]) -> Any:
        node = slicer.mrmlScene.AddNewNodeByClass(class_name, _name(file, properties))
        node.AddDefaultStorageNode(file)
        storage = node.GetStorageNode()
        storage.SetFileName(file)
        if not storage.ReadData(node):
            slicer.mrmlScene.RemoveNode(node)
            return None
        node.CreateDefaultDisplayNodes()
        return node

    return read


def _scene(file: str, properties: dict[str, Any]) -> bool:
    scene = slicer.mrmlScene
    if file.lower().endswith(".mrb"):
        return bool(scene.ReadFromMRB(file, properties.get("clear", False)))
    scene.SetURL(file)
    return bool(scene.Connect() if properties.get("clear") else scene.Import())


_READERS: dict[str, Callable[[str, dict[str, Any]], Any]] = {
    "VolumeFile": _volume,
    "SegmentationFile": _segmentation,
    "ModelFile": lambda file, _: slicer.modules.models.logic().AddModel(file),
    "MarkupsFile": lambda file, properties: slicer.mrmlScene.GetNodeByID(
        slicer.modules.markups.logic().LoadMarkups(file, _name(file, properties))
    ),
    "TransformFile": _stored("vtkMRMLTransformNode"),
    "SceneFile": _scene,
}
