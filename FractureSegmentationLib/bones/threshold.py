"""Bones without any network: what is dense, cut apart at the joints, named by where it lies.

A last resort for where no weights are at hand and for volumes that hold clearly separate bones.
The names are guesses from position; the user is asked to check them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_closing, binary_fill_holes, find_objects, watershed_ift

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.errors import NoBoneError
from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.components import label_components, without_small_components
from FractureSegmentationLib.voxels.distance import distance_to_mm
from FractureSegmentationLib.voxels.orient import canonical_order
from FractureSegmentationLib.voxels.resample import resample_mask, resample_volume
from FractureSegmentationLib.voxels.upsample import labels_to_grid

BONE_HU = 180.0
_SPACING_MM: Spacing = (2.0, 2.0, 2.0)
_LEAST_MM3 = 5000.0
_CORE_DEPTH_MM = 5.0
_DEEPEST_MM = 30.0
_LEVELS_PER_MM = 8.0
_CENTRAL_MM = 25.0
_LOWER_MM = 25.0
_PAIR_WIDTH_MM = 200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Region:
    """A piece of dense tissue; positions in mm along Superior and Left of the midline."""

    number: int
    volume_mm3: float
    height_mm: float
    left_mm: float


def bones_by_threshold(ct: Volume) -> LabelVolume:
    """Find and name the bones by density and position.

    Args:
        ct: the CT, any orientation.

    Returns:
        uint8 mask values on the CT's grid.

    Raises:
        NoBoneError: nothing dense is large enough to be a bone.
    """
    order = canonical_order(ct.geometry)
    canonical = order.volume(ct)
    small = resample_volume(canonical, canonical.geometry.resampled(_SPACING_MM), order=1)
    dense = _dense(np.asarray(small.voxels, np.float32) > BONE_HU)
    regions = _cut_at_joints(dense)
    if not regions.any():
        raise NoBoneError(
            "Nothing in the volume is dense and large enough to be a bone.",
            "Check the series, or give a bone segmentation with --bones.",
        )
    values = _named(_described(regions, _midline_mm(small, dense)))
    named = values[regions]
    inside = resample_mask(named != 0, small.geometry, canonical.geometry)
    labels = labels_to_grid(named, small.geometry, canonical.geometry, inside)
    voxels = np.ascontiguousarray(order.undo(labels)).astype(np.uint8)
    return LabelVolume(voxels=voxels, geometry=ct.geometry)


def _dense(mask: MaskArray) -> MaskArray:
    """Closed and filled, slice by slice too: a shaft that leaves the CT is open at its end."""
    closed = np.pad(mask, 2, mode="edge")
    closed = binary_closing(closed, iterations=2)[2:-2, 2:-2, 2:-2] | mask
    slices = np.stack([binary_fill_holes(one) for one in closed])
    filled: MaskArray = binary_fill_holes(slices)
    return filled


def _cut_at_joints(dense: MaskArray) -> npt.NDArray[np.uint16]:
    """Regions around thick cores; a joint or a narrow bridge is where two regions meet."""
    large = without_small_components(dense, _voxels(_LEAST_MM3), 6)
    depth_mm = distance_to_mm(~large, _SPACING_MM, _DEEPEST_MM)
    cores = label_components(depth_mm > _CORE_DEPTH_MM, 26)
    bodies = label_components(large, 6)
    # A bone without a thick core, such as a piece of the iliac wing, is its own core.
    has_core = np.zeros(int(bodies.max()) + 1, bool)
    has_core[bodies[cores > 0]] = True
    seeds = cores.copy()
    coreless = ~has_core[bodies] & large
    seeds[coreless] = bodies[coreless] + cores.max()
    steps = np.clip((_DEEPEST_MM - depth_mm) * _LEVELS_PER_MM, 0, 255).astype(np.uint8)
    # Negative markers flood last and stay apart: they keep the outside from taking bone.
    markers = np.where(large, seeds, -1).astype(np.int32)
    basins = watershed_ift(steps, markers, structure=np.ones((3, 3, 3), int))
    regions: npt.NDArray[np.uint16] = np.maximum(basins, 0).astype(np.uint16)
    regions[~large] = 0
    return regions


def _described(regions: LabelArray, midline_mm: float) -> list[_Region]:
    described = []
    for number, box in enumerate(find_objects(regions), start=1):
        if box is not None:
            k, _, i = np.nonzero(regions[box] == number)
            described.append(
                _Region(
                    number=number,
                    volume_mm3=len(k) * float(np.prod(_SPACING_MM)),
                    height_mm=float(k.mean() + box[0].start) * _SPACING_MM[0],
                    left_mm=float(i.mean() + box[2].start) * _SPACING_MM[2] - midline_mm,
                )
            )
    return described


def _midline_mm(ct: Volume, dense: MaskArray) -> float:
    """Middle of the body along the left axis: of both sides' bones, else of the CT's own zero."""
    columns = np.flatnonzero(dense.any(axis=(0, 1))) * _SPACING_MM[2]
    if columns[-1] - columns[0] >= _PAIR_WIDTH_MM:
        return float(columns[0] + columns[-1]) / 2.0
    middle = ct.geometry.to_index(np.zeros(3))
    return float(middle[2]) * _SPACING_MM[2]


def _named(regions: Sequence[_Region]) -> npt.NDArray[np.uint8]:
    """Mask value per region number: the middle is sacrum; of a side, what is high is hip."""
    values = np.zeros(max(region.number for region in regions) + 1, np.uint8)
    central = [region for region in regions if abs(region.left_mm) <= _CENTRAL_MM]
    for region in central:
        values[region.number] = bone_named("sacrum").mask_value
    for side, sign in (("left", 1.0), ("right", -1.0)):
        lateral = [r for r in regions if r not in central and r.left_mm * sign > 0.0]
        for region, is_femur in zip(lateral, _femora(lateral), strict=True):
            name = f"{side}_femur" if is_femur else f"{side}_hip"
            values[region.number] = bone_named(name).mask_value
    return values


def _femora(lateral: Sequence[_Region]) -> list[bool]:
    """Which regions of one side lie below and lateral to its highest large region."""
    if not lateral:
        return []
    largest_mm3 = max(region.volume_mm3 for region in lateral)
    hip = max(
        (region for region in lateral if region.volume_mm3 >= 0.3 * largest_mm3),
        key=lambda region: region.height_mm,
    )
    return [
        region.height_mm < hip.height_mm - _LOWER_MM and abs(region.left_mm) > abs(hip.left_mm)
        for region in lateral
    ]


def _voxels(volume_mm3: float) -> int:
    return max(1, round(volume_mm3 / float(np.prod(_SPACING_MM))))
