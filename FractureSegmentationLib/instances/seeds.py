"""Seeds: parts of a bone that surely belong to one fragment each."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence
from FractureSegmentationLib.types import MaskArray, Spacing
from FractureSegmentationLib.voxels.components import (
    Connectivity,
    connected_components,
)
from FractureSegmentationLib.voxels.distance import within_mm

SeedLabels = npt.NDArray[np.uint32]


def paper_seeds(evidence: Evidence, config: RecoveryConfig) -> SeedLabels:
    """Seeds as published: interiors apart once contact is dilated, tiny ones dropped.

    Dilation is by distance, so that it is a ball on any grid; the diameter of a component is the
    diagonal of its bounding box, voxel borders included.

    Returns:
        (K, J, I) seed labels 1..n, 0 elsewhere.
    """
    dilated = within_mm(evidence.contact_class(), evidence.spacing_mm, config.paper_dilation_mm)
    core = evidence.interior_mask() & ~dilated
    return _long_components(core, evidence.spacing_mm, config.min_diameter_mm, 1, 26)


def _long_components(
    core: MaskArray,
    spacing_mm: Spacing,
    min_diameter_mm: float,
    min_voxels: int,
    connectivity: Connectivity,
) -> SeedLabels:
    components = connected_components(core, connectivity)
    lookup = np.zeros(components.count + 1, np.uint32)
    kept = 0
    for label in range(1, components.count + 1):
        sides = [b.stop - b.start for b in components.boxes[label]]
        diagonal_mm = math.hypot(*(n * s for n, s in zip(sides, spacing_mm, strict=True)))
        if diagonal_mm >= min_diameter_mm and components.sizes[label] >= min_voxels:
            kept += 1
            lookup[label] = kept
    seeds = components.labels
    seeds[core] = lookup[seeds[core]]
    return seeds
