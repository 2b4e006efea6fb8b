"""One image file (NIfTI, NRRD, MetaImage) into a SimpleITK image, or a refusal that says why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.sitk import geometry_from_sitk, quiet_itk
from FractureSegmentationLib.io.wholeness import is_whole

_KINDS = {
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
}
_SHEAR_TOLERANCE = 1e-3
_PLACE_TOLERANCE_MM = 0.1
_SIZE_TOLERANCE = 1e-3
_TO_LPS = np.diag([-1.0, -1.0, 1.0])

_RESAMPLE = "Resample it onto a straight grid, e.g. in 3D Slicer, and give that volume."
_COPY_AGAIN = "Copy or export it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """What one file holds.

    Attributes:
        image: three-dimensional; several values per voxel only if that was allowed.
        kind: NIfTI, NRRD or MetaImage.
        warnings: doubts about its geometry, one sentence each.
    """

    image: sitk.Image
    kind: str
    warnings: tuple[str, ...]


def kind_of(path: Path) -> str:
    """NIfTI, NRRD or MetaImage by the ending of the name; "" for any other."""
    name = path.name.lower()
    return next((kind for ending, kind in _KINDS.items() if name.endswith(ending)), "")


def read_image_file(path: Path, *, may_have_layers: bool = False) -> ImageFile:
    """Read a three-dimensional image file.

    Args:
        path: a file with one of the endings that `kind_of` knows.
        may_have_layers: several values per voxel are allowed (the layers of a `.seg.nrrd`).

    Raises:
        InputError: the file is damaged or truncated, not three-dimensional, holds several values
            per voxel, or its axes are not at right angles.
        OSError: it cannot be read.
    """
    if not is_whole(path):
        raise InputError("The image file is damaged or truncated.", _COPY_AGAIN)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with quiet_itk():
        try:
            reader.ReadImageInformation()
            _refuse_unusable(reader, may_have_layers=may_have_layers)
            image = reader.Execute()
        except RuntimeError as error:
            if "orthonormal" in str(error):
                raise _sheared() from error
            raise InputError(
                "The image file is damaged, truncated or not of the kind that its name says.",
                _COPY_AGAIN,
            ) from error
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    try:
        geometry_from_sitk(image)
    except ValueError as error:
        raise _sheared() from error
    return ImageFile(image=image, kind=kind_of(path), warnings=_geometry_warnings(image))


def _refuse_unusable(reader: sitk.ImageFileReader, *, may_have_layers: bool) -> None:
    """Judge the header, before any voxel is read."""
    size = reader.GetSize()
    if reader.GetDimension() == 2 or (reader.GetDimension() >= 3 and size[2] == 1):
        raise InputError("The image has two dimensions.", "Give a three-dimensional CT volume.")
    if reader.GetDimension() > 4 or (reader.GetDimension() == 4 and size[3] > 1):
        raise InputError(
            "The file holds a sequence of volumes (four dimensions).", "Give one of its volumes."
        )
    is_complex = "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID())
    if is_complex or (reader.GetNumberOfComponents() > 1 and not may_have_layers):
        raise InputError(
            "The image holds several values per voxel (colour, vectors or layers).",
            "Give a volume with one number per voxel.",
        )


def _sheared() -> InputError:
    return InputError("The axes of the image are not at right angles.", _RESAMPLE)


def _geometry_warnings(image: sitk.Image) -> tuple[str, ...]:
    """Doubts about where the patient's left is.

    Raises:
        InputError: the file contradicts itself, or describes a sheared grid, which ITK has
            straightened silently.
    """
    said = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    if "sform_code" in said:
        return _nifti_warnings(image, said)
    if said.get("ITK_InputFilterName") == "NrrdImageIO" and "NRRD_space" not in said:
        return (_unknown_orientation(),)
    return ()


def _nifti_warnings(image: sitk.Image, said: dict[str, str]) -> tuple[str, ...]:
    if said["sform_code"] == "0":
        return () if said["qform_code"] != "0" else (_unknown_orientation(),)
    rows = [[float(number) for number in said[f"srow_{axis}"].split()] for axis in "xyz"]
    # ITK takes the other of the two transforms of a NIfTI file where this one has a shear.
    columns = _TO_LPS @ np.array(rows)
    sizes_mm = np.linalg.norm(columns[:, :3], axis=0)
    if not np.allclose(sizes_mm, image.GetSpacing(), rtol=_SIZE_TOLERANCE):
        raise InputError("The file gives two different voxel sizes.", "Export it again.")
    axes = columns[:, :3] / sizes_mm
    if not np.allclose(axes.T @ axes, np.eye(3), atol=_SHEAR_TOLERANCE):
        raise _sheared()
    far = np.array(image.GetSize()) - 1.0
    gaps_mm = [
        np.linalg.norm(
            columns @ [*index, 1.0] - image.TransformContinuousIndexToPhysicalPoint(index)
        )
        for index in (np.zeros(3).tolist(), far.tolist())
    ]
    if max(gaps_mm) > _PLACE_TOLERANCE_MM:
        return (
            "The file gives two different positions of the patient (qform and sform); check left "
            "and right.",
        )
    return ()


def _unknown_orientation() -> str:
    return (
        "The file does not say how the patient lies, so left and right may be swapped; check them."
    )
