"""Poses for tests."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.planning.pose import Pose
from FractureSegmentationLib.types import PointLps


def shift_by(shift_lps_mm: PointLps) -> Pose:
    """The motion that moves everything by (x, y, z) in LPS, mm."""
    pose = np.eye(4)
    pose[:3, 3] = shift_lps_mm
    return pose
