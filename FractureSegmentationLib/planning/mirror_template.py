"""The healthy side of the body, mirrored and laid over the broken one, to compare with.

The plane of the pelvis brings the healthy bone to the other side. There it is turned and shifted
until the fragment that stayed in place lies on it: the main one, unless another is named. Where
the other fragments ought to be can then be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import BONES, Bone, bone_named
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.planning.mirror_plane import (
    BoneSurface,
    MirrorConfig,
    MirrorPair,
    MirrorPlane,
    Points,
    estimate_mirror_plane,
    surface_points,
    thinned,
)
from FractureSegmentationLib.planning.pose import Pose, inverse_of, moved_points, turn_about
from FractureSegmentationLib.types import PointLps
from FractureSegmentationLib.volume import LabelVolume

CLOSE_MM = 2.0
"""Surfaces within this distance are taken to agree: two sides of a healthy body differ as much."""

_ARM_MM = 100.0  # so far from its middle a turn is felt: about half a hip bone
_FEWEST_POINTS = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MirrorTemplate:
    """The other side as a template.

    Attributes:
        bone: the broken bone.
        healthy: the bone that is mirrored.
        transform: (4, 4) takes (x, y, z, 1) of the healthy bone in LPS, mm onto the broken one; a
            rigid motion after a reflection, so its determinant is -1.
        anchor: label of the fragment that it was laid over.
        residual_mm: median distance of the anchor's surface from the template's.
        close_share: part of the anchor's surface that lies within `CLOSE_MM` of the template's.
        plane: the mirror plane of the bones.
        warnings: why it may be a poor template, one sentence each.
    """

    bone: Bone
    healthy: Bone
    transform: Pose
    anchor: int
    residual_mm: float
    close_share: float
    plane: MirrorPlane
    warnings: tuple[str, ...] = ()


def mirror_template(
    labels: LabelVolume,
    labels_of: Mapping[str, Sequence[int]],
    broken: Bone,
    anchor: int | None = None,
    config: MirrorConfig | None = None,
) -> MirrorTemplate:
    """Lay the other side's bone over a broken one.

    Args:
        labels: the fragments where the CT shows them.
        labels_of: the labels of every bone there is, by its slug.
        broken: a bone of which there are two.
        anchor: label of its fragment that stayed in place; None takes the largest.
        config: how bones are laid over each other.

    Raises:
        InputError: there is no other side, in the body or in the segmentation.
        ValueError: the broken bone, or the anchor as a fragment of it, is not in the segmentation.
    """
    healthy = _other_side(broken, labels_of)
    if not labels_of.get(broken.slug) or anchor not in {None, *labels_of[broken.slug]}:
        raise ValueError(f"the segmentation has no such fragment of the {broken.name.lower()}")
    chosen = _largest(labels, labels_of[broken.slug]) if anchor is None else anchor
    clouds = {slug: surface_points(labels, values) for slug, values in labels_of.items() if values}
    fixed = surface_points(labels, [chosen])
    _refuse_tiny(fixed, clouds[healthy.slug], broken)
    plane = estimate_mirror_plane(_pairs(clouds, broken, healthy), config)
    mirrored = moved_points(plane.reflection, clouds[healthy.slug])
    motion, gaps_mm = _laid_over(mirrored, fixed, config or MirrorConfig())
    close_share = float(np.mean(gaps_mm <= CLOSE_MM))
    template = MirrorTemplate(
        bone=broken,
        healthy=healthy,
        transform=motion @ plane.reflection,
        anchor=chosen,
        residual_mm=float(np.median(gaps_mm)),
        close_share=close_share,
        plane=plane,
    )
    return replace(template, warnings=_warnings(template, len(labels_of[healthy.slug])))


def _other_side(broken: Bone, labels_of: Mapping[str, Sequence[int]]) -> Bone:
    """The bone of the other side."""
    if not broken.side:
        raise InputError(
            f"There is no other side of the {broken.name.lower()} to mirror.",
            "Choose a bone of which there is a left and a right one.",
        )
    other = "right" if broken.side == "left" else "left"
    (healthy,) = (one for one in BONES if one.side == other and one.region == broken.region)
    if not labels_of.get(healthy.slug):
        raise InputError(
            f"The segmentation holds no {healthy.name.lower()} that could be mirrored.",
            "Segment that bone too.",
        )
    return healthy


def _refuse_tiny(fixed: Points, healthy: Points, broken: Bone) -> None:
    if min(len(fixed), len(healthy)) < _FEWEST_POINTS:
        raise InputError(
            f"The {broken.name.lower()} or its other side is too small to be laid over the other.",
            "Choose a larger fragment as the one that stayed in place.",
        )


def _largest(labels: LabelVolume, values: Sequence[int]) -> int:
    counts = {value: int(np.count_nonzero(labels.voxels == value)) for value in values}
    return max(counts, key=lambda value: (counts[value], -value))


def _pairs(clouds: Mapping[str, Points], broken: Bone, healthy: Bone) -> list[MirrorPair]:
    """What the plane is estimated from: the pelvis, and the bones themselves.

    Legs lie as they lie, so beside a pelvis they say nothing of the plane.
    """
    pelvis = []
    if len(clouds.get("sacrum", ())) >= _FEWEST_POINTS:
        pelvis.append(MirrorPair(clouds["sacrum"], clouds["sacrum"]))
    hips = [clouds.get(bone_named(side).slug, ()) for side in ("left_hip", "right_hip")]
    if min(len(hip) for hip in hips) >= _FEWEST_POINTS:
        pelvis.append(MirrorPair(clouds["left_hip"], clouds["right_hip"]))
    return pelvis or [MirrorPair(clouds[broken.slug], clouds[healthy.slug])]


def _laid_over(
    moving: Points, fixed: Points, config: MirrorConfig
) -> tuple[Pose, npt.NDArray[np.float64]]:
    """The rigid motion of a bone that brings a part of another onto its surface.

    The part is measured against the whole, not the other way round: the whole has surface where
    the part has none.

    Returns:
        The motion, and how far the points of the part are from the bone after it, in mm.
    """
    surface = BoneSurface(moving, config.target_points)
    points = thinned(fixed, 2 * config.points)
    back = np.eye(4)  # takes the part to where the bone was
    for _ in range(config.rounds):
        match = surface.match(moved_points(back, points))
        counts = np.argsort(match.gaps_mm)[: max(7, round(config.share * len(points)))]
        here = moved_points(back, points)[counts]
        middle = here.mean(axis=0)
        arms = np.cross(here - middle, match.normals[counts])
        system = np.hstack([arms, match.normals[counts]])
        solution, *_ = np.linalg.lstsq(system, -match.slice_positions_mm[counts], rcond=None)
        back = _motion(solution, middle) @ back
        turn, shift = solution[:3], solution[3:]
        if np.linalg.norm(turn) * _ARM_MM + np.linalg.norm(shift) <= config.settled_mm:
            break
    return inverse_of(back), surface.match(moved_points(back, points)).gaps_mm


def _motion(solution: Points, middle: Points) -> Pose:
    """A small turn (a vector, in radians) about a point, and a shift after it."""
    angle = float(np.linalg.norm(solution[:3]))
    if angle == 0.0:
        pose = np.eye(4)
    else:
        pose = turn_about(_point(solution[:3]), float(np.degrees(angle)), _point(middle))
    pose[:3, 3] += solution[3:]
    return pose


def _point(values: Points) -> PointLps:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def _warnings(template: MirrorTemplate, healthy_pieces: int) -> tuple[str, ...]:
    pairs = []
    name = template.healthy.name
    if healthy_pieces > 1:
        pairs.append(
            f"The {name.lower()} has {healthy_pieces} fragments itself; they are mirrored as they "
            "lie."
        )
    if template.close_share < 0.5:
        pairs.append(
            f"Less than half of the fragment that stayed in place lies within {CLOSE_MM:g} mm of "
            f"the mirrored {name.lower()}: do not rely on it."
        )
    return tuple(pairs)
