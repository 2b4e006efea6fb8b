"""Rigid poses of fragments by fracture mode, pushed apart until none enters occupied voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from fracseg_training.simulate.config import MODES, Mode, PoseConfig
from fracseg_training.simulate.contacts import Contact
from FractureSegmentationLib.types import MaskArray, Spacing

FloatPoints = npt.NDArray[np.float64]
_PUSH_STEPS_MM = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0, 12.0, 15.0)
_REACH_MM = 40.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pose:
    """A rigid movement x -> rotation @ x + shift_mm, in mm from voxel (0, 0, 0) along (k, j, i)."""

    rotation: FloatPoints
    shift_mm: FloatPoints

    def apply(self, points_mm: npt.NDArray[np.floating]) -> FloatPoints:
        """(N, 3) moved positions."""
        moved: FloatPoints = points_mm @ self.rotation.T + self.shift_mm
        return moved

    def undo(self, points_mm: npt.NDArray[np.floating]) -> FloatPoints:
        """(N, 3) positions before the movement."""
        back: FloatPoints = (points_mm - self.shift_mm) @ self.rotation
        return back

    def after(self, first: Pose) -> Pose:
        """The movement that does `first`, then this one."""
        return Pose(
            rotation=self.rotation @ first.rotation, shift_mm=self.apply(first.shift_mm[None])[0]
        )

    def shifted(self, by_mm: FloatPoints) -> Pose:
        """This movement followed by a translation."""
        return Pose(rotation=self.rotation, shift_mm=self.shift_mm + by_mm)

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves by more than numerical noise."""
        return bool(
            np.allclose(self.rotation, np.eye(3), atol=1e-9)
            and np.allclose(self.shift_mm, 0.0, atol=1e-9)
        )

    @property
    def angle_deg(self) -> float:
        """Angle of the rotation."""
        return float(np.rad2deg(Rotation.from_matrix(self.rotation).magnitude()))


IDENTITY = Pose(rotation=np.eye(3), shift_mm=np.zeros(3))


def draw_mode(config: PoseConfig, rng: np.random.Generator) -> Mode:
    """One mode of displacement."""
    weights = np.asarray(config.mode_weights)
    return MODES[int(rng.choice(len(MODES), p=weights / weights.sum()))]


def draw_pose(
    mode: Mode, contact: Contact, normal: FloatPoints, config: PoseConfig, rng: np.random.Generator
) -> Pose:
    """A pose of one mode for the fragment on the far side of a contact.

    Args:
        mode: what kind of fracture it is.
        contact: the common face.
        normal: (3,) unit normal of the face, from the parent to the fragment that moves.
        config: pose settings.
        rng: source of randomness.

    Returns:
        The pose relative to the parent, before anything is pushed apart.
    """
    pivot = contact.points_mm.mean(axis=0)
    along = rng.standard_normal(3)
    along -= along @ normal * normal
    along /= max(float(np.linalg.norm(along)), 1e-6)
    if mode == "crease":
        # The hinge lies at one rim of the face, its axis in the face; the far rim opens.
        reach = (contact.points_mm - pivot) @ along
        hinge = pivot + along * np.quantile(reach, 0.03)
        axis = np.cross(along, normal)
        return _about(hinge, axis, rng.uniform(*config.crease_deg), 0.1 * normal)
    if mode == "hairline":
        # A third of the hairlines do not move at all: the crack alone shows them.
        apart, shear, angle = rng.uniform(-0.3, 0.6), rng.normal(0.0, 0.4), rng.uniform(0.0, 1.0)
        if apart <= 0.0:
            return IDENTITY
    elif mode == "gap":
        apart, shear = rng.uniform(*config.gap_mm), rng.normal(0.0, 1.0)
        angle = rng.normal(0.0, 3.0)
    elif mode == "displaced":
        angle = rng.normal(0.0, config.rotation_sd_deg)
        shear = rng.normal(0.0, config.displacement_sd_mm)
        apart = abs(rng.normal(0.0, 0.6 * config.displacement_sd_mm))
    else:
        apart, shear = -rng.uniform(*config.impaction_mm), rng.normal(0.0, 2.5)
        angle = rng.normal(0.0, 3.0)
    limit = config.max_displacement_mm
    shift = np.clip(apart, -limit, limit) * normal + np.clip(shear, -limit, limit) * along
    angle = float(np.clip(angle, -config.max_rotation_deg, config.max_rotation_deg))
    return _about(pivot, rng.standard_normal(3), angle, shift)


def push_apart(
    pose: Pose,
    points_mm: npt.NDArray[np.floating],
    normal: FloatPoints,
    occupancy: Occupancy,
    tolerated_voxels: float,
) -> Pose:
    """Move a fragment along `normal` until it overlaps what is placed by no more than is tolerated.

    Args:
        pose: where the fragment would go.
        points_mm: (N, 3) its voxels before the movement.
        normal: (3,) unit direction that leads out of the collision.
        occupancy: bone that is placed already.
        tolerated_voxels: how many voxels may overlap.

    Returns:
        The pose, shifted as little as needed; by 15 mm at most.
    """
    moved = pose.apply(points_mm)
    best = (np.inf, 0.0)
    for step in _PUSH_STEPS_MM:
        overlap = occupancy.overlap(moved + step * normal)
        if overlap <= tolerated_voxels:
            return pose.shifted(step * normal)
        best = min(best, (float(overlap), step))
    return pose.shifted(best[1] * normal)


class Occupancy:
    """A grid, wider than the bone by 40 mm on all sides, on which fragments claim their voxels.

    Args:
        taken: (K, J, I) voxels that nothing may enter, or not before they are released.
        spacing_mm: voxel size along (k, j, i), in mm.
    """

    def __init__(self, taken: MaskArray, spacing_mm: Spacing) -> None:
        self._spacing = np.asarray(spacing_mm)
        self._margin = np.ceil(_REACH_MM / self._spacing).astype(np.int64)
        self._taken = np.pad(taken, [(int(m), int(m)) for m in self._margin])

    def release(self, points_mm: npt.NDArray[np.floating]) -> None:
        """Free the voxels at (N, 3) positions, in mm from the bone grid's voxel (0, 0, 0)."""
        self._taken[self._at(points_mm)] = False

    def claim(self, points_mm: npt.NDArray[np.floating]) -> None:
        """Take the voxels at (N, 3) positions."""
        self._taken[self._at(points_mm)] = True

    def overlap(self, points_mm: npt.NDArray[np.floating]) -> int:
        """How many of (N, 3) positions fall on taken voxels."""
        return int(np.count_nonzero(self._taken[self._at(points_mm)]))

    def _at(self, points_mm: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.int64], ...]:
        index = np.round(points_mm / self._spacing).astype(np.int64) + self._margin
        return tuple(np.clip(index, 0, np.asarray(self._taken.shape) - 1).T)


def _about(
    pivot: FloatPoints, axis: npt.NDArray[np.floating], angle_deg: float, shift_mm: FloatPoints
) -> Pose:
    """A rotation about an axis through `pivot`, then a translation."""
    if angle_deg == 0.0 and not shift_mm.any():
        return IDENTITY
    unit = np.asarray(axis) / max(float(np.linalg.norm(axis)), 1e-9)
    rotation = Rotation.from_rotvec(np.deg2rad(angle_deg) * unit).as_matrix()
    return Pose(rotation=rotation, shift_mm=pivot - rotation @ pivot + shift_mm)
