"""Voxels and grids between VTK and us.

VTK is x-first and, in MRML, RAS: a matrix takes (i, j, k, 1) to x, y, z in RAS, mm, and an extent
holds first and last index along i, j and k. Its arrays are already (k, j, i) once shaped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.mrml.nodes import Matrix, OrientedImage
from FractureSegmentationLib.types import Box, FloatArray, PointLps

_TOLERANCE_VOXELS = 1e-3


def flipped_x_y(points: FloatArray) -> FloatArray:
    """(..., 3) points or directions from LPS to RAS or back."""
    flipped: FloatArray = np.asarray(points, float) * (-1.0, -1.0, 1.0)
    return flipped


def array_of_matrix(matrix: Matrix) -> FloatArray:
    """(4, 4) the numbers of a vtkMatrix4x4."""
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)], float)


def matrix_of_array(values: FloatArray) -> Matrix:
    """The vtkMatrix4x4 of (4, 4) numbers."""
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(values[row, column]))
    return matrix


def matrix_of(geometry: Geometry) -> Matrix:
    """The matrix from (i, j, k) to RAS, mm, of a grid."""
    columns_ijk = (np.asarray(geometry.direction).T * geometry.spacing_mm)[:, ::-1]
    to_ras = np.eye(4)
    to_ras[:3, :3] = np.diag([-1.0, -1.0, 1.0]) @ columns_ijk
    to_ras[:3, 3] = flipped_x_y(np.array(geometry.origin_lps_mm))
    return matrix_of_array(to_ras + 0.0)


def geometry_of(matrix: Matrix, extent: Sequence[int]) -> Geometry:
    """The grid of voxels with an IJK to RAS matrix and an extent.

    Raises:
        ValueError: the axes are not at right angles, or the extent is empty.
    """
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ array_of_matrix(matrix)
    columns_kji = to_lps[:3, 2::-1]
    spacing_mm = np.linalg.norm(columns_kji, axis=0)
    if not spacing_mm.all():
        raise ValueError("a voxel has no extent along one of its axes")
    first = np.array([*extent[0::2], 1.0])
    k, j, i = (int(extent[axis + 1] - extent[axis] + 1) for axis in (4, 2, 0))
    rows = (columns_kji / spacing_mm).T
    return Geometry(
        shape=(k, j, i),
        spacing_mm=_triple(spacing_mm),
        origin_lps_mm=_triple((to_lps @ first)[:3]),
        direction=(_triple(rows[0]), _triple(rows[1]), _triple(rows[2])),
    )


def image_of(voxels: npt.NDArray[np.generic], geometry: Geometry) -> OrientedImage:
    """An oriented image of its own that holds (K, J, I) voxels; they are copied."""
    image = slicer.vtkOrientedImageData()
    k, j, i = voxels.shape
    image.SetExtent(0, i - 1, 0, j - 1, 0, k - 1)
    scalars = numpy_to_vtk(np.ascontiguousarray(voxels).ravel(), deep=True)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    image.SetImageToWorldMatrix(matrix_of(geometry))
    return image


def layer_image(voxels: npt.NDArray[np.uint16], geometry: Geometry, box: Box) -> OrientedImage:
    """The part `box` of labels on a grid, as a layer of a segmentation on that same grid.

    Its extent says where the box lies; Slicer then knows that the grids agree.
    """
    image = image_of(voxels[box], geometry)
    image.SetExtent(*[bound for side in reversed(box) for bound in (side.start, side.stop - 1)])
    return image


def serialized(geometry: Geometry) -> str:
    """A grid in the words of Slicer's reference image geometry."""
    k, j, i = geometry.shape
    grid = slicer.vtkOrientedImageData()
    grid.SetExtent(0, i - 1, 0, j - 1, 0, k - 1)
    grid.SetImageToWorldMatrix(matrix_of(geometry))
    return str(slicer.vtkSegmentationConverter.SerializeImageGeometry(grid))


def geometry_of_image(image: OrientedImage) -> Geometry:
    """The grid of an oriented image that is not empty.

    Raises:
        ValueError: the axes are not at right angles, or it is empty.
    """
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return geometry_of(matrix, image.GetExtent())


def voxels_of(image: OrientedImage) -> npt.NDArray[np.generic]:
    """(K, J, I) the voxels of a VTK image with one value each, not copied."""
    i, j, k = image.GetDimensions()
    voxels: npt.NDArray[np.generic] = vtk_to_numpy(image.GetPointData().GetScalars())
    return voxels.reshape(k, j, i)


def start_on(geometry: Geometry, part: Geometry) -> tuple[int, int, int] | None:
    """The index (k, j, i) at which a grid begins on another one; it may lie beyond its border.

    Returns:
        None where the voxels of the two do not coincide.
    """
    ends = np.vstack([np.zeros(3), np.asarray(part.shape) - 1.0])
    indices = geometry.to_index(part.to_lps(ends))
    start = np.rint(indices[0])
    steps = geometry.to_index(part.to_lps(np.eye(3))) - indices[0]
    drift = np.abs(indices - start - ends).max()
    if drift > _TOLERANCE_VOXELS or np.abs(steps - np.eye(3)).max() > _TOLERANCE_VOXELS:
        return None
    k, j, i = (int(n) for n in start)
    return (k, j, i)


def _triple(values: npt.ArrayLike) -> PointLps:
    x, y, z = (float(v) for v in np.asarray(values))
    return (x, y, z)
