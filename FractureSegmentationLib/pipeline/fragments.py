"""One bone from its crop to its fragments on the CT's grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.bones.crop import BoneCrop
from FractureSegmentationLib.bones.extent import grow_bone, shrink_bone
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.learned.judge import ContactJudge, Judge
from FractureSegmentationLib.instances.recover import BoneContext
from FractureSegmentationLib.instances.result import Recovery
from FractureSegmentationLib.methods.method import Method
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.types import LabelArray, MaskArray
from FractureSegmentationLib.volume import FragmentMap, LabelVolume
from FractureSegmentationLib.voxels.components import without_small_components
from FractureSegmentationLib.voxels.distance import distance_to_mm
from FractureSegmentationLib.voxels.resample import resample_mask, resample_probability
from FractureSegmentationLib.voxels.upsample import fill_from_nearest, labels_to_grid

GROWTH_MM = 2.0
"""How far the fragment network looks beyond a roughly detected bone."""
METAL_HU = 2500.0
_METAL_MM3 = 200.0
_METAL_REACH_MM = 4.0
_LEAST_EXTENT_MM3 = 125.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneFragments:
    """The fragments of one bone.

    Attributes:
        crop: the bone.
        fragment_map: what the network says, at the working spacing.
        recovery: fragments and their interfaces at the working spacing.
        labels: (K, J, I) uint16 on the crop's native grid: indices 1..n by volume there.
        regions: (K, J, I) uint16 on that grid: the regions of `recovery` that they are made of.
        index_of: index on the native grid per label of `recovery`; 0 if none of it is left there.
    """

    crop: BoneCrop
    fragment_map: FragmentMap
    recovery: Recovery
    labels: npt.NDArray[np.uint16]
    regions: npt.NDArray[np.uint16]
    index_of: npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FragmentRun:
    """What divides one bone after the other.

    Attributes:
        method: the method.
        predictor: its trained network.
        recovery: how a predicted map becomes fragments.
        judge: says which regions of its maps are one fragment.
    """

    method: Method
    predictor: Predictor
    recovery: RecoveryConfig
    judge: Judge = field(default_factory=ContactJudge)


def window_plan(method: Method) -> WindowPlan:
    """How the method's network is moved over a crop; beyond it there is no bone."""
    outside = (method.normalisation.outside_value, 0.0)
    return WindowPlan(patch=method.patch, overlap=method.overlap, padding=outside)


def others_of(crop: BoneCrop, bones: LabelVolume) -> MaskArray:
    """(K, J, I) all other bones within a crop, on its native grid."""
    local = crop.order.apply(bones.voxels[crop.box])
    others: MaskArray = (local != 0) & (local != crop.bone.mask_value)
    return others


def segment_bone(
    crop: BoneCrop, others: MaskArray | None, run: FragmentRun, progress: Progress
) -> BoneFragments:
    """Divide one bone into its fragments.

    Args:
        crop: the bone.
        others: None if the crop's mask is exact; else all other bones on the native grid, and the
            bone ends where the network says so, at most a little outside its mask.
        run: what divides it.
        progress: receives progress.

    Raises:
        RunCancelledError: the caller asked to stop.
    """
    mask = crop.mask if others is None else reach_of(crop, others)
    method = run.method
    channels = method.make_input(crop.ct.voxels, mask, method.normalisation)
    fragment_map = FragmentMap(
        voxels=run.predictor.predict(channels, mask, progress),
        geometry=crop.working,
        channels=method.channels,
    )
    if others is None:
        extent, native = mask, crop.native_mask
    else:
        extent, native = _extent(crop, mask, others, fragment_map)
    context = BoneContext(hu=crop.ct.voxels, slug=crop.bone.slug, judge=run.judge)
    recovery = method.decode(fragment_map, extent, run.recovery, context)
    progress.report(1.0)
    regions = labels_to_grid(recovery.regions, crop.working, crop.native, native)
    labels = _within_capacity(recovery.label_of_region()[regions], method.capacity, crop)
    ranked, index_of = _ranked(labels, recovery.count)
    return BoneFragments(
        crop=crop,
        fragment_map=fragment_map,
        recovery=recovery,
        labels=ranked,
        regions=regions,
        index_of=index_of,
    )


def has_metal(crop: BoneCrop) -> bool:
    """Whether something much denser than bone lies in the bone or on its surface."""
    is_metal = np.asarray(crop.ct.voxels, np.float32) > METAL_HU
    least = _METAL_MM3 / crop.working.voxel_volume_mm3
    if is_metal.sum() < least:
        return False
    spacing_mm = crop.working.spacing_mm
    near = distance_to_mm(crop.mask, spacing_mm, _METAL_REACH_MM + max(spacing_mm))
    return bool((is_metal & (near <= _METAL_REACH_MM)).sum() >= least)


def reach_of(crop: BoneCrop, others: MaskArray) -> MaskArray:
    """(K, J, I) where the fragment network looks for a roughly detected bone.

    Args:
        crop: the bone.
        others: all other bones on the crop's native grid, see `others_of`.

    Returns:
        The mask on the crop's working grid: grown, but never into a neighbour.
    """
    near = resample_mask(others, crop.native, crop.working) & ~crop.mask
    return grow_bone(crop.mask, near, crop.working.spacing_mm, GROWTH_MM)


def _extent(
    crop: BoneCrop, mask: MaskArray, others: MaskArray, fragment_map: FragmentMap
) -> tuple[MaskArray, MaskArray]:
    """The bone as the network sees it, at the working spacing and on the native grid."""
    foreground = 1.0 - fragment_map.channel("background").astype(np.float32)
    spacing_mm = crop.working.spacing_mm
    seen = mask & ((foreground >= 0.5) | shrink_bone(crop.mask, spacing_mm, GROWTH_MM))
    least = max(1, round(_LEAST_EXTENT_MM3 / crop.working.voxel_volume_mm3))
    extent = without_small_components(seen, least, 26)
    if not extent.any():
        return crop.mask, crop.native_mask
    # The border between two voxels is where their probabilities cross one half.
    level = np.where(extent, np.maximum(foreground, 0.51), np.minimum(foreground, 0.49))
    native = resample_probability(level, crop.working, crop.native) >= 0.5
    return extent, native & ~others


def _within_capacity(
    labels: npt.NDArray[np.uint16], capacity: int, crop: BoneCrop
) -> npt.NDArray[np.uint16]:
    """No more fragments than can be numbered: the smallest join what is nearest to them."""
    if labels.max(initial=0) <= capacity:
        return labels
    kept = np.where(labels <= capacity, labels, 0).astype(np.uint16)
    return fill_from_nearest(kept, labels > 0, crop.native.spacing_mm)


def _ranked(
    labels: LabelArray, count: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """Labels by falling volume on this grid, and the new label per old one."""
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())]
    index_of = np.zeros(count + 1, np.uint16)
    index_of[order] = np.arange(1, len(order) + 1)
    return index_of[labels], index_of
