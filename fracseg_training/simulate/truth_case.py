"""A CT whose fragments are known exactly, because it was made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import Spacing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TruthCase:
    """A CT with its bones and fragments.

    Attributes:
        hu: (K, J, I) int16 Hounsfield units.
        bones: (K, J, I) uint8 catalogue mask values.
        fragments: (K, J, I) uint16 in the project's own numbering; an unbroken bone is fragment 1.
        geometry: the grid of all three.
    """

    hu: npt.NDArray[np.int16]
    bones: npt.NDArray[np.uint8]
    fragments: npt.NDArray[np.uint16]
    geometry: Geometry

    @property
    def spacing_mm(self) -> Spacing:
        """Voxel size along (k, j, i), in mm."""
        return self.geometry.spacing_mm
