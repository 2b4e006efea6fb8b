"""Evidence for simulated clicks: contact map of fold weights, a perfect one, or the CT alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from fracseg_training.benchmarks.folds import fold_predictor
from FractureSegmentationLib.bones.crop import bone_crops
from FractureSegmentationLib.editing.evidence import CutEvidence
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.volume import Volume
from FractureSegmentationLib.voxels.resample import nearest_labels, resample_probability

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from FractureSegmentationLib.bones.crop import BoneCrop
    from FractureSegmentationLib.types import FloatArray
    from FractureSegmentationLib.volume import LabelVolume

MapKind = Literal["folds", "oracle", "none"]


def click_evidence(
    ct: Volume,
    bones: LabelVolume,
    truth: LabelVolume,
    contact_of: Callable[[BoneCrop, LabelVolume], FloatArray] | None,
) -> CutEvidence:
    """CT and contact map as a result folder holds them.

    Args:
        ct: the CT.
        bones: catalogue mask values on its grid.
        truth: true fragments on its grid.
        contact_of: makes the contact probability of one bone at the working spacing, given its
            crop and the true fragments in it; None for no map.
    """
    if contact_of is None:
        return CutEvidence(ct=ct)
    contact = np.zeros(ct.geometry.shape, np.uint8)
    for crop in bone_crops(
        ct, bones, margin_mm=FRACSEGMENTATOR.margin_mm, spacing_mm=FRACSEGMENTATOR.spacing_mm
    ):
        inside = np.where(bones.voxels[crop.box] == crop.bone.mask_value, truth.voxels[crop.box], 0)
        part = crop.order.volume(truth.cropped(crop.box).with_voxels(inside))
        native = resample_probability(contact_of(crop, part), crop.working, crop.native)
        native *= np.float32(255.0) * crop.native_mask
        target = contact[crop.box]
        np.maximum(target, crop.order.undo(np.rint(native).astype(np.uint8)), out=target)
    return CutEvidence(ct=ct, contact=Volume(voxels=contact, geometry=ct.geometry))


def perfect_contact(crop: BoneCrop, truth: LabelVolume) -> FloatArray:
    """What a perfect network would say of contact."""
    labels = nearest_labels(truth, crop.working).voxels
    return bicm.contact_mask(labels).astype(np.float32)


def fold_contact(
    patient: str, folder: Path, *, device: str = "auto"
) -> Callable[[BoneCrop, LabelVolume], FloatArray]:
    """What the weights say that never saw the patient.

    Args:
        patient: who is left out.
        folder: a model folder, or one that holds the folds, see `fold_model`.
        device: see `Predictor`.

    Raises:
        MissingWeightsError: there is no fold for that patient.
    """
    predictor = fold_predictor(patient, folder, device=device)

    def contact(crop: BoneCrop, truth: LabelVolume) -> FloatArray:  # noqa: ARG001
        make_input, normalisation = FRACSEGMENTATOR.make_input, FRACSEGMENTATOR.normalisation
        channels = make_input(crop.ct.voxels, crop.mask, normalisation)
        predicted: FloatArray = predictor.predict(channels, crop.mask)[bicm.CONTACT]
        return predicted

    return contact
