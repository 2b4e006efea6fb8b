"""Which side a bone is on, from where it lies: networks see windows, and windows have no midline.

A network distinguishes a hip bone from a femur by looks, but a left hip bone from a right one
only by what else is in the window. Here the two are one kind until the plane between them is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import BONES, bone_named
from FractureSegmentationLib.types import FloatArray, LabelArray, Spacing

_SACRUM = bone_named("sacrum").mask_value
_PAIRS = tuple(
    (left.mask_value, right.mask_value)
    for left in BONES
    for right in BONES
    if left.side == "left" and right.side == "right" and left.region == right.region
)
_LEAST_SHARE = 0.15
_LEAST_SACRUM_MM3 = 4000.0
_LEAST_APART_MM = 60.0
_MOST_TILT = 0.7
_ROUNDS = 8


def likeliest_bones(probabilities: FloatArray, bones: Sequence[str]) -> npt.NDArray[np.uint8]:
    """The mask value of every voxel, the two sides of a bone counted together.

    Args:
        probabilities: (1 + bones, K, J, I), background first.
        bones: slugs in the order of the channels.

    Returns:
        (K, J, I) uint8 mask values; of a pair, the side that the network holds for likelier.
    """
    values = [bone_named(slug).mask_value for slug in bones]
    kinds: list[FloatArray] = [probabilities[0]]
    likelier: list[npt.NDArray[np.uint8]] = [np.zeros(probabilities.shape[1:], np.uint8)]
    partner = dict(_PAIRS)
    paired_rights = set(partner.values())
    for channel, value in enumerate(values, start=1):
        other = partner.get(value)
        if other in values:
            left, right = probabilities[channel], probabilities[1 + values.index(other)]
            kinds.append(left + right)
            likelier.append(np.where(left >= right, value, other).astype(np.uint8))
        elif value not in paired_rights or _left_of(value) not in values:
            kinds.append(probabilities[channel])
            likelier.append(np.full(probabilities.shape[1:], value, np.uint8))
    chosen = np.argmax(kinds, axis=0)
    labels = np.zeros(probabilities.shape[1:], np.uint8)
    for kind, choice in enumerate(likelier):
        inside = chosen == kind
        labels[inside] = choice[inside]
    return labels


def assign_sides(labels: LabelArray, spacing_mm: Spacing) -> npt.NDArray[np.uint8]:
    """Name the paired bones by the side of the midplane they lie on.

    The plane halves the way between the two hip bones (or femora), which allows for a turned or
    tilted patient; with one of them alone it runs through the sacrum. Where neither is known, a
    whole pair takes the side that most of its voxels have.

    Args:
        labels: (K, J, I) mask values, axes k to Superior, j to Posterior, i to Left.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) uint8 mask values.
    """
    named = labels.astype(np.uint8)
    plane = _midplane(labels, spacing_mm)
    for left, right in _PAIRS:
        voxels = np.nonzero((labels == left) | (labels == right))
        if len(voxels[0]) == 0:
            continue
        if plane is None:
            is_left = np.full(len(voxels[0]), np.mean(labels[voxels] == left) >= 0.5)
        else:
            middle_mm, normal = plane
            points_mm = np.stack(voxels, axis=1) * np.asarray(spacing_mm)
            is_left = (points_mm - middle_mm) @ normal > 0.0
        named[voxels] = np.where(is_left, left, right)
    return named


def _left_of(right: int) -> int:
    return next(a for a, b in _PAIRS if b == right)


def _midplane(labels: LabelArray, spacing_mm: Spacing) -> tuple[FloatArray, FloatArray] | None:
    """A point of the plane, in mm along (k, j, i), and its unit normal towards the left."""
    sideways = np.array([0.0, 0.0, 1.0])
    sacrum_mm = np.argwhere(labels == _SACRUM) * np.asarray(spacing_mm)
    has_sacrum = len(sacrum_mm) * float(np.prod(spacing_mm)) >= _LEAST_SACRUM_MM3
    for pair in _PAIRS:
        points_mm = np.argwhere(np.isin(labels, pair)) * np.asarray(spacing_mm)
        if len(points_mm) == 0:
            continue
        start_mm = sacrum_mm.mean(axis=0) if has_sacrum else _between_ends(points_mm)
        plane = _plane_between(points_mm, start_mm, sideways)
        if plane is not None:
            return plane
    return (sacrum_mm.mean(axis=0), sideways) if has_sacrum else None


def _between_ends(points_mm: FloatArray) -> FloatArray:
    middle: FloatArray = (points_mm.min(axis=0) + points_mm.max(axis=0)) / 2.0
    return middle


def _plane_between(
    points_mm: FloatArray, middle_mm: FloatArray, normal: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """The plane halfway between two clouds of points; None where there is but one cloud."""
    for _ in range(_ROUNDS):
        is_left = (points_mm - middle_mm) @ normal > 0.0
        if not _LEAST_SHARE <= is_left.mean() <= 1.0 - _LEAST_SHARE:
            return None
        left_mm, right_mm = points_mm[is_left].mean(axis=0), points_mm[~is_left].mean(axis=0)
        apart_mm = left_mm - right_mm
        length_mm = float(np.linalg.norm(apart_mm))
        if length_mm < _LEAST_APART_MM or apart_mm[2] < _MOST_TILT * length_mm:
            return None
        middle_mm, normal = (left_mm + right_mm) / 2.0, apart_mm / length_mm
    return middle_mm, normal
