"""Small bones for the tests of the simulator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SPACING_MM = (1.0, 1.0, 1.0)


def long_bone() -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """A tube of 90 mm with a cortex of 3 mm at 1000 HU around marrow of 200 HU, in muscle of 50."""
    k, j, i = np.ogrid[:100, :40, :40]
    radius = np.hypot(j - 19.5, i - 19.5) + 0.0 * k
    along = (k >= 5) & (k < 95)
    bone = along & (radius <= 12.0)
    hu = np.full(bone.shape, 50, np.int16)
    hu[bone] = 1000
    hu[along & (k >= 8) & (k < 92) & (radius <= 9.0)] = 200
    return hu, bone


def halves(gap: int = 0) -> npt.NDArray[np.uint8]:
    """Two boxes of 10 x 10 x 10 voxels that face each other across `gap` voxels along k."""
    labels = np.zeros((24 + gap, 14, 14), np.uint8)
    labels[2:12, 2:12, 2:12] = 1
    labels[12 + gap : 22 + gap, 2:12, 2:12] = 2
    return labels
