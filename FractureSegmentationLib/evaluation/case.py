"""The figures of a whole case: bone by bone, and their headline."""

from __future__ import annotations

import math
from dataclasses import dataclass

from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.evaluation.bone_groups import bone_groups, labels_by_bone
from FractureSegmentationLib.evaluation.counts import FragmentCounts
from FractureSegmentationLib.evaluation.score import (
    MIN_FRAGMENT_MM3,
    BoneScore,
    BoneScorer,
    Means,
    mean_of,
)
from FractureSegmentationLib.volume import LabelVolume


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScore:
    """How well one case was segmented.

    Attributes:
        bones: (slugs, score) of every bone of the truth or the prediction, in catalogue order. Two
            slugs are listed where a numbering gives two bones one range of labels.
        headline: mean over the bones of their headline means; bones without a true fragment of the
            headline's size do not enter.
        all_fragments: likewise over every true fragment of a bone.
        whole_bones: mean over the bones of the truth of their undivided figures.
        counts: sums over all bones.
        spurious: likewise.
    """

    bones: tuple[tuple[str, BoneScore], ...]
    headline: Means
    all_fragments: Means
    whole_bones: Means
    counts: FragmentCounts
    spurious: int


def score_case(
    prediction: LabelVolume,
    truth: LabelVolume,
    prediction_numbering: Numbering,
    truth_numbering: Numbering,
    *,
    min_fragment_mm3: float = MIN_FRAGMENT_MM3,
    with_distances: bool = True,
) -> CaseScore:
    """Score a case with the project's own protocol ("clean").

    Fragments are matched one-to-one within their bone; a missing fragment scores 0, a missing bone
    scores 0 for each of its fragments; predictions of another bone never match.

    Args:
        prediction: fragment labels.
        truth: fragment labels on the same grid.
        prediction_numbering: how the prediction's labels name bones.
        truth_numbering: how the truth's labels name bones.
        min_fragment_mm3: smallest true fragment of the headline, and smallest spurious one.
        with_distances: measure surface distances too.

    Raises:
        ValueError: the grids differ, or a label belongs to no bone in its numbering.
    """
    if not prediction.geometry.is_close_to(truth.geometry):
        raise ValueError("prediction and truth lie on different grids")
    scorer = BoneScorer(
        prediction.voxels,
        truth.voxels,
        truth.geometry.spacing_mm,
        min_fragment_mm3=min_fragment_mm3,
        with_distances=with_distances,
    )
    groups = bone_groups(prediction_numbering, truth_numbering)
    bones = labels_by_bone(scorer.table, prediction_numbering, truth_numbering, groups)
    scores = [(name, scorer.score(b.truths, b.predictions)) for name, b in bones.items()]
    return summarise(scores)


def summarise(bones: list[tuple[str, BoneScore]]) -> CaseScore:
    """Put the scores of the bones of a case together."""
    scores = [score for _, score in bones]
    counts = FragmentCounts()
    for score in scores:
        counts = counts + score.counts
    return CaseScore(
        bones=tuple(bones),
        headline=mean_of([s.headline for s in scores if not math.isnan(s.headline.iou)]),
        all_fragments=mean_of([s.all_fragments for s in scores if s.fragments]),
        whole_bones=mean_of([s.bone for s in scores if s.fragments]),
        counts=counts,
        spurious=sum(score.spurious for score in scores),
    )
