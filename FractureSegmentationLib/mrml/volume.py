"""Voxels, grids and positions between the scene and the library.

VTK is x-first and, in MRML, RAS: a matrix takes (i, j, k, 1) to x, y, z in RAS, mm, and an extent
holds first and last index along i, j and k. Its arrays are already (k, j, i) once shaped. A CT
becomes a `Volume`, or a file for the child process; positions go between the world of the scene
(RAS) and the coordinates of the CT (LPS), both in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from FractureSegmentationLib.errors import EnvironmentProblemError, InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.sitk import quiet_itk, volume_to_sitk
from FractureSegmentationLib.io.verify import has_whole_voxel_data
from FractureSegmentationLib.mrml.nodes import Matrix, OrientedImage, TransformableNode, VolumeNode
from FractureSegmentationLib.types import Box, FloatArray, PointLps
from FractureSegmentationLib.volume import Volume

_TOLERANCE_VOXELS = 1e-3
ParentTransform = Literal["none", "linear", "nonlinear"]


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


def volume_of(node: VolumeNode) -> Volume:
    """The voxels of a volume of the scene, with their place without its parent transform.

    Nothing is copied: the volume changes with the node. What has to outlive a change is copied by
    its owner.

    Args:
        node: a scalar volume or a label map.

    Raises:
        InputError: it holds no voxels, several values per voxel, or its axes are not at right
            angles.
    """
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise InputError("The volume holds no voxels.", "Load the CT again, or choose another one.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            "The volume holds several values per voxel (colour or vectors).",
            "Choose a CT with one number per voxel.",
        )
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    try:
        geometry = geometry_of(matrix, image.GetExtent())
    except ValueError as error:
        raise InputError(
            "The axes of the volume are not at right angles.",
            "Resample it onto a straight grid, e.g. with the module Crop Volume.",
        ) from error
    return Volume(voxels=voxels_of(image), geometry=geometry)


def fill_volume(node: VolumeNode, volume: Volume) -> None:
    """Put a volume into a node of the scene; voxels are copied, its parent transform stays.

    Args:
        node: a scalar volume or a label map.
        volume: (K, J, I) numbers of a type that VTK knows.
    """
    placed = image_of(volume.voxels, volume.geometry)
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(volume.geometry.shape))
    image.GetPointData().SetScalars(placed.GetPointData().GetScalars())
    # The node keeps origin, spacing and directions itself; its image has none.
    node.SetIJKToRASMatrix(matrix_of(volume.geometry))
    node.SetAndObserveImageData(image)


def parent_transform(node: TransformableNode) -> ParentTransform:
    """What lies between a node and the world."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return "none"
    return "linear" if parent.IsTransformToWorldLinear() else "nonlinear"


def refuse_nonlinear(node: TransformableNode) -> None:
    """Go on only if a node lies straight in the world.

    Raises:
        InputError: it does not.
    """
    if parent_transform(node) == "nonlinear":
        raise InputError(
            "The CT lies under a transform that bends it, e.g. one that corrects a gantry tilt.",
            "Harden the transform or resample the CT, and choose the straight volume.",
        )


def write_ct(node: VolumeNode, path: Path) -> None:
    """Write a CT for the child process: uncompressed, its exact place, and no name of anything.

    The parent transform is left out: everything is computed in the coordinates of the CT.

    Args:
        node: the CT.
        path: ends in `.nrrd`.

    Raises:
        InputError: the volume cannot be used, or lies under a non-linear transform.
        EnvironmentProblemError: the file could not be written.
        ValueError: the path ends otherwise.
    """
    if path.suffix != ".nrrd":
        raise ValueError("the CT is handed over as a .nrrd file")
    refuse_nonlinear(node)
    volume = volume_of(node)
    unwritten = EnvironmentProblemError(
        "The CT could not be handed over to the segmentation.",
        "Check that the disk is not full and that the temporary folder may be written to.",
    )
    with quiet_itk():
        try:
            sitk.WriteImage(volume_to_sitk(volume), str(path), useCompression=False)
        except RuntimeError as error:
            raise unwritten from error
    if not has_whole_voxel_data(path):
        raise unwritten


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


def _triple(values: npt.ArrayLike) -> PointLps:
    x, y, z = (float(v) for v in np.asarray(values))
    return (x, y, z)


def _rows(points: Sequence[Sequence[float]]) -> FloatArray:
    """(N, 3) the coordinates of any number of points."""
    if any(len(point) != 3 for point in points):
        raise ValueError(f"a point has three coordinates, got {points}")
    return np.asarray(points, float).reshape(-1, 3)


def _points(values: FloatArray) -> tuple[PointLps, ...]:
    return tuple((float(x), float(y), float(z)) for x, y, z in values)
