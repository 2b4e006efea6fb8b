"""Regions of a bone: more than it has fragments, so that every fracture runs between two of them.

The catchment basins of a landscape that rises towards fractures (Vincent and Soille, Watersheds in
digital spaces, IEEE PAMI 13(6), 1991). Contact is a ridge however faint it is; a valley through a
hole in it is shallow, since the ground falls with the distance from contact; a dark line in the CT
is a ridge too, where the network saw none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence
from FractureSegmentationLib.instances.learned.faces import crack_darkness, mean_within
from FractureSegmentationLib.types import HuArray
from FractureSegmentationLib.voxels.distance import distance_to_mm, label_depth_mm
from FractureSegmentationLib.voxels.geodesic import grow_geodesic
from FractureSegmentationLib.voxels.windows import another_label_near

_FLOOR_SHARE = 0.2
"""Contact below this share of `seen_level` is none at all."""

_LIKELY = 0.5
_CONTACT_COST = 3.0


def landscape(
    evidence: Evidence, hu: HuArray | None, config: RecoveryConfig
) -> npt.NDArray[np.float32]:
    """How near to a fracture each voxel of a bone is.

    Args:
        evidence: of the bone.
        hu: (K, J, I) the CT on the same grid; None where it is not known.
        config: the weights of what is seen.

    Returns:
        (K, J, I) float32: log-odds of contact, less the distance from it and plus that into it,
        plus the darkness of cracks, smoothed within the bone; 0 outside it.
    """
    bone, spacing_mm = evidence.bone, evidence.spacing_mm
    floor = np.float32(max(_FLOOR_SHARE * config.seen_level, 1e-6))
    height = np.log((evidence.contact + floor) / (1.0 + floor - evidence.contact))
    is_contact = bone & (evidence.contact >= config.seen_level)
    height -= config.slope_per_mm * distance_to_mm(is_contact, spacing_mm, config.reach_mm)
    # In a band of sure contact the ground is flat; its middle is where the fracture runs.
    is_band = evidence.contact >= _LIKELY
    height += config.slope_per_mm * label_depth_mm(
        is_band.view(np.uint8), spacing_mm, config.reach_mm
    )
    if hu is not None and config.crack_weight > 0.0:
        height += config.crack_weight * crack_darkness(hu, bone, spacing_mm)
    return mean_within(height, bone, spacing_mm, config.smoothing_mm)


def basins(
    evidence: Evidence, hu: HuArray | None, config: RecoveryConfig
) -> npt.NDArray[np.uint32]:
    """The regions of a bone.

    Args:
        evidence: of the bone.
        hu: (K, J, I) the CT on the same grid; None where it is not known.
        config: see `RecoveryConfig`.

    Returns:
        (K, J, I) regions from 1, 0 outside the bone.
    """
    bone = evidence.bone
    height = landscape(evidence, hu, config)
    # A wall around the bone: nothing flows through the air, and nothing begins there.
    wall = np.float32(height[bone].max(initial=0.0) + 10.0 * config.least_rise + 10.0)
    walled = np.pad(np.where(bone, height, wall), 1, constant_values=wall)
    found = sitk.GetArrayFromImage(
        sitk.MorphologicalWatershed(
            sitk.GetImageFromArray(walled),
            level=config.least_rise,
            markWatershedLine=False,
            fullyConnected=False,
        )
    )[1:-1, 1:-1, 1:-1]
    return _with_even_borders(np.where(bone, found, 0).astype(np.uint32), evidence)


def _with_even_borders(
    regions: npt.NDArray[np.uint32], evidence: Evidence
) -> npt.NDArray[np.uint32]:
    """The same regions, met half-way: voxels on a crest went to either side by chance.

    Voxels beside another region are divided anew by distance in mm; contact is crossed slowly, so
    that the border stays in it. A region that has no other voxels keeps its own.
    """
    is_border = another_label_near(regions, 1)
    kept = np.bincount(regions[~is_border], minlength=int(regions.max()) + 1)
    is_lost = kept == 0
    cores = np.where(is_border & ~is_lost[regions], 0, regions)
    slowness = np.float32(1.0) + np.float32(_CONTACT_COST) * evidence.contact
    grown = grow_geodesic(cores, evidence.bone, slowness, evidence.spacing_mm)
    return np.where(grown > 0, grown, regions)
