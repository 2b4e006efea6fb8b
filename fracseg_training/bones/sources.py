"""Where the anatomy of the bone networks' training CTs comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from fracseg_training.synthesis.embed import BareBones
from FractureSegmentationLib.io.sitk import label_volume_from_sitk, volume_from_sitk
from FractureSegmentationLib.volume import Volume
from FractureSegmentationLib.voxels.orient import canonical_order
from FractureSegmentationLib.voxels.resample import (
    nearest_labels,
    resample_mask,
    resample_volume,
)
from FractureSegmentationLib.voxels.upsample import fill_from_nearest

if TYPE_CHECKING:
    from pathlib import Path

    from FractureSegmentationLib.types import LabelArray

_TINY_SHARE = 1e-3


def read_bare_bones(ct_path: Path, bones_path: Path, spacing_mm: float) -> BareBones:
    """A CT of bones alone and its bone mask, in canonical axes on an isotropic grid.

    Blurring stops at the bones' surface: what lies outside, usually 0 HU, does not bleed in.

    Args:
        ct_path: the CT.
        bones_path: its bones, mask values of the catalogue, on the same grid.
        spacing_mm: voxel size of the result.
    """
    ct = volume_from_sitk(sitk.ReadImage(str(ct_path)))
    bones = label_volume_from_sitk(sitk.ReadImage(str(bones_path)))
    order = canonical_order(ct.geometry)
    ct, bones = order.volume(ct), order.volume(bones)
    target = ct.geometry.resampled((spacing_mm, spacing_mm, spacing_mm))
    inside = (bones.voxels != 0).astype(np.float32)
    share = resample_volume(Volume(voxels=inside, geometry=ct.geometry), target, order=1)
    weight = np.asarray(share.voxels, np.float32)
    weighted = Volume(voxels=ct.voxels * inside, geometry=ct.geometry)
    summed = np.asarray(resample_volume(weighted, target, order=1).voxels, np.float32)
    values = np.zeros(target.shape, np.uint8)
    nearest = nearest_labels(bones, target).voxels
    for value in bones.values():
        of_bone = resample_mask(bones.voxels == value, bones.geometry, target)
        values[of_bone & ((values == 0) | (nearest == value))] = value
    hu = np.divide(summed, weight, out=np.zeros_like(summed), where=weight > _TINY_SHARE)
    return BareBones(hu=hu, bones=values, spacing_mm=target.spacing_mm)


def read_bare_fragments(fragments_path: Path, bones_path: Path, bare: BareBones) -> LabelArray:
    """The fragments of real bones, on the grid of `bare`.

    Args:
        fragments_path: fragment labels.
        bones_path: the bones that `bare` was read from, on the same grid.
        bare: the same bones after resampling.

    Returns:
        (K, J, I) labels; every voxel of a bone belongs to one of that bone's fragments.
    """
    fragments = label_volume_from_sitk(sitk.ReadImage(str(fragments_path)))
    bones = label_volume_from_sitk(sitk.ReadImage(str(bones_path)))
    order = canonical_order(fragments.geometry)
    fragments, bones = order.volume(fragments), order.volume(bones)
    target = fragments.geometry.resampled(bare.spacing_mm)
    labels = np.zeros(target.shape, fragments.voxels.dtype)
    for value in bones.values():
        of_bone = np.where(bones.voxels == value, fragments.voxels, 0)
        extent = bare.bones == value
        near = np.where(extent, nearest_labels(fragments.with_voxels(of_bone), target).voxels, 0)
        labels[extent] = fill_from_nearest(near, extent, bare.spacing_mm)[extent]
    return labels
