"""Whether labels lie on the grid of a CT, and putting them there where they hold a part of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.boxes import box_between
from FractureSegmentationLib.voxels.orient import order_towards

_SAME_PLACE_VOXELS = 0.05  # file headers round spacings and origins


def is_same_grid(one: Geometry, other: Geometry) -> bool:
    """Whether two grids are one, but for what file headers round away."""
    return one.is_close_to(other, tolerance_mm=_SAME_PLACE_VOXELS * min(one.spacing_mm))


def differing_grids(ct: Geometry, labels: Geometry) -> InputError:
    """The refusal of labels that were not made on the CT; it says in what they differ."""
    if ct.shape != labels.shape:
        difference = f"{_size(ct)} voxels against {_size(labels)}"
    else:
        difference = "their voxels lie at different places"
    return InputError(
        f"The CT and the label file do not share one grid: {difference}.",
        "Give labels that were made on this CT, or resample them to it.",
    )


def placed_on_grid(labels: LabelVolume, geometry: Geometry) -> LabelVolume:
    """Labels of a part of a volume, on the whole grid of that volume.

    3D Slicer may save only the box that holds the segments, and converters flip and permute axes
    while every voxel keeps its place in the patient. What sticks out of the grid must be
    background.

    Args:
        labels: on the grid, or on a box of the same voxels, its axes in any order and either way.
        geometry: the grid of the CT.

    Returns:
        Labels of the geometry given, 0 where `labels` says nothing.

    Raises:
        InputError: the voxels do not coincide, or labels lie outside the grid.
    """
    labels = order_towards(labels.geometry, geometry.direction).volume(labels)
    if is_same_grid(geometry, labels.geometry):
        return replace(labels, voxels=np.ascontiguousarray(labels.voxels), geometry=geometry)
    origin_lps_mm = np.array(labels.geometry.origin_lps_mm)
    start = np.rint(geometry.to_index(origin_lps_mm)).astype(int)
    x, y, z = (float(value) for value in geometry.to_lps(start))
    same_voxels = replace(geometry, shape=labels.geometry.shape, origin_lps_mm=(x, y, z))
    if not is_same_grid(same_voxels, labels.geometry):
        raise differing_grids(geometry, labels.geometry)
    first = np.maximum(start, 0)
    last = np.maximum(np.minimum(start + labels.voxels.shape, geometry.shape), first)
    part = labels.voxels[box_between(first - start, last - start)]
    if np.count_nonzero(part) < np.count_nonzero(labels.voxels):
        raise InputError(
            "The label file has labels outside the CT.", "Give labels that were made on this CT."
        )
    voxels = np.zeros(geometry.shape, labels.voxels.dtype)
    if part.size:
        voxels[box_between(first, last)] = part
    return LabelVolume(voxels=voxels, geometry=geometry)


def _size(geometry: Geometry) -> str:
    return " x ".join(str(n) for n in reversed(geometry.shape))
