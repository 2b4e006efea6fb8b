"""Which bones are segmented: detected or given, and of those the requested ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.anatomy.catalogue import BONES, Bone, bone_named
from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.bones.cascade import bones_by_cascade
from FractureSegmentationLib.bones.extent import fitted_to_masked_ct
from FractureSegmentationLib.bones.from_labels import bones_from_labels
from FractureSegmentationLib.bones.threshold import bones_by_threshold
from FractureSegmentationLib.bones.totalsegmentator import bones_by_totalsegmentator
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.errors import InputError, NoBoneError
from FractureSegmentationLib.inference.engine import choose_engine
from FractureSegmentationLib.pipeline.models import ModelCache, Weights, load_bone_stages
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.volume import LabelVolume, Volume

_THRESHOLD_WARNING = (
    "The bones were found by density alone; their names are guesses from position. Check them."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneMasks:
    """The bones of a CT.

    Attributes:
        bones: catalogue mask values on the CT's grid.
        are_exact: whether they end where bone ends; else the fragment network decides that.
        weights: of the networks that detected them.
    """

    bones: LabelVolume
    are_exact: bool
    weights: tuple[Weights, ...] = ()


def find_bones(
    ct: Volume,
    settings: SegmentSettings,
    progress: Progress,
    *,
    is_already_masked: bool = False,
    model_cache: ModelCache | None = None,
) -> BoneMasks:
    """Find the bones the way the settings ask for.

    Args:
        ct: the CT.
        settings: how, and which.
        progress: receives progress.
        is_already_masked: the CT is 0 HU outside its bones, which therefore end where it says so.
        model_cache: keeps the networks for the next case; None loads them for this one.

    Raises:
        NoBoneError: there is none.
        EnvironmentProblemError: what is needed for it is missing.
        RunCancelledError: the caller asked to stop.
    """
    weights: tuple[Weights, ...] = ()
    if isinstance(settings.bones, LabelVolume):
        return BoneMasks(bones=bones_from_labels(settings.bones, ct.geometry), are_exact=True)
    if settings.bones == "threshold":
        bones = bones_by_threshold(ct)
        progress.warn(_THRESHOLD_WARNING)
    elif settings.bones == "totalsegmentator":
        bones = bones_by_totalsegmentator(ct, settings.device)
    else:
        engine = choose_engine(settings.engine)
        coarse, fine, weights = load_bone_stages(settings.bones_model, engine, model_cache)
        if settings.precision != "auto":
            coarse = replace(coarse, precision=settings.precision)
            fine = replace(fine, precision=settings.precision)
        bones = bones_by_cascade(ct, coarse, fine, settings.device, progress)
    if is_already_masked:
        bones = fitted_to_masked_ct(ct, bones)
    return BoneMasks(bones=bones, are_exact=is_already_masked, weights=weights)


def wanted_bones(
    bones: LabelVolume, only: tuple[str, ...], served: tuple[str, ...], progress: Progress
) -> LabelVolume:
    """The requested bones that the method serves.

    Args:
        bones: catalogue mask values.
        only: slugs requested; none means all.
        served: slugs that the method serves.
        progress: warned of what is left out.

    Raises:
        NoBoneError: none is left; the message says which were detected.
    """
    detected = _bones_in(bones)
    kept = [slug for slug in detected if slug in served and (not only or slug in only)]
    if not kept:
        names = ", ".join(bone.name.lower() for bone in detected.values())
        raise NoBoneError(
            f"None of the bones asked for was found; found: {names or 'none'}.",
            "Change --only, or give a bone segmentation with --bones.",
        )
    for slug in only:
        if slug not in detected:
            progress.warn(f"The {bone_named(slug).name.lower()} was asked for but not found.")
    for slug, bone in detected.items():
        if slug not in served and (not only or slug in only):
            progress.warn(f"The {bone.name.lower()} is left out: the method does not serve it.")
    if len(kept) == len(detected):
        return bones
    values = [detected[slug].mask_value for slug in kept]
    lookup = np.zeros(len(BONES) + 1, np.uint8)
    lookup[values] = values
    return bones.with_voxels(lookup[bones.voxels])


def refuse_unnumbered_bones(bones: LabelVolume, numbering: Numbering) -> None:
    """Stop before any work is done on a bone that the numbering has no labels for.

    Raises:
        InputError: there is one; the message names it.
    """
    for bone in _bones_in(bones).values():
        try:
            numbering.label_of(bone, 1)
        except ValueError as error:
            raise InputError(
                f"The numbering {numbering.name} has no labels for the {bone.name.lower()}.",
                "Use --numbering fracseg, or leave the bone out with --only.",
            ) from error


def _bones_in(bones: LabelVolume) -> dict[str, Bone]:
    # On a whole CT the boxes are computed several times faster than the distinct values.
    boxes = find_objects(bones.voxels, max_label=len(BONES))
    return {bone.slug: bone for bone in BONES if boxes[bone.mask_value - 1] is not None}
