"""How far a found bone may reach: grown by a few millimetres, never into its neighbour."""

from __future__ import annotations

from FractureSegmentationLib.types import MaskArray, Spacing
from FractureSegmentationLib.voxels.distance import distance_to_mm


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
        (K, J, I) the grown bone; at equal distance a voxel stays nobody's.
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
