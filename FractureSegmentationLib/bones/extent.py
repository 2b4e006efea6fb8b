"""The extent of bones: grown or shrunk by some millimetres, or fitted to a CT masked beforehand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.bones.crop import padded_box
from FractureSegmentationLib.types import MaskArray, Spacing
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.components import label_components
from FractureSegmentationLib.voxels.distance import distance_to_mm
from FractureSegmentationLib.voxels.upsample import fill_from_nearest

_REACH_MM = 6.0


def grow_bone(
    bone: MaskArray, others: MaskArray, spacing_mm: Spacing, distance_mm: float
) -> MaskArray:
    """A bone grown on all sides; what two bones could claim goes to the nearer.

    Args:
        bone: (K, J, I) the bone.
        others: (K, J, I) all other bones; they keep their voxels.
        spacing_mm: voxel size along (k, j, i), in mm.
        distance_mm: how far it grows.

    Returns:
        (K, J, I) the grown bone; at equal distance a voxel stays background.
    """
    own_mm = distance_to_mm(bone, spacing_mm, distance_mm + max(spacing_mm))
    grown: MaskArray = own_mm <= distance_mm
    if others.any():
        grown &= own_mm < distance_to_mm(others, spacing_mm, distance_mm + max(spacing_mm))
    return grown | bone


def shrink_bone(bone: MaskArray, spacing_mm: Spacing, distance_mm: float) -> MaskArray:
    """The part of a bone that is deeper than `distance_mm`; the array's edge is no surface."""
    deep: MaskArray = distance_to_mm(~bone, spacing_mm, distance_mm + max(spacing_mm)) > distance_mm
    return deep


def fitted_to_masked_ct(ct: Volume, bones: LabelVolume) -> LabelVolume:
    """Bones that end exactly where the CT says so.

    Outside the bones the CT is 0 HU. A few voxels inside are 0 by chance;
    bone encloses them.

    Args:
        ct: a CT that is 0 HU everywhere outside its bones.
        bones: mask values that roughly cover them, on the same grid.

    Returns:
        uint8 mask values: every voxel of the CT's bones near a detected bone has the nearest one.
    """
    fitted = np.zeros(bones.voxels.shape, np.uint8)
    detected = bounding_box(bones.voxels != 0)
    if detected is not None:
        box = padded_box(detected, ct.geometry, _REACH_MM)
        inside = _without_holes(ct.voxels[box] != 0)
        rough: npt.NDArray[np.uint16] = np.where(inside, bones.voxels[box], 0).astype(np.uint16)
        fitted[box] = fill_from_nearest(rough, inside, ct.geometry.spacing_mm)
    return LabelVolume(voxels=fitted, geometry=bones.geometry)


def _without_holes(mask: MaskArray) -> MaskArray:
    """The mask with everything that it encloses."""
    empty = label_components(np.pad(~mask, 1, constant_values=True), 6)
    filled: MaskArray = (empty != empty[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled
