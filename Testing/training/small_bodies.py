"""Bodies of a few thousand voxels that tests of synthesis and bone training share."""

from __future__ import annotations

import numpy as np

from fracseg_training.synthesis.label_map import LabelMap

NAMES = {
    1: "femur_left",
    2: "femur_right",
    3: "hip_left",
    4: "hip_right",
    5: "sacrum",
    6: "vertebrae_S1",
    7: "vertebrae_L5",
    8: "colon",
    9: "urinary_bladder",
    10: "gluteus_maximus_left",
    11: "aorta",
    12: "humerus_left",
}
"""Some of TotalSegmentator's names. Left lies at high i."""

_BLOBS = {
    # label: centre (k, j, i) and half axes, in voxels of 4 mm
    10: ((9, 40, 52), (7, 5, 8)),
    8: ((27, 26, 40), (5, 5, 9)),
    9: ((13, 22, 40), (5, 5, 6)),
    11: ((32, 34, 40), (8, 2, 2)),
    7: ((38, 40, 40), (4, 5, 6)),
    3: ((17, 33, 53), (11, 6, 5)),
    4: ((17, 33, 27), (11, 6, 5)),
    5: ((24, 42, 40), (9, 4, 8)),
    6: ((30, 40, 40), (3, 3, 3)),
    1: ((4, 33, 60), (9, 4, 4)),
    2: ((4, 33, 20), (9, 4, 4)),
}


def a_small_body() -> LabelMap:
    """A pelvis of ellipsoids, 44 x 64 x 80 voxels of 4 mm."""
    labels = np.zeros((44, 64, 80), np.uint8)
    grid = np.indices(labels.shape)
    for value, (centre, half_axes) in _BLOBS.items():
        offset = [(grid[axis] - centre[axis]) / half_axes[axis] for axis in range(3)]
        labels[sum(part**2 for part in offset) <= 1.0] = value
    return LabelMap(labels=labels, names=NAMES, spacing_mm=(4.0, 4.0, 4.0))
