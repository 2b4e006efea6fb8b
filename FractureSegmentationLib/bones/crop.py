"""One bone cut out of the CT and brought to the working grid, and labels carried back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.anatomy.catalogue import Bone, bone_of_mask_value
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import Box, LabelArray, MaskArray, Spacing
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.boxes import grown_box
from FractureSegmentationLib.voxels.orient import AxisOrder, canonical_order
from FractureSegmentationLib.voxels.resample import resample_mask, resample_volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneCrop:
    """A bone with some margin, its axes turned to those of an axial CT.

    Attributes:
        bone: which one.
        box: where the crop lies in the CT.
        order: how the CT's axes were turned.
        native: the crop's grid at the spacing of the CT, axes turned.
        native_mask: (K, J, I) the bone on `native`.
        ct: the crop at the working spacing, float32 HU.
        mask: (K, J, I) the bone on the grid of `ct`.
    """

    bone: Bone
    box: Box
    order: AxisOrder
    native: Geometry
    native_mask: MaskArray
    ct: Volume
    mask: MaskArray

    @property
    def working(self) -> Geometry:
        """The working grid."""
        return self.ct.geometry

    def paste(self, labels: LabelArray, into: LabelArray) -> None:
        """Write the labels of this bone into an array on the CT's grid.

        Args:
            labels: (K, J, I) on `native`; 0 leaves what is there.
            into: (K, J, I) on the CT's grid; changed in place.
        """
        straight = self.order.undo(labels)
        np.copyto(into[self.box], straight, where=straight != 0, casting="unsafe")


def padded_box(box: Box, geometry: Geometry, margin_mm: float) -> Box:
    """A box grown by a margin on every side, within the grid."""
    margins = [math.ceil(margin_mm / spacing) for spacing in geometry.spacing_mm]
    return grown_box(box, margins, geometry.shape)


def bone_crops(
    ct: Volume, bones: LabelVolume, *, margin_mm: float, spacing_mm: Spacing
) -> Iterator[BoneCrop]:
    """Cut the bones out one after the other, in the order of their mask values.

    A crop is made when it is asked for, so one bone at a time is in memory.

    Args:
        ct: the CT.
        bones: catalogue mask values on the CT's grid.
        margin_mm: what is kept around each bone.
        spacing_mm: the working spacing along Superior, Posterior and Left.

    Yields:
        One crop per bone that occurs.

    Raises:
        ValueError: the grids differ, or a value belongs to no bone.
    """
    if ct.geometry.shape != bones.geometry.shape:
        raise ValueError(f"CT {ct.geometry.shape} and bones {bones.geometry.shape} differ in grid")
    for value, box in enumerate(find_objects(bones.voxels), start=1):
        if box is not None:
            bone = bone_of_mask_value(value)
            yield _crop(ct, bones, bone, padded_box(box, ct.geometry, margin_mm), spacing_mm)


def _crop(ct: Volume, bones: LabelVolume, bone: Bone, box: Box, spacing_mm: Spacing) -> BoneCrop:
    order = canonical_order(ct.geometry)
    native = order.volume(ct.cropped(box))
    mask = order.apply(bones.voxels[box]) == bone.mask_value
    working = native.geometry.resampled(spacing_mm)
    return BoneCrop(
        bone=bone,
        box=box,
        order=order,
        native=native.geometry,
        native_mask=mask,
        # Linear, as training cuts its patches; a spline would also ring at the edge of the bone.
        ct=resample_volume(native, working, order=1),
        mask=resample_mask(mask, native.geometry, working),
    )
