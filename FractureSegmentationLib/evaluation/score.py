"""The figures of one bone and of one case: fragments, distances, counts and the headline."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.evaluation.labels import (
    bone_groups,
    label_boxes,
    labels_by_bone,
    mask_of,
)
from FractureSegmentationLib.evaluation.matching import (
    FragmentCounts,
    Match,
    OverlapTable,
    count_fragments,
    match_table,
    overlap_table,
)
from FractureSegmentationLib.evaluation.surface import (
    SurfaceDistances,
    missing_distances,
    surface_distances,
)
from FractureSegmentationLib.types import LabelArray, Spacing
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.boxes import union_box

MIN_FRAGMENT_MM3 = 500.0
"""The headline looks at true fragments of at least this volume."""

_NOT_MEASURED = SurfaceDistances(hd95_mm=math.nan, assd_mm=math.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentScore:
    """One true fragment and what became of it.

    Attributes:
        truth: its label in the truth.
        prediction: label of its match, 0 where it is missing.
        volume_mm3: its true volume.
        iou: intersection over union, 0 where it is missing.
        dice: Dice coefficient, 0 where it is missing.
        hd95_mm: 95th percentile Hausdorff distance; NaN where distances were not requested.
        assd_mm: average symmetric surface distance; likewise.
    """

    truth: int
    prediction: int
    volume_mm3: float
    iou: float
    dice: float
    hd95_mm: float
    assd_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Means over fragments, or over bones of such means; NaN where there is nothing to average.

    Attributes:
        iou: intersection over union.
        dice: Dice coefficient.
        hd95_mm: 95th percentile Hausdorff distance, in mm.
        assd_mm: average symmetric surface distance, in mm.
    """

    iou: float
    dice: float
    hd95_mm: float
    assd_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneScore:
    """How well one bone was divided.

    Attributes:
        fragments: one row per true fragment.
        headline: means over the true fragments of at least `min_fragment_mm3`.
        all_fragments: means over every true fragment.
        bone: the whole bone, its fragments merged.
        counts: detected, invented, missed, merged, split; every fragment counts.
        spurious: predicted fragments of at least `min_fragment_mm3` that match no true one.
        min_fragment_mm3: the smallest fragment the headline looks at.
    """

    fragments: tuple[FragmentScore, ...]
    headline: Means
    all_fragments: Means
    bone: Means
    counts: FragmentCounts
    spurious: int
    min_fragment_mm3: float


def score_bone(
    prediction: LabelArray,
    truth: LabelArray,
    spacing_mm: Spacing,
    *,
    min_fragment_mm3: float = MIN_FRAGMENT_MM3,
    with_distances: bool = True,
) -> BoneScore:
    """Score the fragments of one bone: one-to-one matching, a missing fragment scores 0.

    Args:
        prediction: (K, J, I) fragment labels, 0 = background.
        truth: (K, J, I) fragment labels, 0 = background.
        spacing_mm: voxel size along (k, j, i), in mm.
        min_fragment_mm3: smallest true fragment of the headline, and smallest spurious one.
        with_distances: measure surface distances too, which costs most of the time.

    Raises:
        ValueError: the grids differ, or a label is negative.
    """
    return BoneScorer(
        prediction,
        truth,
        spacing_mm,
        min_fragment_mm3=min_fragment_mm3,
        with_distances=with_distances,
    ).score()


class BoneScorer:
    """Scores any set of labels as one bone; labels are counted once for all bones of a case.

    Args:
        prediction: (K, J, I) fragment labels, 0 = background.
        truth: (K, J, I) fragment labels, 0 = background.
        spacing_mm: voxel size along (k, j, i), in mm.
        min_fragment_mm3: smallest true fragment of the headline, and smallest spurious one.
        with_distances: measure surface distances too.

    Raises:
        ValueError: the grids differ, or a label is negative.
    """

    def __init__(
        self,
        prediction: LabelArray,
        truth: LabelArray,
        spacing_mm: Spacing,
        *,
        min_fragment_mm3: float = MIN_FRAGMENT_MM3,
        with_distances: bool = True,
    ) -> None:
        self.table = overlap_table(prediction, truth)
        self._prediction, self._truth = prediction, truth
        self._spacing_mm = spacing_mm
        self._voxel_mm3 = math.prod(spacing_mm)
        self._min_fragment_mm3 = min_fragment_mm3
        self._with_distances = with_distances
        self._prediction_boxes = label_boxes(prediction) if with_distances else {}
        self._truth_boxes = label_boxes(truth) if with_distances else {}

    def score(
        self,
        truth_labels: Sequence[int] | None = None,
        prediction_labels: Sequence[int] | None = None,
    ) -> BoneScore:
        """Score these labels as one bone; None takes all there are."""
        truths = self.table.truth_labels.tolist() if truth_labels is None else truth_labels
        predictions = (
            self.table.prediction_labels.tolist()
            if prediction_labels is None
            else prediction_labels
        )
        table = self.table.restricted(truths, predictions)
        matches = match_table(table)
        fragments = tuple(
            self._fragment(match, int(voxels))
            for match, voxels in zip(matches, table.truth_voxels, strict=True)
        )
        taken = [match.prediction for match in matches]
        is_large = table.prediction_voxels * self._voxel_mm3 >= self._min_fragment_mm3
        return BoneScore(
            fragments=fragments,
            headline=mean_of([f for f in fragments if f.volume_mm3 >= self._min_fragment_mm3]),
            all_fragments=mean_of(fragments),
            bone=self._whole_bone(table),
            counts=count_fragments(table),
            spurious=int(np.count_nonzero(is_large & ~np.isin(table.prediction_labels, taken))),
            min_fragment_mm3=self._min_fragment_mm3,
        )

    def _fragment(self, match: Match, voxels: int) -> FragmentScore:
        distances = self._distances([match.truth], [match.prediction] if match.prediction else [])
        return FragmentScore(
            truth=match.truth,
            prediction=match.prediction,
            volume_mm3=voxels * self._voxel_mm3,
            iou=match.iou,
            dice=match.dice,
            hd95_mm=distances.hd95_mm,
            assd_mm=distances.assd_mm,
        )

    def _whole_bone(self, table: OverlapTable) -> Means:
        true, predicted = int(table.truth_voxels.sum()), int(table.prediction_voxels.sum())
        shared = int(table.shared_voxels.sum())
        if true == 0:
            return mean_of([])
        distances = self._distances(table.truth_labels.tolist(), table.prediction_labels.tolist())
        return Means(
            iou=shared / (true + predicted - shared),
            dice=2 * shared / (true + predicted),
            hd95_mm=distances.hd95_mm,
            assd_mm=distances.assd_mm,
        )

    def _distances(self, truths: list[int], predictions: list[int]) -> SurfaceDistances:
        if not self._with_distances:
            return _NOT_MEASURED
        boxes = [self._truth_boxes[label] for label in truths]
        boxes += [self._prediction_boxes[label] for label in predictions]
        box = union_box(boxes)
        truth = mask_of(self._truth[box], truths)
        if not predictions:
            return missing_distances(truth, self._spacing_mm)
        prediction = mask_of(self._prediction[box], predictions)
        return surface_distances(prediction, truth, self._spacing_mm)


def mean_of(rows: Sequence[FragmentScore | Means]) -> Means:
    """Average every figure over `rows`; NaN where there are none."""

    def mean(figure: Callable[[FragmentScore | Means], float]) -> float:
        return math.fsum(map(figure, rows)) / len(rows) if rows else math.nan

    return Means(
        iou=mean(lambda row: row.iou),
        dice=mean(lambda row: row.dice),
        hd95_mm=mean(lambda row: row.hd95_mm),
        assd_mm=mean(lambda row: row.assd_mm),
    )


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
