"""How far a pose takes a fragment: mm and degrees, as people say it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.planning.pose import Pose, moved_points
from FractureSegmentationLib.types import PointLps
from FractureSegmentationLib.volume import LabelVolume


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacement:
    """What a pose does to one fragment.

    A translation alone says little: about which point it turned decides it. That of the centroid
    and the angle of the turn do not depend on where the handles were.

    Attributes:
        shift_lps_mm: where the centroid goes, as (x, y, z) from where it was, in mm.
        rotation_degrees: 0 to 180.
    """

    shift_lps_mm: PointLps
    rotation_degrees: float

    @property
    def translation_mm(self) -> float:
        """How far the centroid goes."""
        return math.hypot(*self.shift_lps_mm)


def displacement_of(pose: Pose, centroid_lps_mm: PointLps) -> Displacement:
    """Measure a pose.

    Args:
        pose: (4, 4) rigid motion in LPS, mm.
        centroid_lps_mm: of the fragment where the CT shows it.
    """
    centre = np.asarray(centroid_lps_mm, float)
    x, y, z = (float(value) for value in moved_points(pose, centre) - centre)
    rotation = pose[:3, :3]
    # The skew part is exact for small angles, the trace for large ones; atan2 takes the better.
    skew = (rotation - rotation.T)[[2, 0, 1], [1, 2, 0]]
    sine, cosine = float(np.linalg.norm(skew)) / 2.0, (float(np.trace(rotation)) - 1.0) / 2.0
    return Displacement(
        shift_lps_mm=(x, y, z), rotation_degrees=math.degrees(math.atan2(sine, cosine))
    )


def centroids_lps_mm(labels: LabelVolume) -> dict[int, PointLps]:
    """The centre of every label's voxels, in LPS, mm."""
    boxes = find_objects(labels.voxels)
    centres = {}
    for label, box in enumerate(boxes, start=1):
        if box is None:
            continue
        first = np.array([side.start for side in box])
        middle = np.argwhere(labels.voxels[box] == label).mean(axis=0) + first
        x, y, z = (float(value) for value in labels.geometry.to_lps(middle))
        centres[label] = (x, y, z)
    return centres
