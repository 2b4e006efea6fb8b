"""Decide how every fragment of a broken bone moves, from the largest outwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fracseg_training.simulate.bone_points import voxels_by_label
from fracseg_training.simulate.config import Mode, PoseConfig
from fracseg_training.simulate.contacts import Contact, contact_tree
from fracseg_training.simulate.occupancy import Occupancy
from fracseg_training.simulate.pose import IDENTITY, Pose, draw_mode, draw_pose, push_apart
from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing


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
        held = poses.get(parent, IDENTITY)
        mode = draw_mode(config, rng)
        normal = contact.normal if contact.first == parent else -contact.normal
        pose = held.after(draw_pose(mode, contact, normal, config, rng))
        if mode != "impaction" and not pose.is_identity:
            tolerated = rng.uniform(*config.bite_mm) * contact.area_mm2 / float(spacing.prod())
            away = held.rotation @ normal
            pose = push_apart(pose, points[child], away, occupancy, tolerated)
        occupancy.claim(pose.apply(points[child]))
        poses[child] = pose
        movements.append(
            Movement(label=child, parent=parent, mode=mode, pose=pose, area_mm2=contact.area_mm2)
        )
    return movements
