"""Whether confidence means what it says: calibration, and risk against coverage.

A fragment's confidence is worth something if fragments of little confidence are the wrong ones.
Beside it stands what costs a second run: how far two predictions of the same bone agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fracseg_training.merging.maps import load_map, map_path
from FractureSegmentationLib.evaluation.matching import overlap_table
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.recover import BoneContext
from FractureSegmentationLib.pipeline.findings import confidence_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from fracseg_training.merging.maps import BoneMap
    from FractureSegmentationLib.instances.learned.judge import Judge
    from FractureSegmentationLib.instances.result import Recovery

_BINS = 10
_LEAST_VOXELS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentCheck:
    """A predicted fragment of at least 500 voxels.

    Attributes:
        confidence: as the product gives it.
        agreement: greatest Dice with a fragment that the mean of four flips leads to.
        iou: greatest IoU with a true fragment.
    """

    confidence: float
    agreement: float
    iou: float

    @property
    def is_right(self) -> bool:
        """Whether it is a true fragment at IoU 0.5."""
        return self.iou >= 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The figures of a set of fragments.

    Attributes:
        fragments: how many.
        right: share of them that are true ones at IoU 0.5.
        ece: expected calibration error of the confidence.
        aurc: area under the curve of risk (share of wrong ones) against coverage, by confidence.
        aurc_agreement: the same by agreement of two predictions.
        aurc_best: the least that any order reaches.
        bins: (mean confidence, share of right ones, fragments) of each tenth of the confidence.
    """

    fragments: int
    right: float
    ece: float
    aurc: float
    aurc_agreement: float
    aurc_best: float
    bins: tuple[tuple[float, float, int], ...]

    def lines(self) -> Iterator[str]:
        """A table."""
        for said, true, count in self.bins:
            yield f"  confidence {said:.2f}: {true:.2f} are right, of {count}"
        yield (
            f"{self.fragments} fragments, {self.right:.2f} right  ECE {self.ece:.3f}  "
            f"AURC {self.aurc:.3f} (agreement of two predictions {self.aurc_agreement:.3f}, "
            f"best possible {self.aurc_best:.3f})"
        )


def checked_fragments(folder: Path, judge: Judge) -> Iterator[FragmentCheck]:
    """The fragments that a folder's maps lead to, see `fracseg train-merging`.

    Args:
        folder: holds the maps of bones, exact and as the mean of flips.
        judge: says which regions are one fragment.
    """
    for path in sorted(folder.glob("*.exact.map.npz")):
        bone = load_map(path)
        other = map_path(folder, bone.info.name, "flips")
        if not other.is_file():
            continue
        found, again = _recovered(bone, judge), _recovered(load_map(other), judge)
        to_truth = overlap_table(bone.fragments, found.labels)
        to_other = overlap_table(again.labels, found.labels)
        for row, label in enumerate(to_truth.truth_labels.tolist()):
            if to_truth.truth_voxels[row] >= _LEAST_VOXELS:
                yield FragmentCheck(
                    confidence=_confidence(found, label),
                    agreement=float(to_other.dice[row].max(initial=0.0)),
                    iou=float(to_truth.iou[row].max(initial=0.0)),
                )


def calibration_of(checks: Iterable[FragmentCheck]) -> Calibration:
    """The figures of fragments that were checked.

    Raises:
        ValueError: there is none.
    """
    known = list(checks)
    if not known:
        raise ValueError("there is no fragment to judge confidence by")
    said = np.array([one.confidence for one in known])
    right = np.array([one.is_right for one in known], float)
    which = np.minimum((said * _BINS).astype(int), _BINS - 1)
    bins = tuple(
        (float(said[which == n].mean()), float(right[which == n].mean()), int((which == n).sum()))
        for n in range(_BINS)
        if (which == n).any()
    )
    return Calibration(
        fragments=len(known),
        right=float(right.mean()),
        ece=sum(count * abs(a - b) for a, b, count in bins) / len(known),
        aurc=area_under_risk(said, right),
        aurc_agreement=area_under_risk(np.array([one.agreement for one in known]), right),
        aurc_best=area_under_risk(right, right),
        bins=bins,
    )


def area_under_risk(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> float:
    """Mean, over all coverages, of the share of wrong ones among the most confident.

    Geifman et al., Bias-reduced uncertainty estimation for deep neural classifiers, ICLR 2019.
    """
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(1.0 - right[order]) / np.arange(1, len(right) + 1)
    return float(wrong.mean())


def _recovered(bone: BoneMap, judge: Judge) -> Recovery:
    context = BoneContext(hu=bone.hu, slug=bone.info.bone, judge=judge)
    return bicm.decode(bone.fragment_map(), bone.mask, RecoveryConfig(), context)


def _confidence(found: Recovery, label: int) -> float:
    groups, inside = found.tree.groups(), found.tree.weakest_inside()
    own = np.flatnonzero(found.label_of_region() == label)
    one_piece = min(inside[int(groups[region])] for region in own)
    apart = [confidence_of(one) for one in found.interfaces if label in (one.a, one.b)]
    return float(min([one_piece, *apart]))
