"""CTs of the scene become volumes, and files for the child process."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import SimpleITK as sitk
import vtk

from FractureSegmentationLib.errors import EnvironmentProblemError, InputError
from FractureSegmentationLib.io.sitk import quiet_itk, volume_to_sitk
from FractureSegmentationLib.io.wholeness import is_whole
from FractureSegmentationLib.mrml.grid import geometry_of, image_of, matrix_of, voxels_of
from FractureSegmentationLib.mrml.nodes import TransformableNode, VolumeNode
from FractureSegmentationLib.volume import Volume

ParentTransform = Literal["none", "linear", "nonlinear"]


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
    if not is_whole(path):
        raise unwritten
