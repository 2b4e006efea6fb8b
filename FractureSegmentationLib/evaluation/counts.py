"""How many fragments were found, invented, merged and split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from FractureSegmentationLib.evaluation.overlap import OverlapTable, match_table

FOUND_IOU = 0.5
"""A pair counts as found from this IoU on."""

_COVERING_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentCounts:
    """Found, invented, missed, merged and split fragments; counts of several bones add up.

    Attributes:
        found: true fragments whose match has an IoU of at least 0.5.
        invented: predicted fragments that are no such match.
        missed: true fragments without such a match.
        merges: predictions that cover at least half of two or more true fragments.
        splits: true fragments that cover at least half of two or more predictions.
    """

    found: int = 0
    invented: int = 0
    missed: int = 0
    merges: int = 0
    splits: int = 0

    @property
    def precision(self) -> float:
        """Share of the predicted fragments that are found ones; 1 where nothing is at stake."""
        return _share(self.found, self.invented, is_nothing_at_stake=self.missed == 0)

    @property
    def recall(self) -> float:
        """Share of the true fragments that were found; 1 where nothing is at stake."""
        return _share(self.found, self.missed, is_nothing_at_stake=self.invented == 0)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where nothing is at stake."""
        return _share(2 * self.found, self.invented + self.missed, is_nothing_at_stake=True)

    def __add__(self, other: FragmentCounts) -> FragmentCounts:
        return FragmentCounts(
            found=self.found + other.found,
            invented=self.invented + other.invented,
            missed=self.missed + other.missed,
            merges=self.merges + other.merges,
            splits=self.splits + other.splits,
        )


def count_fragments(table: OverlapTable) -> FragmentCounts:
    """Count what became of the fragments of one bone."""
    found = sum(match.iou >= FOUND_IOU for match in match_table(table))
    merges, splits = merges_and_splits(table)
    return FragmentCounts(
        found=found,
        invented=len(table.prediction_labels) - found,
        missed=len(table.truth_labels) - found,
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
