"""Follows the nodes of the case, and lets the panel catch up when they have come to rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
import vtk

_SETTLE_MS = 150
_AFTER_SLICES_MS = 100


class Watcher:
    """Calls back when the node that is watched now has changed.

    Args:
        events: VTK events of the node.
        on_changed: called for each of them.
    """

    def __init__(self, events: Sequence[Any], on_changed: Callable[[], None]) -> None:
        self._events, self._on_changed = tuple(events), on_changed
        self._tags: list[int] = []
        self.node: Any = None

    def watch(self, node: Any) -> None:
        """Watch this node, and no longer the one before; None watches nothing."""
        if node is self.node:
            return
        for tag in self._tags:
            self.node.RemoveObserver(tag)
        self.node, self._tags = node, []
        for event in self._events if node is not None else ():
            self._tags.append(node.AddObserver(event, lambda *_values: self._on_changed()))


class Following:
    """What the panel does when fragments or the CT were changed, and when.

    Args:
        panel: the widget.
    """

    def __init__(self, panel: Any) -> None:
        self._panel = panel
        self._settle_timer = _timer(_SETTLE_MS, self._on_settled)
        self._surface_timer = _timer(_AFTER_SLICES_MS, self._on_surfaces)
        segmentation = slicer.vtkSegmentation
        self._segmentation = Watcher(
            (
                segmentation.SegmentAdded,
                segmentation.SegmentRemoved,
                segmentation.SegmentModified,
                segmentation.SourceRepresentationModified,
                slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent,
            ),
            self._on_fragments,
        )
        self._volume = Watcher(
            (
                slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
                slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
            ),
            panel.volumeChanged,
        )
        # A volume is known to the scene before its reader has said where it comes from.
        self._origin_timer = _timer(_SETTLE_MS, panel.volumeChanged)
        self._origin = Watcher(
            (
                vtk.vtkCommand.ModifiedEvent,
                slicer.vtkMRMLNode.ReferenceAddedEvent,
                slicer.vtkMRMLNode.ReferenceModifiedEvent,
            ),
            self._on_origin,
        )

    @property
    def segmentation(self) -> Any:
        """The segmentation that is followed."""
        return self._segmentation.node

    def watch(self, segmentation: Any, volume: Any) -> None:
        """Follow these nodes, and no longer those before."""
        self._segmentation.watch(segmentation)
        self._volume.watch(volume)
        self._origin.watch(volume)

    def make_surfaces_soon(self) -> None:
        """The slices are shown first, for surfaces take their time."""
        self._surface_timer.start()

    def has_settled(self) -> None:
        """The panel shows everything; what it did itself is nothing to catch up with."""
        self._settle_timer.stop()

    def rest(self) -> None:
        """Nothing is to be shown any more."""
        self._settle_timer.stop()
        self._surface_timer.stop()
        self._origin_timer.stop()

    def _on_origin(self) -> None:
        if self._panel.isOpen:
            self._origin_timer.start()

    def _on_fragments(self) -> None:
        # A brush stroke reports hundreds of changes; the table follows when it has settled.
        if self._panel.isOpen:
            self._settle_timer.start()

    def _on_settled(self) -> None:
        self._panel.correct.settle()
        self._panel.fragmentsChanged()

    def _on_surfaces(self) -> None:
        self._panel.showSurfaces()
        self.has_settled()


def _timer(interval_ms: int, action: Callable[[], None]) -> Any:
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(interval_ms)
    timer.connect("timeout()", action)
    return timer
