"""Bones of a CT from which everything but bone was removed beforehand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.bones.crop import padded_box
from FractureSegmentationLib.types import MaskArray
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.components import label_components
from FractureSegmentationLib.voxels.upsample import fill_from_nearest

_REACH_MM = 6.0


def fitted_to_masked_ct(ct: Volume, bones: LabelVolume) -> LabelVolume:
    """Bones that end exactly where the CT says so.

    Outside the bones the CT is 0 HU. A few voxels inside are 0 by chance;
    bone encloses them.

    Args:
        ct: a CT that is 0 HU everywhere outside its bones.
        bones: mask values that roughly cover them, on the same grid.

    Returns:
        uint8 mask values: every voxel of the CT's bones near a found bone has the nearest one.
    """
    fitted = np.zeros(bones.voxels.shape, np.uint8)
    found = bounding_box(bones.voxels != 0)
    if found is not None:
        box = padded_box(found, ct.geometry, _REACH_MM)
        inside = _without_holes(ct.voxels[box] != 0)
        rough: npt.NDArray[np.uint16] = np.where(inside, bones.voxels[box], 0).astype(np.uint16)
        fitted[box] = fill_from_nearest(rough, inside, ct.geometry.spacing_mm)
    return LabelVolume(voxels=fitted, geometry=bones.geometry)


def _without_holes(mask: MaskArray) -> MaskArray:
    """The mask with everything that it encloses."""
    empty = label_components(np.pad(~mask, 1, constant_values=True), 6)
    filled: MaskArray = (empty != empty[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled
