"""Bones by two U-Nets: the whole CT at 3 mm, then the neighbourhood of the bones at 1.5 mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.bones.clean import clean_bones
from FractureSegmentationLib.bones.crop import padded_box
from FractureSegmentationLib.bones.sides import assign_sides, likeliest_bones
from FractureSegmentationLib.errors import NoBoneError
from FractureSegmentationLib.inference.engine import Network
from FractureSegmentationLib.inference.intensity import CtNormalisation, normalise
from FractureSegmentationLib.inference.placement import Precision
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.types import Shape, Spacing
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.distance import distance_to_mm
from FractureSegmentationLib.voxels.orient import canonical_order
from FractureSegmentationLib.voxels.resample import nearest_labels, resample_volume
from FractureSegmentationLib.voxels.upsample import classes_to_grid

if TYPE_CHECKING:
    from torch import nn

COARSE_PATCH: Shape = (80, 80, 96)
FINE_PATCH: Shape = (64, 64, 64)
_OVERLAP = 0.25
_DENSE_HU = 80.0
_FINE_MARGIN_MM = 12.0
_FINE_REACH_MM = 9.0
_CHECK_THE_SERIES = "Check the series, or give a bone segmentation with --bones."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneStage:
    """One of the two networks with what belongs to it.

    Attributes:
        network: class logits; class c is bone c - 1 of `bones`, 0 is everything else.
        bones: slugs in the order of the classes.
        spacing_mm: what it works at.
        normalisation: how HU become its input.
        patch: window size along (k, j, i).
        channels: input channels: 1 for the CT alone, 1 more per bone for the fine stage.
        precision: of its computation; None takes the fastest that is safe.
    """

    network: Network | nn.Module
    bones: tuple[str, ...]
    spacing_mm: Spacing
    normalisation: CtNormalisation
    patch: Shape
    channels: int
    precision: Precision | None = None


def bones_by_cascade(
    ct: Volume, coarse: BoneStage, fine: BoneStage, device: str, progress: Progress
) -> LabelVolume:
    """Find the bones of a CT.

    Args:
        ct: the CT, any orientation.
        coarse: sees the CT.
        fine: sees the CT and the coarse result, one channel per bone.
        device: where the networks run.
        progress: receives how far it is, 0 to 1 of its stage, and says whether to stop.

    Returns:
        uint8 catalogue mask values on the CT's grid.

    Raises:
        NoBoneError: no bone was detected.
        RunCancelledError: the caller asked to stop.
    """
    order = canonical_order(ct.geometry)
    canonical = order.volume(ct)
    rough = _rough_bones(canonical, coarse, device, _part(progress, 0.0, 0.35))
    box = bounding_box(rough.voxels != 0)
    if box is None:
        raise NoBoneError(
            "None of the bones that are looked for was found in the CT.", _CHECK_THE_SERIES
        )
    near = rough.geometry.cropped(padded_box(box, rough.geometry, _FINE_MARGIN_MM))
    around = nearest_labels(rough, near.resampled(fine.spacing_mm))
    labels = _fine_bones(canonical, around, fine, device, _part(progress, 0.35, 0.9))
    voxels = np.ascontiguousarray(order.undo(labels))
    if not voxels.any():
        raise NoBoneError("No bone of a plausible size was found in the CT.", _CHECK_THE_SERIES)
    progress.report(1.0)
    return LabelVolume(voxels=voxels, geometry=ct.geometry)


def _rough_bones(ct: Volume, stage: BoneStage, device: str, progress: Progress) -> LabelVolume:
    """Mask values on the coarse grid; only where something is denser than soft tissue."""
    small = resample_volume(ct, ct.geometry.resampled(stage.spacing_mm), order=1)
    hu = np.asarray(small.voxels, np.float32)
    where = hu > _DENSE_HU
    if not where.any():
        raise NoBoneError("Nothing in the volume is as dense as bone.", _CHECK_THE_SERIES)
    channels = normalise(hu, stage.normalisation)[None]
    probabilities = _predictor(stage, device).predict(channels, where, progress)
    spacing_mm = small.geometry.spacing_mm
    values = assign_sides(likeliest_bones(probabilities, stage.bones), spacing_mm)
    return LabelVolume(voxels=clean_bones(values, spacing_mm), geometry=small.geometry)


def _fine_bones(
    ct: Volume, rough: LabelVolume, stage: BoneStage, device: str, progress: Progress
) -> npt.NDArray[np.uint8]:
    """Mask values on the CT's grid; `rough` is the coarse result at the fine spacing."""
    probabilities = _clean(_fine_probabilities(ct, rough, stage, device, progress), stage)
    return _mask_values(stage.bones)[classes_to_grid(probabilities, rough.geometry, ct.geometry)]


def _fine_probabilities(
    ct: Volume, rough: LabelVolume, stage: BoneStage, device: str, progress: Progress
) -> npt.NDArray[np.float16]:
    """(C, K, J, I) on the grid of `rough`, which is the coarse result at the fine spacing."""
    local = resample_volume(ct, rough.geometry, order=1)
    channels = np.empty((1 + len(stage.bones), *rough.geometry.shape), np.float32)
    channels[0] = normalise(local.voxels, stage.normalisation)
    for number, slug in enumerate(stage.bones, start=1):
        channels[number] = rough.voxels == bone_named(slug).mask_value
    where = distance_to_mm(rough.voxels != 0, rough.geometry.spacing_mm, _FINE_REACH_MM + 2.0)
    return _predictor(stage, device).predict(channels, where <= _FINE_REACH_MM, progress)


def _clean(probabilities: npt.NDArray[np.float16], stage: BoneStage) -> npt.NDArray[np.float16]:
    """Probabilities whose most probable classes are plausible; sure where they were corrected."""
    values = _mask_values(stage.bones)
    raw = values[probabilities.argmax(axis=0)]
    cleaned = clean_bones(raw, stage.spacing_mm)
    changed = cleaned != raw
    corrected = np.where(changed, np.float16(0), probabilities)
    for number, value in enumerate(values):
        corrected[number][changed & (cleaned == value)] = 1
    return corrected


def _mask_values(bones: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Mask value per class number."""
    return np.array([0, *(bone_named(slug).mask_value for slug in bones)], np.uint8)


def _predictor(stage: BoneStage, device: str) -> Predictor:
    air = stage.normalisation.outside_value
    plan = WindowPlan(
        patch=stage.patch, overlap=_OVERLAP, padding=(air, *[0.0] * (stage.channels - 1))
    )
    return Predictor(stage.network, plan, device=device, precision=stage.precision)


def _part(progress: Progress, begin: float, end: float) -> Progress:
    """The same channel for a part of the current stage."""
    first, last = progress.span
    length = last - first
    return replace(progress, span=(first + begin * length, first + end * length))
