"""Between the world of the scene (RAS) and the coordinates of the CT (LPS), both in mm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import vtk

from FractureSegmentationLib.mrml.grid import array_of_matrix, flipped_x_y
from FractureSegmentationLib.mrml.nodes import TransformableNode
from FractureSegmentationLib.mrml.volume import refuse_nonlinear
from FractureSegmentationLib.types import FloatArray, PointLps


def world_matrix(node: TransformableNode) -> FloatArray:
    """(4, 4) takes (x, y, z, 1) in RAS from a node's own coordinates to the world.

    Raises:
        InputError: the node lies under a non-linear transform.
    """
    refuse_nonlinear(node)
    matrix = vtk.vtkMatrix4x4()
    parent = node.GetParentTransformNode()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(parent, None, matrix)
    return array_of_matrix(matrix)


def ct_lps_of(
    node: TransformableNode, points_ras: Sequence[Sequence[float]]
) -> tuple[PointLps, ...]:
    """Points of the world in the coordinates of a node.

    Args:
        node: the segmentation or its CT.
        points_ras: (N, 3) x, y, z in RAS, mm, in the world.

    Returns:
        The same points in LPS, mm, without the node's parent transform.

    Raises:
        InputError: the node lies under a non-linear transform.
        ValueError: a point has not three coordinates.
    """
    points = _rows(points_ras)
    back = np.linalg.inv(world_matrix(node))
    return _points(flipped_x_y(points @ back[:3, :3].T + back[:3, 3]))


def world_ras_of(
    node: TransformableNode, points_lps_mm: Sequence[Sequence[float]]
) -> tuple[tuple[float, float, float], ...]:
    """Points in the coordinates of a node (LPS, mm) where the world has them (RAS, mm).

    Raises:
        InputError: the node lies under a non-linear transform.
        ValueError: a point has not three coordinates.
    """
    points = flipped_x_y(_rows(points_lps_mm))
    forth = world_matrix(node)
    return _points(points @ forth[:3, :3].T + forth[:3, 3])


def ct_direction_of(node: TransformableNode, direction_ras: Sequence[float]) -> PointLps:
    """A direction of the world (RAS), e.g. of view, in the coordinates of a node (LPS)."""
    back = np.linalg.inv(world_matrix(node))[:3, :3]
    return _points(flipped_x_y(np.asarray(direction_ras, float)[None] @ back.T))[0]


def ct_normal_of(node: TransformableNode, normal_ras: Sequence[float]) -> PointLps:
    """The normal of a plane of the world (RAS) in the coordinates of a node (LPS)."""
    forth = world_matrix(node)[:3, :3]
    # A normal stays at right angles to its plane even where the transform scales.
    return _points(flipped_x_y(np.asarray(normal_ras, float)[None] @ forth))[0]


def _rows(points: Sequence[Sequence[float]]) -> FloatArray:
    """(N, 3) the coordinates of any number of points."""
    if any(len(point) != 3 for point in points):
        raise ValueError(f"a point has three coordinates, got {points}")
    return np.asarray(points, float).reshape(-1, 3)


def _points(values: FloatArray) -> tuple[PointLps, ...]:
    return tuple((float(x), float(y), float(z)) for x, y, z in values)
