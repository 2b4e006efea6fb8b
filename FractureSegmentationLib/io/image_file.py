"""One image file (NIfTI, NRRD, MetaImage) into a SimpleITK image, or a refusal that says why."""

from __future__ import annotations

import contextlib
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.image_header import (
    Affine,
    FileHeader,
    HeaderError,
    refuse_oversized,
)
from FractureSegmentationLib.io.nifti import NiftiHeader, read_nifti_image
from FractureSegmentationLib.io.sitk import geometry_from_sitk, is_utf8, quiet_itk
from FractureSegmentationLib.io.temporary import scratch_folder
from FractureSegmentationLib.io.verify import holds_all_voxels, read_image_header

_KINDS = {
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
}
_VOXEL_FILE = re.compile(rb"^(data ?file: *|ElementDataFile *= *)[^\r\n]*", re.MULTILINE)
_SHEAR_TOLERANCE = 1e-3
_PLACE_TOLERANCE_MM = 0.1
_SIZE_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """What one file holds.

    Attributes:
        image: three-dimensional; several values per voxel only if that was allowed.
        kind: NIfTI, NRRD or MetaImage.
        warnings: doubts about its geometry, one sentence each.
        step: by which a scale factor divides its values; 0 if the file has none.
    """

    image: sitk.Image
    kind: str
    warnings: tuple[str, ...]
    step: float = 0.0


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
        InputError: the file is damaged or truncated, contradicts itself, is too large for the
            computer, not three-dimensional, holds several values per voxel, or its axes are not at
            right angles.
        OSError: it cannot be read.
    """
    header = _understood(path, may_have_layers=may_have_layers)
    image = _read(path, header)
    while image.GetDimension() > 3:
        image = image[(*[slice(None)] * (image.GetDimension() - 1), 0)]
    try:
        geometry_from_sitk(image)
    except ValueError as error:
        raise _sheared() from error
    _refuse_disagreement(image, header)
    warnings = _orientation_warnings(image, header)
    slope = header.slope if isinstance(header, NiftiHeader) else 1.0
    step = abs(slope) if slope != 1.0 else 0.0
    return ImageFile(image=image, kind=kind_of(path), warnings=warnings, step=step)


def _read(path: Path, header: FileHeader) -> sitk.Image:
    if isinstance(header, NiftiHeader):
        try:
            return read_nifti_image(header)
        except HeaderError as error:
            raise _damaged() from error
    if not holds_all_voxels(header):
        raise _damaged()
    with quiet_itk(), _plainly_named(path, header.voxel_file) as plain:
        try:
            return sitk.ReadImage(str(plain))
        except RuntimeError as error:
            if "allocate" in str(error).lower():
                raise MemoryError from error
            raise _damaged() from error


@contextlib.contextmanager
def _plainly_named(path: Path, voxel_file: Path) -> Iterator[Path]:
    """An image file under a name that SimpleITK can open, its voxel file likewise.

    SimpleITK ends the process at a name that is not UTF-8, and its readers take a `%` in the name
    of a voxel file for a pattern of several files.
    """
    if voxel_file == path and is_utf8(path):
        yield path
        return
    with scratch_folder() as folder:
        plain = folder / f"image{path.suffix}"
        if voxel_file == path:
            _link(path, plain)
        else:
            plain.write_bytes(_VOXEL_FILE.sub(rb"\g<1>voxels.raw", path.read_bytes()))
            _link(voxel_file, folder / "voxels.raw")
        yield plain


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source.absolute())
    except OSError:  # Windows without the right to make links
        shutil.copyfile(source, target)


def _understood(path: Path, *, may_have_layers: bool) -> FileHeader:
    """Judge the header before any voxel is read."""
    try:
        header = read_image_header(path)
    except HeaderError as error:
        raise _damaged() from error
    _refuse_unusable(header, may_have_layers=may_have_layers)
    for affine in header.affines[:1]:
        sizes_mm = np.linalg.norm(affine[:, :3], axis=0)
        axes = affine[:, :3] / sizes_mm
        if not np.allclose(axes.T @ axes, np.eye(3), atol=_SHEAR_TOLERANCE):
            raise _sheared()
        if header.spacing_mm and not np.allclose(sizes_mm, header.spacing_mm, rtol=_SIZE_TOLERANCE):
            raise InputError("The file gives two different voxel sizes.", "Export it again.")
    refuse_oversized(header)
    return header


def _refuse_unusable(header: FileHeader, *, may_have_layers: bool) -> None:
    sizes = header.sizes
    if len(sizes) < 3 or sizes[2] == 1:
        raise InputError("The image has two dimensions.", "Give a three-dimensional CT volume.")
    if math.prod(sizes[3:]) > 1:
        raise InputError(
            f"The file holds a sequence of volumes ({len(sizes)} dimensions).",
            "Give one of its volumes.",
        )
    if header.components > 1 and not may_have_layers:
        raise InputError(
            "The image holds several values per voxel (colour, vectors or layers).",
            "Give a volume with one number per voxel.",
        )


def _refuse_disagreement(image: sitk.Image, header: FileHeader) -> None:
    """Refuse an image that is not the one its header describes."""
    if (
        image.GetSize() != header.sizes[:3]
        or image.GetNumberOfComponentsPerPixel() != header.components
    ):
        raise _damaged()
    spacing_mm = header.spacing_mm or image.GetSpacing()
    if not np.allclose(image.GetSpacing(), spacing_mm, rtol=_SIZE_TOLERANCE) or not all(
        _lies_as(image, affine) for affine in header.affines[:1]
    ):
        raise _damaged()


def _orientation_warnings(image: sitk.Image, header: FileHeader) -> tuple[str, ...]:
    """Doubts about where the patient's left is."""
    if not header.affines:
        return (
            "The file does not say how the patient lies, so left and right may be swapped; "
            "check them.",
        )
    if not all(_lies_as(image, affine) for affine in header.affines):
        return (
            "The file gives two different positions of the patient (sform and qform); the sform "
            "was taken; check left and right.",
        )
    return ()


def _lies_as(image: sitk.Image, affine: Affine) -> bool:
    """Whether the outermost voxels of an image lie where an affine puts them."""
    ends = [(0.0, count - 1.0) for count in image.GetSize()]
    return all(
        np.linalg.norm(
            affine @ [*index, 1.0] - image.TransformContinuousIndexToPhysicalPoint(index)
        )
        <= _PLACE_TOLERANCE_MM
        for index in product(*ends)
    )


def _damaged() -> InputError:
    return InputError(
        "The image file is damaged, truncated or not of the kind that its name says.",
        "Copy or export it again.",
    )


def _sheared() -> InputError:
    return InputError(
        "The axes of the image are not at right angles (its header shears it).",
        "Resample it onto a straight grid, a NIfTI file for example with "
        "nibabel.processing.resample_to_output.",
    )
