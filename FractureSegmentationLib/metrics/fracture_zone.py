"""Where in a bone the fractures are."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from FractureSegmentationLib.metrics.boxes import grown_box, label_boxes
from FractureSegmentationLib.types import Box, LabelArray, MaskArray, Spacing


def fracture_zone(fragments: LabelArray, spacing_mm: Spacing, reach_mm: float) -> MaskArray:
    """Every voxel that has at least two different fragments within `reach_mm`.

    Between touching fragments that is what lies within the reach of their interface; of fragments
    that a gap parts, what lies within the reach of the other one. A bone in one piece has no zone.

    Args:
        fragments: (K, J, I) true fragments of one bone, 0 elsewhere.
        spacing_mm: voxel size along (k, j, i), in mm.
        reach_mm: distance between voxel centres, in mm.

    Returns:
        (K, J, I) mask.
    """
    near = np.zeros(fragments.shape, np.uint8)
    for label, box in label_boxes(fragments).items():
        around = _reached(box, fragments, spacing_mm, reach_mm)
        distance_mm = distance_transform_edt(fragments[around] != label, sampling=spacing_mm)
        near[around] = np.minimum(near[around] + (distance_mm <= reach_mm), 2)
    zone: MaskArray = near == 2
    return zone


def _reached(box: Box, fragments: LabelArray, spacing_mm: Spacing, reach_mm: float) -> Box:
    dk, dj, di = (int(reach_mm / step) + 1 for step in spacing_mm)
    k, j, i = fragments.shape
    return grown_box(box, (dk, dj, di), (k, j, i))
