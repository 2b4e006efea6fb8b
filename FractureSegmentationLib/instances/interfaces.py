"""What can be said of the final interfaces, for the report and for the surgeon."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.instances.adjacency import touches
from FractureSegmentationLib.instances.depth import distance_to_mm
from FractureSegmentationLib.instances.merge import neck
from FractureSegmentationLib.instances.result import Interface
from FractureSegmentationLib.instances.windows import bounding_box, window_maximum
from FractureSegmentationLib.types import Box, FloatArray, LabelArray, MaskArray, Spacing


def describe_interfaces(
    labels: LabelArray,
    separation: FloatArray,
    contact: FloatArray,
    foreground: FloatArray,
    spacing_mm: Spacing,
    reach_mm: float,
) -> tuple[Interface, ...]:
    """One entry per pair of touching fragments, in the order of their labels.

    Args:
        labels: (K, J, I) fragments 1..n of one bone, 0 outside.
        separation: (K, J, I) separation probability close to each voxel.
        contact: (K, J, I) contact probability.
        foreground: (K, J, I) probability that a voxel is bone.
        spacing_mm: voxel size along (k, j, i), in mm.
        reach_mm: what counts as close to an interface.
    """
    if int(labels.max(initial=0)) < 2:
        return ()
    sizes_mm3 = np.bincount(labels.ravel()) * float(np.prod(spacing_mm))
    partings = touches(labels, separation, foreground, spacing_mm)
    return tuple(
        Interface(
            a=a,
            b=b,
            area_mm2=touch.face_mm2,
            contact_area_mm2=touch.contact_mm2,
            support=touch.support,
            mean_contact=_mean_close_by(labels, a, b, contact, spacing_mm, reach_mm),
            neck=neck(touch, float(min(sizes_mm3[a], sizes_mm3[b]))),
        )
        for (a, b), touch in sorted(partings.items())
    )


def _mean_close_by(
    labels: LabelArray,
    a: int,
    b: int,
    contact: FloatArray,
    spacing_mm: Spacing,
    reach_mm: float,
) -> float:
    """Mean over the voxels of both fragments at most `reach_mm` from one on the interface."""
    box = _shared_box(labels == a, labels == b, int(reach_mm / min(spacing_mm)) + 2)
    part = labels[box]
    is_a, is_b = part == a, part == b
    on_interface = (is_a & _beside(is_b)) | (is_b & _beside(is_a))
    distance_mm = distance_to_mm(on_interface, spacing_mm, reach_mm + max(spacing_mm))
    close = (is_a | is_b) & (distance_mm <= reach_mm)
    return float(contact[box][close].mean())


def _beside(mask: MaskArray) -> MaskArray:
    near: MaskArray = window_maximum(mask, 1)
    return near


def _shared_box(a: MaskArray, b: MaskArray, margin: int) -> Box:
    """The box in which two touching regions can meet, with a margin."""
    box = bounding_box(_beside(a) & b, margin)
    if box is None:
        raise ValueError("the regions do not touch")
    return box
