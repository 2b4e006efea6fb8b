"""The published steps written down as they read, for the fast forms to be held against.

Nothing here is fast, and nothing in the product uses it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import (
    binary_dilation,
    distance_transform_edt,
    find_objects,
    label,
    maximum_filter,
)

from FractureSegmentationLib.instances.bicm import BOUNDARY, CONTACT, INTERIOR

if TYPE_CHECKING:
    from FractureSegmentationLib.instances.bicm import BicmConfig
    from FractureSegmentationLib.types import FloatArray, LabelArray, MaskArray, Spacing
    from FractureSegmentationLib.volume import FragmentMap

DILATION_MM = 5.0
MIN_DIAMETER_MM = 5.0


def plain_recovery(
    fragment_map: FragmentMap, bone: MaskArray, *, dilates_with_a_ball: bool = False
) -> npt.NDArray[np.uint16]:
    """Fragments as published: contact dilated, components of interior, the nearest takes the rest.

    Args:
        fragment_map: probabilities of background, boundary, interior and contact.
        bone: (K, J, I) the voxels to label.
        dilates_with_a_ball: dilate with a structuring element, as the words say; else keep what
            is further from contact than the radius, which is the same set.

    Returns:
        (K, J, I) labels 1..n by falling volume, 0 outside the bone.
    """
    spacing_mm = fragment_map.geometry.spacing_mm
    interior, contact = likeliest_classes(fragment_map, bone)
    if dilates_with_a_ball:
        dilated = binary_dilation(contact, ball(DILATION_MM, spacing_mm))
    elif contact.any():
        dilated = distance_transform_edt(~contact, sampling=spacing_mm) <= DILATION_MM
    else:
        dilated = contact
    seeds, count = label(interior & ~dilated, structure=np.ones((3, 3, 3)))
    for number, box in enumerate(find_objects(seeds), start=1):
        sides_mm = [(b.stop - b.start) * s for b, s in zip(box, spacing_mm, strict=True)]
        if np.linalg.norm(sides_mm) < MIN_DIAMETER_MM:
            seeds[box][seeds[box] == number] = 0
    if not seeds.any():
        return bone.astype(np.uint16)
    nearest = distance_transform_edt(
        seeds == 0, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    regions = np.where(bone, seeds[tuple(nearest)], 0)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    by_volume = 1 + np.argsort(-sizes[1:], kind="stable")
    rank_of = np.zeros(count + 1, np.uint16)
    rank_of[by_volume] = np.arange(1, count + 1)
    return rank_of[regions]


def likeliest_classes(fragment_map: FragmentMap, bone: MaskArray) -> tuple[MaskArray, MaskArray]:
    """Where interior and where contact is the likeliest class; a tie goes to contact."""
    boundary, interior, contact = (
        np.where(bone, fragment_map.channel(name).astype(np.float32), np.float32(0.0))
        for name in ("boundary", "interior", "contact")
    )
    background = 1.0 - np.minimum(boundary + interior + contact, 1.0)
    is_interior = bone & (interior > boundary) & (interior > contact) & (interior > background)
    is_contact = bone & (contact >= boundary) & (contact >= interior) & (contact >= background)
    return is_interior, is_contact


def ball(radius_mm: float, spacing_mm: Spacing) -> MaskArray:
    """A ball of voxels around the middle of its array."""
    reaches = [int(radius_mm / s) for s in spacing_mm]
    k, j, i = np.mgrid[tuple(slice(-reach, reach + 1) for reach in reaches)]
    squared_mm2 = sum((g * s) ** 2 for g, s in zip((k, j, i), spacing_mm, strict=True))
    inside: MaskArray = np.sqrt(squared_mm2) <= radius_mm
    return inside


def plain_contact(fragments: LabelArray, window_voxels: int) -> MaskArray:
    """Contact as defined: for each of the other voxels of the cube, is it another fragment?

    Args:
        fragments: (K, J, I) fragment labels of one bone, 0 outside.
        window_voxels: odd width of the cube; 7 looks at 342 neighbours.
    """
    reach = window_voxels // 2
    padded = np.pad(fragments, reach)
    is_contact = np.zeros(fragments.shape, bool)
    for offset in itertools.product(range(window_voxels), repeat=3):
        if offset == (reach, reach, reach):
            continue
        part = tuple(slice(o, o + n) for o, n in zip(offset, fragments.shape, strict=True))
        neighbour = padded[part]
        is_contact |= (neighbour != 0) & (neighbour != fragments)
    is_contact &= fragments != 0
    return is_contact


def plain_encoding(
    fragments: LabelArray, spacing_mm: Spacing, config: BicmConfig
) -> npt.NDArray[np.uint8]:
    """Boundary, interior and contact by the `adapt` rule, one fragment after the other.

    Interiors that vanish are not restored: the fragments have to be thick enough to keep one.

    Args:
        fragments: (K, J, I) fragment labels of one bone, 0 outside the bone.
        spacing_mm: voxel size along (k, j, i), in mm.
        config: the lengths of the rule.
    """
    depth_mm: FloatArray = np.zeros(fragments.shape)
    for number in range(1, int(fragments.max()) + 1):
        padded = np.pad(fragments == number, 1)
        depth_mm += distance_transform_edt(padded, sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    window = [2 * max(1, round(config.thickness_reach_mm / s)) + 1 for s in spacing_mm]
    deepest_mm = maximum_filter(depth_mm, size=window, mode="constant")
    shell_mm = np.minimum(config.boundary_share * deepest_mm, config.max_boundary_mm)
    classes = np.where(depth_mm <= shell_mm, np.uint8(BOUNDARY), np.uint8(INTERIOR))
    classes[plain_contact(fragments, config.contact_window_voxels)] = CONTACT
    classes[fragments == 0] = 0
    return classes
