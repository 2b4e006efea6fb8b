"""What can be said of the final interfaces, for the report and for the surgeon."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.instances.adjacency import Pair, touches
from FractureSegmentationLib.instances.merge import neck
from FractureSegmentationLib.instances.result import Interface
from FractureSegmentationLib.types import Box, FloatArray, LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.distance import distance_to_mm
from FractureSegmentationLib.voxels.windows import window_maximum


def describe_interfaces(
    labels: LabelArray,
    separation: FloatArray,
    contact: FloatArray,
    weight: FloatArray,
    spacing_mm: Spacing,
    reach_mm: float,
) -> tuple[Interface, ...]:
    """One entry per pair of touching fragments, in the order of their labels.

    Args:
        labels: (K, J, I) fragments 1..n of one bone, 0 outside.
        separation: (K, J, I) separation probability close to each voxel.
        contact: (K, J, I) contact probability.
        weight: (K, J, I) how much a voxel counts, 0 to 1, see `Evidence.weight`.
        spacing_mm: voxel size along (k, j, i), in mm.
        reach_mm: what counts as close to an interface.
    """
    if int(labels.max(initial=0)) < 2:
        return ()
    partings = touches(labels, separation, weight, spacing_mm)
    sizes_mm3 = np.bincount(labels[labels != 0]) * float(np.prod(spacing_mm))
    boxes = find_objects(labels)
    margin = int(reach_mm / min(spacing_mm)) + 2
    return tuple(
        Interface(
            a=a,
            b=b,
            area_mm2=touch.face_mm2,
            contact_area_mm2=touch.contact_mm2,
            support=touch.support,
            mean_contact=_mean_close_by(
                labels,
                (a, b),
                _meeting_box(labels, (a, b), (boxes[a - 1], boxes[b - 1]), margin),
                contact,
                spacing_mm,
                reach_mm,
            ),
            neck=neck(touch, float(min(sizes_mm3[a], sizes_mm3[b]))),
        )
        for (a, b), touch in sorted(partings.items())
    )


def _mean_close_by(
    labels: LabelArray,
    pair: Pair,
    box: Box,
    contact: FloatArray,
    spacing_mm: Spacing,
    reach_mm: float,
) -> float:
    """Mean over the voxels of both fragments at most `reach_mm` from one on the interface."""
    is_a, is_b = (labels[box] == label for label in pair)
    on_interface = (is_a & _beside(is_b)) | (is_b & _beside(is_a))
    distance_mm = distance_to_mm(on_interface, spacing_mm, reach_mm + max(spacing_mm))
    close = (is_a | is_b) & (distance_mm <= reach_mm)
    return float(contact[box][close].mean())


def _beside(mask: MaskArray) -> MaskArray:
    near: MaskArray = window_maximum(mask, 1)
    return near


def _meeting_box(labels: LabelArray, pair: Pair, boxes: tuple[Box, Box], margin: int) -> Box:
    """The box in which two touching fragments meet, with a margin within the grid.

    Only the overlap of their boxes is searched: a part of the bone, and for small fragments
    a small one.
    """
    overlap = tuple(
        slice(max(a.start, b.start, 1) - 1, min(a.stop, b.stop) + 1)
        for a, b in zip(*boxes, strict=True)
    )
    is_a, is_b = (labels[overlap] == label for label in pair)
    meeting = bounding_box(_beside(is_a) & is_b)
    if meeting is None:
        raise ValueError("the regions do not touch")
    k, j, i = (
        slice(max(at.start + side.start - margin, 0), min(at.start + side.stop + margin, count))
        for at, side, count in zip(overlap, meeting, labels.shape, strict=True)
    )
    return (k, j, i)
