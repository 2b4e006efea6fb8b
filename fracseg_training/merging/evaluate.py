"""How good a merging model is: fragments, whole bones, and whether its probabilities hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fracseg_training.merging.examples import merged_by
from fracseg_training.merging.graphs import best_groups, score_groups
from FractureSegmentationLib.evaluation.matching import FragmentCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fracseg_training.merging.graphs import BoneGraph, GroupScore
    from FractureSegmentationLib.instances.learned.judge import Judge
    from FractureSegmentationLib.instances.merge_tree import MergeTree

_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a set of bones.

    Attributes:
        bones: how many are broken.
        iou: mean over broken bones of the mean IoU of their fragments of at least 500 mm³.
        best_iou: the same if every region went to its true fragment: the ceiling of merging.
        level_iou: the same at the best level of each bone's tree: what a slider can reach.
        f1, precision, recall: of fragments at IoU 0.5, pooled over broken bones.
        merges, splits: counts over broken bones.
        whole_kept, whole: bones in one piece that stayed so, and all of them.
        ece: expected calibration error of the probability that two fragments are one.
    """

    bones: int
    iou: float
    best_iou: float
    level_iou: float
    f1: float
    precision: float
    recall: float
    merges: int
    splits: int
    whole_kept: int
    whole: int
    ece: float

    def line(self) -> str:
        """One line of a table."""
        return (
            f"{self.bones} broken bones  IoU {self.iou:.3f} (slider {self.level_iou:.3f}, "
            f"regions {self.best_iou:.3f})  F1 {self.f1:.3f}  precision {self.precision:.3f}  "
            f"recall {self.recall:.3f}  merges {self.merges}  splits {self.splits}  "
            f"whole kept {self.whole_kept}/{self.whole}  ECE {self.ece:.3f}"
        )


def figures_of(bones: Sequence[BoneGraph], judge: Judge, min_fragment_mm3: float) -> Figures:
    """Merge every bone with a judge and score what comes out.

    Args:
        bones: graphs with their truth.
        judge: leads the merging.
        min_fragment_mm3: see `RecoveryConfig`.
    """
    rows: list[tuple[BoneGraph, MergeTree]] = []
    for bone in bones:
        agglomeration = merged_by(bone, judge, min_fragment_mm3).agglomeration
        rows.append((bone, agglomeration.tree(judge)))
    broken = [(bone, tree) for bone, tree in rows if not bone.is_whole]
    whole = [(bone, tree) for bone, tree in rows if bone.is_whole]
    scores = [score_groups(bone, tree.groups()) for bone, tree in broken]
    counts = sum((score.counts for score in scores), FragmentCounts())
    chances = [merge_chances(bone, tree) for bone, tree in rows]
    return Figures(
        bones=len(broken),
        iou=_mean(score.iou for score in scores),
        best_iou=_mean(score_groups(bone, best_groups(bone)).iou for bone, _ in broken),
        level_iou=_mean(best_level(bone, tree).iou for bone, tree in broken),
        f1=counts.f1,
        precision=counts.precision,
        recall=counts.recall,
        merges=counts.merges,
        splits=counts.splits,
        whole_kept=sum(tree.fragment_count() == 1 for _, tree in whole),
        whole=len(whole),
        ece=calibration_error(
            np.concatenate([chance for chance, _ in chances]),
            np.concatenate([truth for _, truth in chances]),
        ),
    )


def best_level(bone: BoneGraph, tree: MergeTree) -> GroupScore:
    """The score at the level of a tree that scores best."""
    scores = [score_groups(bone, tree.groups(level)) for level in tree.levels()]
    known = [score for score in scores if not math.isnan(score.iou)]
    return max(known, key=lambda score: score.iou, default=score_groups(bone, tree.groups()))


def merge_chances(
    bone: BoneGraph, tree: MergeTree
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Every merge of a tree: how likely it was said to be right, and whether it is.

    Groups of which one holds under half of one fragment are left out: neither answer is true.
    """
    shared = bone.shared_mm3.copy()
    chances, truth = [], []
    members = {label: label for label in range(1, tree.count + 1)}
    for merge in tree.merges:
        a, b = _root(members, merge.a), _root(members, merge.b)
        pure = all(shared[n].max() >= 0.5 * shared[n].sum() for n in (a, b))
        if pure and merge.probability < 1.0:
            chances.append(merge.probability)
            truth.append(bool(shared[a].argmax() == shared[b].argmax()))
        shared[a] += shared[b]
        members[b] = a
    return np.asarray(chances), np.asarray(truth, bool)


def calibration_error(chances: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins (Naeini et al., AAAI 2015); NaN without a row."""
    if not len(chances):
        return math.nan
    which = np.minimum((chances * _BINS).astype(int), _BINS - 1)
    count = np.bincount(which, minlength=_BINS)
    said = np.bincount(which, chances, minlength=_BINS)
    right = np.bincount(which, truth.astype(float), minlength=_BINS)
    return float(np.abs(said - right).sum() / count.sum())


def _root(members: dict[int, int], label: int) -> int:
    while members[label] != label:
        label = members[label]
    return label


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
