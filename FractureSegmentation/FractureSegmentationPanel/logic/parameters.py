"""What the panel remembers: the case with the scene, values of a node, the user's habits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper

SETTINGS_GROUP = "FractureSegmentation"
METHODS = (("fracsegmentator", "FracSegmentator"),)
"""Name and title of every method. Written out, for the library's own list loads scipy."""


@parameterNodeWrapper
class FractureSegmentationParameterNode:
    """The settings of one case; they are saved with the scene.

    Attributes:
        inputVolume: the CT.
        bonesSegmentation: whole bones, one segment each; None lets the method find them.
        outputSegmentation: the fragments; None makes a new segmentation.
        method: the segmentation method, one of `METHODS`.
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


def user_setting(key: str, default: str = "") -> str:
    """What the user chose the last time; it outlives the scene."""
    value: Any = qt.QSettings().value(f"{SETTINGS_GROUP}/{key}", default)
    return str(value) if value is not None else default


def remember(key: str, value: str) -> None:
    """Keep what the user chose for the next time."""
    qt.QSettings().setValue(f"{SETTINGS_GROUP}/{key}", value)


class PerNode:
    """One value per node. A cleared scene gives out an ID again; the new node has no value then."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Any, Any]] = {}

    def keep(self, node: Any, value: Any) -> None:
        """Remember a value, in place of an earlier one."""
        self._kept[node.GetID()] = (node, value)

    def value_of(self, node: Any, make: Callable[[], Any]) -> Any:
        """The value of a node; `make` is asked for it where there is none yet."""
        owner, value = self._kept.get(node.GetID(), (None, None))
        if owner is not node:
            value = make()
            self.keep(node, value)
        return value

    def forget(self, node: Any) -> None:
        """The node has no value any more."""
        self._kept.pop(node.GetID(), None)

    def clear(self) -> None:
        """No node has a value any more."""
        self._kept.clear()
