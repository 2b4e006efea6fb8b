"""Matching of predicted to true fragments: overlap, one-to-one or best partner, and their counts.

Voxels of every pair of labels are counted once (`overlap_table`). IoU, Dice, the matching, and how
many fragments were detected, missed, merged and split are read from that table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from FractureSegmentationLib.types import LabelArray

Counts = npt.NDArray[np.int64]

_MAX_DENSE_BINS = 1 << 24


DETECTED_IOU = 0.5
"""A pair counts as detected from this IoU on."""
_COVERING_SHARE = 0.5
Partners = Sequence[int | None]
"""Per true fragment the column of its prediction in the table, None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OverlapTable:
    """Voxel counts of every pair of a true and a predicted label.

    Attributes:
        truth_labels: (T,) labels of the truth, ascending.
        prediction_labels: (P,) labels of the prediction, ascending.
        truth_voxels: (T,) voxels of each true label.
        prediction_voxels: (P,) voxels of each predicted label.
        shared_voxels: (T, P) voxels that carry both labels.
    """

    truth_labels: Counts
    prediction_labels: Counts
    truth_voxels: Counts
    prediction_voxels: Counts
    shared_voxels: Counts

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """(T, P) intersection over union of every pair."""
        either = self.truth_voxels[:, None] + self.prediction_voxels[None, :] - self.shared_voxels
        return self.shared_voxels.astype(np.float64) / either

    @property
    def dice(self) -> npt.NDArray[np.float64]:
        """(T, P) Dice coefficient of every pair."""
        both = self.truth_voxels[:, None] + self.prediction_voxels[None, :]
        return 2.0 * self.shared_voxels.astype(np.float64) / both

    def restricted(
        self, truth_labels: Sequence[int], prediction_labels: Sequence[int]
    ) -> OverlapTable:
        """The part of the table that concerns these labels; labels it does not know are ignored."""
        rows = np.isin(self.truth_labels, np.asarray(truth_labels, np.int64))
        columns = np.isin(self.prediction_labels, np.asarray(prediction_labels, np.int64))
        return OverlapTable(
            truth_labels=self.truth_labels[rows],
            prediction_labels=self.prediction_labels[columns],
            truth_voxels=self.truth_voxels[rows],
            prediction_voxels=self.prediction_voxels[columns],
            shared_voxels=self.shared_voxels[np.ix_(rows, columns)],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A true fragment and the prediction that stands for it.

    Attributes:
        truth: its label in the truth.
        prediction: label in the prediction, 0 where the fragment is missing.
        iou: intersection over union, 0 where it is missing.
        dice: Dice coefficient, 0 where it is missing.
    """

    truth: int
    prediction: int
    iou: float
    dice: float


def overlap_table(prediction: LabelArray, truth: LabelArray) -> OverlapTable:
    """Count the voxels that every true and every predicted label have alone and in common.

    Args:
        prediction: (K, J, I) labels, 0 = background.
        truth: (K, J, I) labels, 0 = background.

    Raises:
        ValueError: the grids differ, or a label is negative.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} share no grid")
    inside = (prediction != 0) | (truth != 0)
    predicted, true = prediction[inside].astype(np.int64), truth[inside].astype(np.int64)
    if predicted.size and min(predicted.min(), true.min()) < 0:
        raise ValueError("labels must be 0 or positive")
    stride = int(predicted.max(initial=0)) + 1
    pairs, voxels = _count_values(true * stride + predicted)
    truth_labels, rows = np.unique(np.append(0, pairs // stride), return_inverse=True)
    prediction_labels, columns = np.unique(np.append(0, pairs % stride), return_inverse=True)
    table = np.zeros((len(truth_labels), len(prediction_labels)), np.int64)
    table[rows[1:], columns[1:]] = voxels
    return OverlapTable(
        truth_labels=truth_labels[1:],
        prediction_labels=prediction_labels[1:],
        truth_voxels=table.sum(axis=1)[1:],
        prediction_voxels=table.sum(axis=0)[1:],
        shared_voxels=table[1:, 1:],
    )


def match_table(table: OverlapTable) -> tuple[Match, ...]:
    """Pair labels one-to-one so that the sum of their IoU is largest (Hungarian method).

    A pair without a common voxel is no pair: the true fragment counts as missing.

    Returns:
        One match per true label, ascending.
    """
    iou, dice = table.iou, table.dice
    partner = dict(zip(*(axis.tolist() for axis in linear_sum_assignment(-iou)), strict=True))
    matches = []
    for row, label in enumerate(table.truth_labels.tolist()):
        column = partner.get(row)
        if column is None or table.shared_voxels[row, column] == 0:
            matches.append(Match(truth=label, prediction=0, iou=0.0, dice=0.0))
            continue
        matches.append(
            Match(
                truth=label,
                prediction=int(table.prediction_labels[column]),
                iou=float(iou[row, column]),
                dice=float(dice[row, column]),
            )
        )
    return tuple(matches)


def _count_values(values: Counts) -> tuple[Counts, Counts]:
    """The distinct `values`, ascending, and how often each occurs."""
    # Counting into bins is ten times faster than sorting, as long as the bins fit in memory.
    if values.max(initial=0) < _MAX_DENSE_BINS:
        counts = np.bincount(values)
        distinct = np.flatnonzero(counts)
        return distinct, counts[distinct]
    distinct, counts = np.unique(values, return_counts=True)
    return distinct, counts


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentCounts:
    """Detected, invented, missed, merged and split fragments; counts of several bones add up.

    Attributes:
        detected: true fragments whose match has an IoU of at least 0.5.
        invented: predicted fragments that are no such match.
        missed: true fragments without such a match.
        merges: predictions that cover at least half of two or more true fragments.
        splits: true fragments that cover at least half of two or more predictions.
    """

    detected: int = 0
    invented: int = 0
    missed: int = 0
    merges: int = 0
    splits: int = 0

    @property
    def precision(self) -> float:
        """Share of the predicted fragments that are detected ones; 1 where nothing is at stake."""
        return _share(self.detected, self.invented, is_nothing_at_stake=self.missed == 0)

    @property
    def recall(self) -> float:
        """Share of the true fragments that were detected; 1 where nothing is at stake."""
        return _share(self.detected, self.missed, is_nothing_at_stake=self.invented == 0)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where nothing is at stake."""
        return _share(2 * self.detected, self.invented + self.missed, is_nothing_at_stake=True)

    def __add__(self, other: FragmentCounts) -> FragmentCounts:
        return FragmentCounts(
            detected=self.detected + other.detected,
            invented=self.invented + other.invented,
            missed=self.missed + other.missed,
            merges=self.merges + other.merges,
            splits=self.splits + other.splits,
        )


def count_fragments(table: OverlapTable) -> FragmentCounts:
    """Count what became of the fragments of one bone."""
    detected = sum(match.iou >= DETECTED_IOU for match in match_table(table))
    merges, splits = merges_and_splits(table)
    return FragmentCounts(
        detected=detected,
        invented=len(table.prediction_labels) - detected,
        missed=len(table.truth_labels) - detected,
        merges=merges,
        splits=splits,
    )


def merges_and_splits(table: OverlapTable) -> tuple[int, int]:
    """How many predictions merge true fragments, and how many true fragments are split.

    A prediction merges if it covers at least half of two or more true fragments; a true fragment
    is split if it covers at least half of two or more predictions.
    """
    of_truth = table.shared_voxels >= _COVERING_SHARE * table.truth_voxels[:, None]
    of_prediction = table.shared_voxels >= _COVERING_SHARE * table.prediction_voxels[None, :]
    return (
        int(np.count_nonzero(of_truth.sum(axis=0) >= 2)),
        int(np.count_nonzero(of_prediction.sum(axis=1) >= 2)),
    )


def _share(hits: int, misses: int, *, is_nothing_at_stake: bool) -> float:
    if hits + misses == 0:
        return 1.0 if is_nothing_at_stake else 0.0
    return hits / (hits + misses)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceCounts:
    """Counts of a bone; those of several bones add up.

    Attributes:
        truths: true fragments.
        predictions: predicted fragments.
        detected: true fragments whose prediction overlaps them enough.
        hits: predictions that are such a one; fewer than `detected` where one serves several.
        merges: predictions that cover at least half of two or more true fragments.
        splits: true fragments that cover at least half of two or more predictions.
    """

    truths: int = 0
    predictions: int = 0
    detected: int = 0
    hits: int = 0
    merges: int = 0
    splits: int = 0

    @property
    def recall(self) -> float:
        """Share of the true fragments that were detected; NaN where there is none."""
        return self.detected / self.truths if self.truths else math.nan

    @property
    def precision(self) -> float:
        """Share of the predictions that are hits; 0 without any, NaN if nothing was to find."""
        if self.predictions:
            return self.hits / self.predictions
        return 0.0 if self.truths else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision; NaN where there is nothing on either side."""
        if not self.truths and not self.predictions:
            return math.nan
        if not self.detected:
            return 0.0
        return 2.0 * self.precision * self.recall / (self.precision + self.recall)

    def __add__(self, other: InstanceCounts) -> InstanceCounts:
        return InstanceCounts(
            truths=self.truths + other.truths,
            predictions=self.predictions + other.predictions,
            detected=self.detected + other.detected,
            hits=self.hits + other.hits,
            merges=self.merges + other.merges,
            splits=self.splits + other.splits,
        )


def best_partners(table: OverlapTable) -> Partners:
    """The prediction with the largest IoU of every true fragment, whoever else has it too."""
    if not len(table.prediction_labels):
        return [None] * len(table.truth_labels)
    best = np.argmax(table.iou, axis=1).tolist()
    return [column if table.shared_voxels[row, column] else None for row, column in enumerate(best)]


def count_instances(table: OverlapTable, partners: Partners, min_iou: float) -> InstanceCounts:
    """Count what became of the fragments of one bone, detected ones from `min_iou` on."""
    iou = table.iou
    detected = [
        column
        for row, column in enumerate(partners)
        if column is not None and iou[row, column] >= min_iou
    ]
    merges, splits = merges_and_splits(table)
    return InstanceCounts(
        truths=len(table.truth_labels),
        predictions=len(table.prediction_labels),
        detected=len(detected),
        hits=len(set(detected)),
        merges=merges,
        splits=splits,
    )
