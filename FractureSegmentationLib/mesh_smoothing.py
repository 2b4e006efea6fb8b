"""Smoothing of closed surfaces that leaves every piece of them its volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

Points = npt.NDArray[np.float64]
Triangles = npt.NDArray[np.int64]

SMOOTHING_PASSES = 30
SMOOTHING_PASS_BAND = 0.02
"""Share of the spatial frequencies that stays: the steps between voxels go, edges do not."""
MIN_VOLUME_KEPT = 0.8
"""A piece that smoothing would shrink below this share of its volume stays as it is."""


def smoothed(contour: vtkPolyData) -> vtkPolyData:
    """The same points and triangles, with the steps between voxels smoothed away."""
    from vtkmodules.vtkFiltersCore import vtkWindowedSincPolyDataFilter

    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputData(contour)
    smooth.SetNumberOfIterations(SMOOTHING_PASSES)
    smooth.SetPassBand(SMOOTHING_PASS_BAND)
    smooth.FeatureEdgeSmoothingOff()
    smooth.BoundarySmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    smooth.Update()
    mesh: vtkPolyData = smooth.GetOutput()
    return mesh


def with_chips_kept(smooth: Points, stepped: Points, triangles: Triangles) -> Points:
    """The smooth points, but the stepped ones of pieces that smoothing would take away.

    Of a chip or a hollow of a few voxels it leaves next to nothing, at worst one point, which
    programs that join equal points read as an open surface.

    Args:
        smooth: (N, 3) points after smoothing, mm.
        stepped: (N, 3) the same points before it.
        triangles: (M, 3) indices of points; pieces share no point.
    """
    begin, end = triangles[:, [0, 1]].ravel(), triangles[:, [1, 2]].ravel()
    size = (len(stepped), len(stepped))
    edges = coo_array((np.ones(len(begin), bool), (begin, end)), shape=size)
    _, piece_of_point = connected_components(edges, directed=False)
    piece_of_triangle = piece_of_point[triangles[:, 0]]
    before, after = (
        np.abs(np.bincount(piece_of_triangle, cone_volumes(points, triangles)))
        for points in (stepped, smooth)
    )
    is_kept = (after < MIN_VOLUME_KEPT * before)[piece_of_point]
    return np.where(is_kept[:, None], stepped, smooth)


def cone_volumes(points: Points, triangles: Triangles) -> Points:
    """(M,) signed volume between the middle of a mesh and each triangle; of use as a sum only."""
    # From the middle of the mesh, the large coordinates of a CT table cost no digits.
    corners = (points - points.mean(axis=0))[triangles]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    volumes: Points = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0
    return volumes
