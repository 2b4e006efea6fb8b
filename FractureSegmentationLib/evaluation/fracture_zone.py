"""Where in a bone the fractures are."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from FractureSegmentationLib.evaluation.pair_boxes import label_boxes
from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import grown_box


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
    reach = [int(reach_mm / step) + 1 for step in spacing_mm]
    for label, box in label_boxes(fragments).items():
        around = grown_box(box, reach, fragments.shape)
        distance_mm = distance_transform_edt(fragments[around] != label, sampling=spacing_mm)
        near[around] = np.minimum(near[around] + (distance_mm <= reach_mm), 2)
    zone: MaskArray = near == 2
    return zone
