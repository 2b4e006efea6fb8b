"""Bones from the user's own mask or segmentation."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.anatomy.catalogue import BONES
from FractureSegmentationLib.errors import InputError, NoBoneError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.grid import placed_on_grid
from FractureSegmentationLib.volume import LabelVolume


def bones_from_labels(labels: LabelVolume, ct_geometry: Geometry) -> LabelVolume:
    """Take a label map whose values are the catalogue's mask values.

    Args:
        labels: on the CT's grid, or on a box of its voxels.
        ct_geometry: the grid of the CT.

    Returns:
        uint8 mask values on the CT's grid.

    Raises:
        InputError: the grid does not fit, or a value belongs to no bone.
        NoBoneError: the label map is empty.
    """
    values = labels.values()
    if not values:
        raise NoBoneError(
            "The bone segmentation is empty.", "Give one that holds at least one bone."
        )
    known = {bone.mask_value: bone.slug for bone in BONES}
    if foreign := [value for value in values if value not in known]:
        meaning = ", ".join(f"{value} {slug}" for value, slug in known.items())
        raise InputError(
            f"The bone segmentation holds the values {_listed(foreign)}, which stand for no bone.",
            f"Use these values: {meaning}.",
        )
    placed = placed_on_grid(labels, ct_geometry)
    return LabelVolume(voxels=placed.voxels.astype(np.uint8, copy=False), geometry=placed.geometry)


def _listed(values: list[int]) -> str:
    shown = ", ".join(str(value) for value in values[:5])
    return shown if len(values) <= 5 else f"{shown} and {len(values) - 5} more"
