"""The voxels of a NIfTI file, read without the NIfTI library behind SimpleITK.

That one turns NaN into 0 HU, and takes the voxels of `ct.nii` for those of `ct.nii.gz` where both
lie in one folder.
"""

from __future__ import annotations

import gzip
import zlib

import numpy as np
import SimpleITK as sitk

from FractureSegmentationLib.io.image_header import HeaderError
from FractureSegmentationLib.io.nifti_header import NiftiHeader, opened_nifti
from FractureSegmentationLib.types import FloatArray

_SINGLE_PRECISION = 1e-6


def read_nifti_image(header: NiftiHeader) -> sitk.Image:
    """The three-dimensional image of a NIfTI file; further axes have one voxel.

    The sform places it, or else the qform. A file without either is taken for one in LPS.

    Raises:
        HeaderError: a voxel has several values, or the voxels are not there as promised.
        OSError: the file cannot be read.
    """
    voxels = _voxels(header).reshape(header.sizes[2::-1])
    image = sitk.GetImageFromArray(_scaled(voxels, header))
    image.SetSpacing(header.spacing_mm)
    if header.placements:
        columns, origin = header.placements[0][:, :3], header.placements[0][:, 3]
        sizes_mm = np.linalg.norm(columns, axis=0)
        if not np.allclose(sizes_mm, header.spacing_mm, rtol=_SINGLE_PRECISION):
            image.SetSpacing(sizes_mm.tolist())
        image.SetOrigin(origin.tolist())
        image.SetDirection(_straightened(columns).ravel().tolist())
    return image


def _voxels(header: NiftiHeader) -> FloatArray:
    if header.number is None:
        raise HeaderError("a voxel has several values")
    try:
        with opened_nifti(header.voxel_file, is_packed=header.is_packed) as file:
            file.seek(header.data_offset)
            content = file.read(header.needed_bytes - header.data_offset)
            # Only the end of a compressed file tells whether its checksum fits.
            has_more = bool(file.read(1))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HeaderError("the compression is damaged") from error
    if has_more or len(content) != header.needed_bytes - header.data_offset:
        raise HeaderError("the file does not hold as many voxels as promised")
    voxels: FloatArray = np.frombuffer(content, header.number)
    return voxels


def _scaled(voxels: FloatArray, header: NiftiHeader) -> FloatArray:
    if (header.slope, header.intercept) == (1.0, 0.0):
        return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    exact = voxels.astype(np.float64) * header.slope + header.intercept
    return exact.astype(np.float32)


def _straightened(columns: FloatArray) -> FloatArray:
    """The nearest orthonormal axes: headers hold single precision."""
    u, _, vt = np.linalg.svd(columns / np.linalg.norm(columns, axis=0))
    axes: FloatArray = u @ vt
    return axes
