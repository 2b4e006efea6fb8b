"""Whole-pelvis fracture CTs with exact truth, segmented from the CT alone."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from fracseg_training.synthesis.fracture_ct import fractured_pelvis
from fracseg_training.synthesis.label_map import read_label_map
from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.errors import NoBoneError
from FractureSegmentationLib.evaluation.score import score_case
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.pipeline import segment_ct
from FractureSegmentationLib.volume import LabelVolume, Volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from FractureSegmentationLib.types import LabelArray


def whole_pelvis_scores(
    label_map: Path, names: Path, count: int, seed: int, device: str = "auto"
) -> Iterator[tuple[int, float, float]]:
    """Segment seeded fracture CTs with the default weights, bones detected by the cascade.

    Args:
        label_map: label image of a whole body that no weights were trained on.
        names: JSON of its structures' names.
        count: number of CTs.
        seed: of the bodies, the fractures and the scanners.
        device: where the networks run.

    Yields:
        Number, mean Dice of the bones, and mean over the broken bones of the mean IoU of their
        fragments of at least 500 mm³. A bone that is not detected scores 0.
    """
    body = read_label_map(label_map, names)
    for number in range(count):
        rng = np.random.default_rng([seed, number, zlib.crc32(b"whole pelvis")])
        made = fractured_pelvis(body.labels, body.names, body.spacing_mm, rng)
        k, j, i = made.hu.shape
        geometry = Geometry(shape=(k, j, i), spacing_mm=made.spacing_mm)
        ct = Volume(voxels=made.hu, geometry=geometry)
        try:
            predicted = segment_ct(ct, SegmentSettings(device=device))
        except NoBoneError:
            yield number, 0.0, 0.0
            continue
        truth = LabelVolume(voxels=made.fragments, geometry=geometry)
        yield (
            number,
            mean_bone_dice(predicted.bones.voxels, made.bones),
            broken_bone_iou(predicted.fragments, truth),
        )


def mean_bone_dice(predicted: LabelArray, truth: LabelArray) -> float:
    """Mean over the true bones of the Dice of their masks."""
    scores = []
    for value in np.unique(truth[truth > 0]):
        there, here = truth == value, predicted == value
        scores.append(2.0 * np.count_nonzero(there & here) / (there.sum() + here.sum()))
    return float(np.mean(scores))


def broken_bone_iou(predicted: LabelVolume, truth: LabelVolume) -> float:
    """Mean over the broken bones of the headline IoU of their fragments."""
    scores = score_case(predicted, truth, FRACSEG, FRACSEG, with_distances=False)
    broken = [score for _, score in scores.bones if len(score.fragments) > 1]
    return float(np.mean([score.headline.iou for score in broken])) if broken else float("nan")
