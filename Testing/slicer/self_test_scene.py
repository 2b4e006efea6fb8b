"""What the self tests inside Slicer put into the scene: a made-up CT and its fragments."""

from __future__ import annotations

import contextlib
import importlib.metadata
from typing import Any

import numpy as np
import slicer
import vtk

# Not along the axes and not isotropic: what is wrong by a flip or a swap shows.
SPACING_MM = (0.9, 1.0, 1.4)
ANGLE_DEGREES = 20.0
SHAPE = (40, 48, 56)

LARGEST, NEIGHBOUR, HIGHEST = 51, 52, 401
"""Two pieces of the left hip bone that touch, and a label beyond 8 bits."""


def made_up_ct(name: str = "Made-up CT") -> Any:
    """A vtkMRMLScalarVolumeNode with soft tissue and three blocks of bone, oblique to the axes."""
    hounsfield = np.full(SHAPE, 40, np.int16)
    hounsfield[made_up_labels() > 0] = 700
    turn = vtk.vtkTransform()
    turn.Translate(30.0, -40.0, 15.0)
    turn.RotateWXYZ(ANGLE_DEGREES, 1.0, 2.0, 3.0)
    turn.Scale(*SPACING_MM)
    node = slicer.util.addVolumeFromArray(hounsfield, name=name)
    node.SetIJKToRASMatrix(turn.GetMatrix())
    return node


def made_up_labels() -> Any:
    """(K, J, I) uint16 labels of the three blocks."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[8:30, 10:30, 8:26] = LARGEST
    labels[8:30, 10:30, 26:36] = NEIGHBOUR
    labels[10:20, 34:42, 40:50] = HIGHEST
    return labels


def made_up_segmentation(volume: Any) -> Any:
    """A vtkMRMLSegmentationNode with the three blocks as fragments, shown as a result is."""
    from FractureSegmentationLib.editing.fragments import Fragments
    from FractureSegmentationLib.mrml.layer import tie_to_ct
    from FractureSegmentationLib.mrml.segmentation import show_fragments
    from FractureSegmentationLib.mrml.volume import volume_of
    from FractureSegmentationLib.volume import LabelVolume

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Made-up fragments")
    geometry = volume_of(volume).geometry
    tie_to_ct(node, volume)
    show_fragments(node, Fragments.of(LabelVolume(voxels=made_up_labels(), geometry=geometry)))
    return node


def world_ras(volume: Any, kji: tuple[float, float, float]) -> tuple[float, float, float]:
    """The middle of a voxel in the world's RAS, mm."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    right, anterior, superior, _ = matrix.MultiplyPoint((*reversed(kji), 1.0))
    return right, anterior, superior


def voxel_counts(segmentation: Any) -> dict[int, int]:
    """Voxels by label, as the library reads them from the scene."""
    from FractureSegmentationLib.mrml.segmentation import fragments_of

    return {record.label: record.voxels for record in fragments_of(segmentation).records}


def has_engine() -> bool:
    """Whether something that runs the networks is installed; it is not imported."""
    for name in ("onnxruntime", "torch"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version(name)
            return True
    return False
