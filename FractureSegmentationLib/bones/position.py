"""Whether bones lie as in a body: the sacrum behind the hip bones, femora below, left on the left.

A CT whose header is turned against the body, or a bone mask whose sides are mixed up, still has the
shape of a pelvis; only where its bones lie in the patient's axes tells. How a patient lies on the
table does not matter, because those axes are the patient's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.anatomy.catalogue import BONES, FEMUR, HIP, Bone, bone_named
from FractureSegmentationLib.types import FloatArray
from FractureSegmentationLib.volume import LabelVolume

_MOST_TURN = 0.5  # cosine of 60 degrees
_MOST_TILT = 0.07  # of the distance between the hip bones; some 10 mm
_LEAST_LIKE = 0.5
_MOST_TOLD = 2
_SACRUM, _LEFT_HIP, _RIGHT_HIP = (
    bone_named(slug).mask_value for slug in ("sacrum", "left_hip", "right_hip")
)


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a bone is.

    Attributes:
        bone: which.
        centre_lps_mm: (3,) its centroid.
        count: its voxels.
    """

    bone: Bone
    centre_lps_mm: FloatArray
    count: int


def position_warnings(bones: LabelVolume) -> tuple[str, ...]:
    """What is contradictory about where bones lie, one sentence each; none if nothing is.

    The sacrum lies 17 to 75 mm behind and 23 to 55 mm above the middle between the hip bones in 47
    bodies. A patient turned by less than 60 degrees, a pelvis tilted by 30 and bones that the CT
    shows in part are not warned of; neither is a single bone, about which nothing is known.

    Args:
        bones: catalogue mask values, any orientation.
    """
    places = {place.bone.mask_value: place for place in _places(bones)}
    turned = [*_pelvis_contradictions(places), *_femur_contradictions(places)]
    swapped = list(_swapped(list(places.values())))[:_MOST_TOLD]
    warnings = []
    if turned:
        warnings.append(
            f"Left and right may be swapped: {' and '.join(dict.fromkeys(turned))}, so the header "
            "of the CT seems to be turned against the patient. Check the orientation and all sides."
        )
    if swapped:
        warnings.append(
            f"Left and right may be swapped: {' and '.join(swapped)}. Check the sides of the bone "
            "segmentation and of the CT."
        )
    return tuple(warnings)


def _places(bones: LabelVolume) -> Iterator[_Place]:
    boxes = find_objects(bones.voxels, max_label=len(BONES))
    for bone in BONES:
        box = boxes[bone.mask_value - 1]
        if box is None:
            continue
        mask = bones.voxels[box] == bone.mask_value
        plane = mask.sum(axis=0)
        sums = (mask.sum(axis=(1, 2)), plane.sum(axis=1), plane.sum(axis=0))
        middle = [
            side.start + np.average(np.arange(len(weights)), weights=weights)
            for side, weights in zip(box, sums, strict=True)
        ]
        yield _Place(bone, bones.geometry.to_lps(np.array(middle)), int(plane.sum()))


def _pelvis_contradictions(places: dict[int, _Place]) -> Iterator[str]:
    """How the two hip bones and the sacrum lie to each other; half a pelvis tells nothing."""
    left, right = places.get(_LEFT_HIP), places.get(_RIGHT_HIP)
    if left is None or right is None:
        return
    apart_mm = left.centre_lps_mm - right.centre_lps_mm
    width_mm = float(np.linalg.norm(apart_mm))
    if abs(apart_mm[0]) < _MOST_TURN * width_mm:
        yield "the hip bones do not lie beside each other"
    sacrum = places.get(_SACRUM)
    fewer, more = sorted((left.count, right.count))
    if sacrum is None or fewer < _LEAST_LIKE * more:
        return
    middle_mm = (left.centre_lps_mm + right.centre_lps_mm) / 2.0
    _, behind_mm, above_mm = sacrum.centre_lps_mm - middle_mm
    if behind_mm < -_MOST_TILT * width_mm:
        yield "the sacrum lies in front of the hip bones"
    if above_mm < -_MOST_TILT * width_mm:
        yield "the sacrum lies below the hip bones"


def _femur_contradictions(places: dict[int, _Place]) -> Iterator[str]:
    for hip in (place for place in places.values() if place.bone.region is HIP):
        for femur in (place for place in places.values() if place.bone.region is FEMUR):
            apart_mm = femur.centre_lps_mm - hip.centre_lps_mm
            is_above = apart_mm[2] > _MOST_TURN * np.linalg.norm(apart_mm)
            if femur.bone.side == hip.bone.side and is_above:
                yield "a femur lies above its hip bone"


def _swapped(places: list[_Place]) -> Iterator[str]:
    """Left bones to the right of a right one, and bones beyond the sacrum from their own side.

    Legs may be crossed, so below the knee a bone is compared with its partner only.
    """
    trunk = (HIP, FEMUR)
    for left in (place for place in places if place.bone.side == "left"):
        for right in (place for place in places if place.bone.side == "right"):
            is_pair = left.bone.region == right.bone.region
            both_in_trunk = left.bone.region in trunk and right.bone.region in trunk
            if (is_pair or both_in_trunk) and _is_right_of(left, right):
                yield f"the {_name(left)} lies to the right of the {_name(right)}"
    for sacrum in (place for place in places if place.bone.mask_value == _SACRUM):
        for one in (place for place in places if place.bone.region in trunk):
            if one.bone.side == "left" and _is_right_of(one, sacrum):
                yield f"the {_name(one)} lies to the right of the sacrum"
            if one.bone.side == "right" and _is_right_of(sacrum, one):
                yield f"the {_name(one)} lies to the left of the sacrum"


def _is_right_of(one: _Place, other: _Place) -> bool:
    apart_mm = one.centre_lps_mm - other.centre_lps_mm
    return bool(apart_mm[0] < -_MOST_TURN * np.linalg.norm(apart_mm))


def _name(place: _Place) -> str:
    return place.bone.name.lower()
