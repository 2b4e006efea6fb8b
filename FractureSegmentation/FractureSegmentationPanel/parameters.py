"""What the panel remembers: the case with the scene, the user's habits beyond it."""

from __future__ import annotations

from typing import Any

import qt
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper

SETTINGS_GROUP = "FractureSegmentation"


@parameterNodeWrapper
class FractureSegmentationParameterNode:
    """The settings of one case; they are saved with the scene.

    Attributes:
        inputVolume: the CT.
        bonesSegmentation: whole bones, one segment each; None lets the method find them.
        outputSegmentation: the fragments; None makes a new segmentation.
        method: how the fragments are found, one of `METHODS`.
        only: slugs of the bones to look for, separated by commas; empty means all.
        showsSurfaces: whether the fragments have surfaces in 3D.
        exportsMoved: whether an export holds the fragments where the plan puts them.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    bonesSegmentation: vtkMRMLSegmentationNode
    outputSegmentation: vtkMRMLSegmentationNode
    method: str = "fracsegmentator"
    only: str = ""
    showsSurfaces: bool = True
    exportsMoved: bool = True


METHODS = (("fracsegmentator", "FracSegmentator"),)
"""Name and title of every method. Written out, for the library's own list loads scipy."""


def user_setting(key: str, default: str = "") -> str:
    """What the user chose the last time; it outlives the scene."""
    value: Any = qt.QSettings().value(f"{SETTINGS_GROUP}/{key}", default)
    return str(value) if value is not None else default


def remember(key: str, value: str) -> None:
    """Keep what the user chose for the next time."""
    qt.QSettings().setValue(f"{SETTINGS_GROUP}/{key}", value)
