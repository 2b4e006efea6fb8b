"""Fragments of bones whose mask is given: predicted, recovered as the product does, scored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt

from FractureSegmentationLib.evaluation.matching import FragmentCounts
from FractureSegmentationLib.evaluation.score import score_bone
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.inference.intensity import CtNormalisation, fragment_input
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.learned.judge import ContactJudge
from FractureSegmentationLib.instances.recover import BoneContext
from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.volume import FragmentMap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fracseg_training.data.cases import Case
    from FractureSegmentationLib.evaluation.score import BoneScore
    from FractureSegmentationLib.inference.predictor import Predictor
    from FractureSegmentationLib.instances.config import RecoveryConfig
    from FractureSegmentationLib.instances.learned.judge import Judge
    from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing

MaskChange = Literal["exact", "eroded", "dilated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneResult:
    """One bone, one way to recover it.

    Attributes:
        case: name of the case.
        is_fractured: whether the truth has more than one fragment.
        true_fragments: of any size.
        predicted_fragments: of any size.
        score: see `score_bone`.
    """

    case: str
    is_fractured: bool
    true_fragments: int
    predicted_fragments: int
    score: BoneScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of a set of bones.

    Attributes:
        headline_iou: mean over fractured bones of the mean IoU of their fragments >= 500 mm³.
        headline_dice: the same for Dice.
        hd95_mm: the same for the 95th percentile Hausdorff distance.
        assd_mm: the same for the average symmetric surface distance.
        all_iou: mean over fractured bones of the mean IoU of all their fragments.
        f1: of fragments at IoU 0.5, pooled over the fractured bones.
        precision: the same.
        recall: the same.
        spurious_per_bone: predicted fragments >= 500 mm³ that match none, per bone, over all bones.
        merges: predicted fragments that cover two true ones, all bones.
        splits: true fragments covered by two predicted ones, all bones.
        whole_kept: bones in one piece that stayed so.
        whole: bones in one piece.
    """

    headline_iou: float
    headline_dice: float
    hd95_mm: float
    assd_mm: float
    all_iou: float
    f1: float
    precision: float
    recall: float
    spurious_per_bone: float
    merges: int
    splits: int
    whole_kept: int
    whole: int

    def line(self) -> str:
        """One line of a table."""
        return (
            f"IoU {self.headline_iou:.3f} (all {self.all_iou:.3f})  Dice {self.headline_dice:.3f}  "
            f"HD95 {self.hd95_mm:.2f} mm  ASSD {self.assd_mm:.2f} mm  F1 {self.f1:.2f}  "
            f"precision {self.precision:.2f}  recall {self.recall:.2f}  "
            f"spurious/bone {self.spurious_per_bone:.2f}  merges {self.merges}  "
            f"splits {self.splits}  whole kept {self.whole_kept}/{self.whole}"
        )


def changed_mask(bone: MaskArray, change: MaskChange) -> MaskArray:
    """The mask as it is, or its surface moved by one voxel (faces, edges and corners)."""
    cube = np.ones((3, 3, 3), bool)
    if change == "eroded":
        return np.asarray(binary_erosion(bone, cube), bool)
    if change == "dilated":
        return np.asarray(binary_dilation(bone, cube), bool)
    return bone


def truth_on_mask(fragments: LabelArray, mask: MaskArray, spacing_mm: Spacing) -> LabelArray:
    """The true fragments on another extent: a voxel of the mask takes its nearest fragment.

    With a mask given, the result has exactly that mask; the truth is put on the same extent, so
    that the score reports how the bone was divided and not how far its surface was moved.
    """
    nearest = distance_transform_edt(
        fragments == 0, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    return np.where(mask, fragments[tuple(nearest)], 0)


def window_plan(side: int | None = None) -> WindowPlan:
    """How the product moves its fragment network over a bone.

    Args:
        side: window size in voxels; None takes the product's.
    """
    outside = FRACSEGMENTATOR.normalisation.outside_value
    patch = FRACSEGMENTATOR.patch if side is None else (side, side, side)
    return WindowPlan(patch=patch, overlap=FRACSEGMENTATOR.overlap, padding=(outside, 0.0))


def predicted_map(case: Case, mask: MaskArray, predictor: Predictor) -> FragmentMap:
    """The fragment map of a case under a mask."""
    channels = fragment_input(case.hu, mask, CtNormalisation())
    k, j, i = mask.shape
    return FragmentMap(
        voxels=predictor.predict(channels, mask),
        geometry=Geometry(shape=(k, j, i), spacing_mm=case.info.spacing_mm),
        channels=bicm.CHANNELS,
    )


def judge(
    case: Case,
    mask: MaskArray,
    found: FragmentMap,
    recovery: RecoveryConfig,
    merging: Judge | None = None,
) -> BoneResult:
    """Recover the fragments of a map and score them.

    Args:
        case: the bone with its truth.
        mask: (K, J, I) what was given as the bone.
        found: its map.
        recovery: mode and thresholds.
        merging: says which regions are one fragment; None goes by contact alone.
    """
    context = BoneContext(
        hu=case.hu, slug=case.info.bone, judge=merging if merging is not None else ContactJudge()
    )
    labels = bicm.decode(found, mask, recovery, context).labels
    truth = truth_on_mask(case.fragments, mask, case.info.spacing_mm)
    score = score_bone(labels, truth, case.info.spacing_mm)
    return BoneResult(
        case=case.info.name,
        is_fractured=case.fragments.max() > 1,
        true_fragments=int(case.fragments.max()),
        predicted_fragments=int(labels.max()),
        score=score,
    )


def summarise(results: Sequence[BoneResult]) -> Summary:
    """The figures over a set of bones; NaN where there is nothing to average."""
    fractured = [r for r in results if r.is_fractured]
    whole = [r for r in results if not r.is_fractured]
    pooled = sum((r.score.counts for r in fractured), FragmentCounts())
    return Summary(
        headline_iou=_mean(r.score.headline.iou for r in fractured),
        headline_dice=_mean(r.score.headline.dice for r in fractured),
        hd95_mm=_mean(r.score.headline.hd95_mm for r in fractured),
        assd_mm=_mean(r.score.headline.assd_mm for r in fractured),
        all_iou=_mean(r.score.all_fragments.iou for r in fractured),
        f1=pooled.f1,
        precision=pooled.precision,
        recall=pooled.recall,
        spurious_per_bone=_mean(float(r.score.spurious) for r in results),
        merges=sum(r.score.counts.merges for r in results),
        splits=sum(r.score.counts.splits for r in results),
        whole_kept=sum(r.predicted_fragments == 1 for r in whole),
        whole=len(whole),
    )


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return math.fsum(known) / len(known) if known else math.nan
