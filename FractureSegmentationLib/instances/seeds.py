"""Seeds: parts of a bone that surely belong to one fragment each."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence
from FractureSegmentationLib.types import MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.components import (
    Connectivity,
    connected_components,
    label_components,
)
from FractureSegmentationLib.voxels.distance import label_depth_mm, within_mm
from FractureSegmentationLib.voxels.geodesic import grow_geodesic

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


def hierarchical_seeds(evidence: Evidence, config: RecoveryConfig) -> SeedLabels:
    """Seeds at falling distances from contact: wide ones close holes, narrow ones find small parts.

    The first level bridges holes in the predicted contact. At each later level the seeds first
    grow through the interior that this level opens; a component in which there is none, and which
    is not small, becomes one: a fragment narrower than the first level is not lost. Small ones
    come last, and only if the contact around them is a wall: a pocket in a sheet of contact
    looks like a small fragment, but is parted from its neighbours by a voxel or two.

    Returns:
        (K, J, I) seed labels 1..n, 0 elsewhere.
    """
    interior = evidence.interior_mask()
    spacing_mm = evidence.spacing_mm
    is_contact = evidence.contact >= max(config.contact_level, 1e-6)
    first = interior & ~within_mm(is_contact, spacing_mm, config.levels_mm[0])
    min_voxels = config.voxels(config.min_seed_mm3, spacing_mm)
    seeds = _long_components(first, spacing_mm, config.min_diameter_mm, min_voxels, 6)
    min_open_voxels = config.voxels(config.min_open_seed_mm3, spacing_mm)
    for level_mm in config.levels_mm[1:]:
        core = interior & ~within_mm(is_contact, spacing_mm, level_mm)
        seeds = _flooded(seeds, core, spacing_mm)
        seeds = _with_seedless(seeds, core & (seeds == 0), interior, min_open_voxels)
    core = interior | _rim(is_contact, spacing_mm, config.min_wall_mm / 2.0)
    reached = _flooded(seeds, core, spacing_mm)
    return _with_seedless(seeds, core & (reached == 0), interior, min_voxels)


def _flooded(seeds: SeedLabels, core: MaskArray, spacing_mm: Spacing) -> SeedLabels:
    return grow_geodesic(seeds, core, np.ones(core.shape, np.float32), spacing_mm)


def _rim(mask: MaskArray, spacing_mm: Spacing, width_mm: float) -> MaskArray:
    """The voxels of `mask` at most `width_mm` below its surface, measured to voxel centres."""
    rim = np.zeros(mask.shape, bool)
    box = bounding_box(mask, margin=1)
    if box is not None and width_mm > 0.0:
        limit_mm = width_mm + max(spacing_mm)
        depth_mm = label_depth_mm(mask[box].view(np.uint8), spacing_mm, limit_mm)
        rim[box] = mask[box] & (depth_mm <= width_mm)
    return rim


def _with_seedless(
    seeds: SeedLabels, unclaimed: MaskArray, interior: MaskArray, min_voxels: int
) -> SeedLabels:
    """Add the interior of each component of what no seed could reach, where there is enough."""
    components = label_components(unclaimed, 6)
    components[~interior] = 0
    is_new = np.bincount(components.ravel()) >= min_voxels
    is_new[0] = False
    lookup = np.zeros(is_new.size, np.uint32)
    lookup[is_new] = int(seeds.max()) + 1 + np.arange(int(is_new.sum()))
    return np.where(is_new[components], lookup[components], seeds)


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
