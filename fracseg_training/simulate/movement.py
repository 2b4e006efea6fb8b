"""Decide how every fragment of a broken bone moves, from the largest outwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fracseg_training.simulate.bone_points import voxels_by_label
from fracseg_training.simulate.config import Mode, PoseConfig
from fracseg_training.simulate.contacts import Contact, contact_tree
from fracseg_training.simulate.pose import (
    IDENTITY,
    FloatPoints,
    Occupancy,
    Pose,
    draw_mode,
    draw_pose,
    push_apart,
)
from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Movement:
    """What one fragment did.

    Attributes:
        label: the fragment, in the numbering before the final sorting by volume.
        parent: the fragment it broke off.
        mode: how.
        pose: its movement in the patient.
        area_mm2: size of the face it shared with its parent.
    """

    label: int
    parent: int
    mode: Mode
    pose: Pose
    area_mm2: float


def draw_movements(
    labels: LabelArray,
    contacts: list[Contact],
    spacing_mm: Spacing,
    config: PoseConfig,
    rng: np.random.Generator,
    blocked: MaskArray | None = None,
) -> list[Movement]:
    """Draw a mode and a pose for every fragment but the largest.

    A fragment moves relative to the neighbour that holds it, and is carried along when that one
    moves. Except for impaction, fragments are pushed apart until they barely bite.

    Args:
        labels: (K, J, I) the broken bone.
        contacts: its fracture faces.
        spacing_mm: voxel size along (k, j, i), in mm.
        config: pose settings.
        rng: source of randomness.
        blocked: (K, J, I) where no fragment may go, e.g. other bones.

    Returns:
        One movement per fragment that hangs on another, parents before children. Fragments that
        touch nothing stay where they are.
    """
    spacing = np.asarray(spacing_mm)
    points = [voxels * spacing for voxels in voxels_by_label(labels)]
    order = contact_tree(contacts, np.array([len(p) for p in points]))
    taken = labels > 0 if blocked is None else (labels > 0) | blocked
    occupancy = Occupancy(taken, spacing_mm)
    for _, child, _ in order:
        occupancy.release(points[child])
    poses: dict[int, Pose] = {}
    movements = []
    for parent, child, contact in order:
        mode = draw_mode(config, rng)
        loose = _Loose(
            points_mm=points[child],
            contact=contact,
            normal=contact.normal if contact.first == parent else -contact.normal,
            held=poses.get(parent, IDENTITY),
            bite_voxels=contact.area_mm2 / float(spacing.prod()),
        )
        pose = _settled_pose(loose, mode, occupancy, config, rng)
        occupancy.claim(pose.apply(points[child]))
        poses[child] = pose
        movements.append(
            Movement(label=child, parent=parent, mode=mode, pose=pose, area_mm2=contact.area_mm2)
        )
    return movements


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Loose:
    """A fragment about to move: its voxels, its face, the way out, and what it hangs on.

    `bite_voxels` is how many of its voxels overlap where it bites 1 mm deep all over its face.
    """

    points_mm: FloatPoints
    contact: Contact
    normal: FloatPoints
    held: Pose
    bite_voxels: float


def _settled_pose(
    loose: _Loose,
    mode: Mode,
    occupancy: Occupancy,
    config: PoseConfig,
    rng: np.random.Generator,
) -> Pose:
    """The first of a few drawn poses that leaves the fragment free of collisions, or the freest."""
    chosen, least = IDENTITY, np.inf
    for _ in range(_TRIES):
        pose = loose.held.after(draw_pose(mode, loose.contact, loose.normal, config, rng))
        if mode == "impaction" or pose.is_identity:
            return pose
        tolerated = rng.uniform(*config.bite_mm) * loose.bite_voxels
        away = loose.held.rotation @ loose.normal
        pose = push_apart(pose, loose.points_mm, away, occupancy, tolerated)
        overlap = occupancy.overlap(pose.apply(loose.points_mm))
        if overlap <= tolerated:
            return pose
        if overlap < least:
            chosen, least = pose, overlap
    return chosen
