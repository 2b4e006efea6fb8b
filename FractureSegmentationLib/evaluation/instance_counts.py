"""Instance recall, precision and F1 where a prediction may stand for several true fragments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from FractureSegmentationLib.evaluation.counts import merges_and_splits
from FractureSegmentationLib.evaluation.overlap import OverlapTable

Partners = Sequence[int | None]
"""Per true fragment the column of its prediction in the table, None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceCounts:
    """Counts of a bone; those of several bones add up.

    Attributes:
        truths: true fragments.
        predictions: predicted fragments.
        found: true fragments whose prediction overlaps them enough.
        hits: predictions that are such a one; fewer than `found` where one serves several.
        merges: predictions that cover at least half of two or more true fragments.
        splits: true fragments that cover at least half of two or more predictions.
    """

    truths: int = 0
    predictions: int = 0
    found: int = 0
    hits: int = 0
    merges: int = 0
    splits: int = 0

    @property
    def recall(self) -> float:
        """Share of the true fragments that were found; NaN where there is none."""
        return self.found / self.truths if self.truths else math.nan

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
        if not self.found:
            return 0.0
        return 2.0 * self.precision * self.recall / (self.precision + self.recall)

    def __add__(self, other: InstanceCounts) -> InstanceCounts:
        return InstanceCounts(
            truths=self.truths + other.truths,
            predictions=self.predictions + other.predictions,
            found=self.found + other.found,
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
    """Count what became of the fragments of one bone, found ones from `min_iou` on."""
    iou = table.iou
    found = [
        column
        for row, column in enumerate(partners)
        if column is not None and iou[row, column] >= min_iou
    ]
    merges, splits = merges_and_splits(table)
    return InstanceCounts(
        truths=len(table.truth_labels),
        predictions=len(table.prediction_labels),
        found=len(found),
        hits=len(set(found)),
        merges=merges,
        splits=splits,
    )
