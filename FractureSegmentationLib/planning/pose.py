"""Rigid motions of fragments: 4 x 4 matrices in LPS, mm."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import FloatArray, PointLps

Pose = npt.NDArray[np.float64]
"""(4, 4) motion in LPS, mm: takes (x, y, z, 1) of the CT to its planned place."""

RIGID_TOLERANCE = 1e-4
"""A rotation written with five digits passes; over a hip bone it amounts to 0.03 mm."""


def pose_problem(matrix: FloatArray) -> str:
    """Why a matrix is no rigid motion, as the rest of "The pose ..."; "" if it is one.

    Args:
        matrix: (4, 4) numbers.
    """
    if not np.isfinite(matrix).all():
        return "holds a number that is not finite"
    if not np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0]):
        return "does not end in the row 0 0 0 1"
    rotation = matrix[:3, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), rtol=0.0, atol=RIGID_TOLERANCE):
        return "scales or shears the fragment"
    if np.linalg.det(rotation) < 0:
        return "mirrors the fragment"
    return ""


def rigid_pose(matrix: npt.ArrayLike) -> Pose:
    """A matrix as a pose.

    Args:
        matrix: (4, 4) numbers.

    Raises:
        ValueError: it is no rigid motion.
    """
    pose = np.array(matrix, np.float64)
    if pose.shape != (4, 4):
        raise ValueError(f"a pose is a 4 x 4 matrix, got {pose.shape}")
    problem = pose_problem(pose)
    if problem:
        raise ValueError(f"the pose {problem}")
    return pose


def turn_about(axis_lps: PointLps, degrees: float, centre_lps_mm: PointLps) -> Pose:
    """The motion that turns everything about an axis, counter-clockwise seen against it.

    Args:
        axis_lps: direction of the axis; its length does not matter.
        degrees: the angle.
        centre_lps_mm: a point on the axis.

    Raises:
        ValueError: the axis has no direction.
    """
    length = float(np.linalg.norm(axis_lps))
    if not 0.0 < length < math.inf:
        raise ValueError(f"an axis has a direction, got {axis_lps}")
    x, y, z = np.asarray(axis_lps, float) / length
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = math.radians(degrees)
    pose = np.eye(4)
    pose[:3, :3] += math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross
    pose[:3, 3] = np.asarray(centre_lps_mm, float) - pose[:3, :3] @ centre_lps_mm
    return pose


def inverse_of(motion: Pose) -> Pose:
    """The motion that takes everything back."""
    back: Pose = np.linalg.inv(motion).astype(np.float64)
    return back


def moved_points(pose: Pose, points_lps_mm: FloatArray) -> npt.NDArray[np.float64]:
    """(N, 3) points after a motion, which may also mirror."""
    moved: npt.NDArray[np.float64] = points_lps_mm @ pose[:3, :3].T + pose[:3, 3]
    return moved
