"""The one place where SimpleITK images become volumes and back.

SimpleITK is x-first: its sizes and spacings are (i, j, k), its points are x, y, z in LPS, and the
columns of its direction matrix are the i, j and k axes. Its arrays are already (k, j, i).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from FractureSegmentationLib.errors import EnvironmentProblemError, InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.temporary import scratch_folder
from FractureSegmentationLib.io.verify import has_whole_voxel_data
from FractureSegmentationLib.types import Direction, PointLps
from FractureSegmentationLib.volume import LabelVolume, Volume

_LARGEST_LABEL = np.iinfo(np.uint16).max
_FURTHEST_FROM_WHOLE = 0.25


@contextlib.contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep ITK from printing its warnings, which hold the path of the file."""
    was_shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(was_shown)


def is_utf8(path: Path) -> bool:
    """Whether SimpleITK can be given the name of a file; at any other it ends the process."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def geometry_from_sitk(image: sitk.Image) -> Geometry:
    """Where the voxels of a three-dimensional image lie.

    Raises:
        ValueError: the image is not three-dimensional or its axes are not orthonormal.
    """
    if image.GetDimension() != 3:
        raise ValueError(f"a volume has three dimensions, the image has {image.GetDimension()}")
    i_count, j_count, k_count = image.GetSize()
    i_mm, j_mm, k_mm = image.GetSpacing()
    axes = np.asarray(image.GetDirection()).reshape(3, 3).T[::-1]
    return Geometry(
        shape=(k_count, j_count, i_count),
        spacing_mm=(k_mm, j_mm, i_mm),
        origin_lps_mm=_as_point(image.GetOrigin()),
        direction=_as_direction(axes),
    )


def volume_from_sitk(image: sitk.Image) -> Volume:
    """The volume that a scalar three-dimensional image holds; voxels are copied, type kept.

    Raises:
        ValueError: the image is not scalar and three-dimensional, or its axes are not orthonormal.
    """
    geometry = geometry_from_sitk(image)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(f"a volume has one value per voxel, not {image.GetPixelIDTypeAsString()}")
    return Volume(voxels=sitk.GetArrayFromImage(image), geometry=geometry)


def label_volume_from_sitk(image: sitk.Image, *, step: float = 0.0) -> LabelVolume:
    """The label map that an image holds, as uint8 or, above 255, uint16.

    Labels are often stored as floating-point numbers; whole ones are taken, others are refused.

    Args:
        image: scalar and three-dimensional.
        step: by which the file's scale factor divides its values, 0 if it has none: a label may be
            half a step beside its whole number, but less than a quarter of the way to the next.

    Raises:
        InputError: a value is not a whole number from 0 to 65535.
        ValueError: as for `volume_from_sitk`.
    """
    volume = volume_from_sitk(image)
    return LabelVolume(voxels=_as_labels(volume.voxels, step), geometry=volume.geometry)


def merged_layers(image: sitk.Image) -> sitk.Image:
    """One label per voxel from an image whose layers were made by 3D Slicer.

    Args:
        image: one or several values per voxel.

    Raises:
        InputError: two layers share a label value, or overlap.
    """
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1:
        return image
    layers = [sitk.VectorIndexSelectionCast(image, index) for index in range(count)]
    merged = sitk.GetArrayFromImage(layers[0])
    values = set(np.unique(merged).tolist()) - {0}
    for layer in layers[1:]:
        voxels = sitk.GetArrayFromImage(layer)
        more = set(np.unique(voxels).tolist()) - {0}
        if values & more or np.any((merged != 0) & (voxels != 0)):
            raise InputError(
                "The segments of the label file overlap or share label values.",
                "Export the segmentation as one label map, e.g. in 3D Slicer's Segmentations "
                "module.",
            )
        values |= more
        merged = np.maximum(merged, voxels)
    single = sitk.GetImageFromArray(merged)
    single.CopyInformation(layers[0])
    return single


def volume_to_sitk(volume: Volume) -> sitk.Image:
    """The image that holds a scalar volume or a label map; voxels are copied.

    Boolean voxels become uint8 and half-precision ones float32, which SimpleITK does not have.

    Raises:
        ValueError: the volume has channels.
    """
    voxels = volume.voxels
    if voxels.ndim != 3:
        raise ValueError(f"only (K, J, I) voxels make an image, got {voxels.shape}")
    foreign = {np.dtype(bool): np.uint8, np.dtype(np.float16): np.float32}
    native = voxels.dtype.newbyteorder("=")
    voxels = voxels.astype(foreign.get(native, native), copy=False)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    geometry = volume.geometry
    image.SetSpacing(tuple(float(s) for s in reversed(geometry.spacing_mm)))
    image.SetOrigin(tuple(float(x) for x in geometry.origin_lps_mm))
    image.SetDirection(np.asarray(geometry.direction, float)[::-1].T.ravel().tolist())
    return image


def write_volume(path: Path, volume: Volume) -> None:
    """Write a volume as NIfTI, NRRD or MetaImage (by the ending of `path`), compressed.

    Raises:
        EnvironmentProblemError: the file could not be written, e.g. because the disk is full.
        ValueError: the volume has channels.
    """
    write_image(path, volume_to_sitk(volume))


def write_image(path: Path, image: sitk.Image) -> None:
    """Write an image, compressed, by the ending of `path`.

    Raises:
        EnvironmentProblemError: the file could not be written, e.g. because the disk is full.
    """
    try:
        _write(path, image)
    except RuntimeError as error:
        raise _unwritten(path) from error
    # On a full disk SimpleITK may end a file early and say nothing.
    if not has_whole_voxel_data(path):
        raise _unwritten(path)


def _write(path: Path, image: sitk.Image) -> None:
    with quiet_itk(), contextlib.ExitStack() as stack:
        plain = path
        if not is_utf8(path):
            endings = "".join(path.suffixes[-2:])
            plain = stack.enter_context(scratch_folder()) / f"image{endings}"
        sitk.WriteImage(image, str(plain), useCompression=True)
        if plain != path:
            shutil.move(plain, path)


def _unwritten(path: Path) -> EnvironmentProblemError:
    return EnvironmentProblemError(
        f"The result file {path.name} could not be written.",
        "Check that the disk is not full and that the folder may be written to.",
    )


def _as_labels(voxels: npt.NDArray[Any], step: float) -> npt.NDArray[np.integer]:
    if np.issubdtype(voxels.dtype, np.floating):
        voxels = _whole_numbers(voxels, step)
    low, high = voxels.min(), voxels.max()
    if low < 0 or high > _LARGEST_LABEL:
        raise InputError(
            f"The label file holds values from {low:g} to {high:g}; labels are 0 to 65535.",
            "Give a mask or a segmentation, not a CT.",
        )
    return voxels.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)


def _whole_numbers(voxels: npt.NDArray[Any], step: float) -> npt.NDArray[Any]:
    whole: npt.NDArray[Any] = np.rint(voxels)
    tolerance = min(0.5 * abs(step), _FURTHEST_FROM_WHOLE)
    if tolerance:  # and what single precision rounds away
        tolerance += float(np.spacing(np.float32(np.abs(whole).max(initial=0))))
    if not (np.abs(voxels - whole) <= tolerance).all():
        raise InputError(
            "The label file holds fractions, so it is not a mask or a segmentation.",
            "Give a label map of whole numbers, 0 for the background.",
        )
    return whole


def _as_point(values: npt.ArrayLike) -> PointLps:
    x, y, z = (float(v) for v in np.asarray(values))
    return (x, y, z)


def _as_direction(axes: npt.ArrayLike) -> Direction:
    k_axis, j_axis, i_axis = np.asarray(axes)
    return (_as_point(k_axis), _as_point(j_axis), _as_point(i_axis))
