"""Surfaces of fragments in the 3D view, made after their slices are visible."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import slicer

from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.tags import SURFACE

_SMOOTHING = "Smoothing factor"


def show_surfaces(node: SegmentationNode, *, smoothing: float = 0.5) -> None:
    """Make the surfaces that are missing, and show them in the 3D views.

    The first call makes all; after an edit only what changed is made again.

    Args:
        node: the segmentation.
        smoothing: from 0 (steps between voxels stay) to 1; another value than before makes all
            surfaces again.

    Raises:
        ValueError: smoothing is not between 0 and 1.
    """
    if not 0.0 <= smoothing <= 1.0:
        raise ValueError(f"smoothing must lie in [0, 1], got {smoothing}")
    segmentation = node.GetSegmentation()
    if float(segmentation.GetConversionParameter(_SMOOTHING) or -1.0) != smoothing:
        hide_surfaces(node)
        segmentation.SetConversionParameter(_SMOOTHING, f"{smoothing:g}")
    segmentation.CreateRepresentation(SURFACE)
    display = node.GetDisplayNode()
    if display is not None:
        display.SetPreferredDisplayRepresentationName3D(SURFACE)
        display.SetVisibility3D(True)


def hide_surfaces(node: SegmentationNode) -> None:
    """Take all surfaces away; edits are faster without."""
    if has_surfaces(node):
        node.GetSegmentation().RemoveRepresentation(SURFACE)


def has_surfaces(node: SegmentationNode) -> bool:
    """Whether any segment has a surface; after an edit, those that changed have none."""
    segmentation = node.GetSegmentation()
    return any(
        segmentation.GetSegment(segment_id).GetRepresentation(SURFACE) is not None
        for segment_id in segmentation.GetSegmentIDs()
    )


@contextlib.contextmanager
def surfaces_kept(node: SegmentationNode, changed: Iterable[str]) -> Iterator[None]:
    """Keep the surfaces of all segments that do not change while the layer they share does.

    Slicer throws away every surface when a shared layer is modified, and makes one for every
    segment that is added while there are any.

    Args:
        node: the segmentation.
        changed: ids of the segments whose surfaces are no longer true afterwards.
    """
    segmentation = node.GetSegmentation()
    stale = set(changed)
    kept = {}
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        surface = segment.GetRepresentation(SURFACE)
        if surface is not None:
            kept[segment_id] = surface
            segment.RemoveRepresentation(SURFACE)
    yield
    for segment_id, surface in kept.items():
        segment = segmentation.GetSegment(segment_id)
        if segment is not None and segment_id not in stale:
            segment.AddRepresentation(SURFACE, surface)
    if kept:
        segmentation.InvokeEvent(slicer.vtkSegmentation.ContainedRepresentationNamesModified)
