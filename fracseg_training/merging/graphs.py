"""Bones as graphs of regions with their truth: what merging is trained and judged on.

Which true fragments a region holds is counted once; the score of any merging follows from these
counts without a look at a voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.evaluation.matching import (
    FragmentCounts,
    OverlapTable,
    count_fragments,
    match_table,
)
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence
from FractureSegmentationLib.instances.learned.agglomerate import ContactGraph, contact_graph
from FractureSegmentationLib.instances.recover import oversegmented
from FractureSegmentationLib.voxels.boxes import bounding_box

if TYPE_CHECKING:
    from fracseg_training.data.cases import CaseInfo
    from fracseg_training.merging.maps import BoneMap, View

LEAST_MM3 = 500.0
"""Fragments from this volume count in the headline figures, as in the evaluation of results."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneGraph:
    """The regions of a bone and what is true of them.

    Attributes:
        info: of the case.
        view: how it was looked at.
        graph: the regions, numbered 1 to R, and where they touch; never changed, see `copy`.
        shared_mm3: (R + 1, T + 1) volume that each region shares with each true fragment.
    """

    info: CaseInfo
    view: View
    graph: ContactGraph
    shared_mm3: npt.NDArray[np.float64]

    @property
    def is_whole(self) -> bool:
        """Whether the bone is truly in one piece."""
        return int(self.shared_mm3.shape[1]) <= 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScore:
    """How well groups of regions are the fragments of a bone.

    Attributes:
        iou: mean over true fragments of at least 500 mm³, missing ones 0.
        counts: fragments of at least 500 mm³ that were detected, missed, merged and split.
        pieces: how many groups there are.
    """

    iou: float
    counts: FragmentCounts
    pieces: int


def bone_graph(bone: BoneMap, config: RecoveryConfig | None = None) -> BoneGraph:
    """Divide a bone into regions as the product does, and count what is true of them."""
    box = bounding_box(bone.mask)
    if box is None:
        raise ValueError(f"{bone.info.name} holds no bone")
    found = bone.fragment_map()
    maps = {name: found.channel(name)[box] for name in bicm.CHANNELS[1:]}
    evidence = Evidence.of(
        maps["boundary"],
        maps["interior"],
        maps["contact"],
        np.ascontiguousarray(bone.mask[box]),
        bone.info.spacing_mm,
    )
    regions, _ = oversegmented(evidence, bone.hu[box], config or RecoveryConfig())
    graph = contact_graph(evidence, regions, bone.hu[box], bone.info.bone)
    truth = bone.fragments[box].astype(np.int64)
    stride = int(truth.max()) + 1
    count = int(regions.max()) + 1
    shared = np.bincount(
        (regions.astype(np.int64) * stride + truth).ravel(), minlength=count * stride
    ).reshape(count, stride)
    shared[0] = 0
    volume_mm3 = evidence.voxel_mm3
    return BoneGraph(
        info=bone.info,
        view=bone.view,
        graph=graph,
        shared_mm3=np.asarray(shared * volume_mm3, np.float64),
    )


def score_groups(bone: BoneGraph, groups: npt.NDArray[np.integer]) -> GroupScore:
    """Score a grouping of the regions.

    Args:
        bone: the regions.
        groups: (R + 1,) group of each region, from 1; 0 for region 0.
    """
    totals = np.zeros((int(groups.max()) + 1, bone.shared_mm3.shape[1]))
    np.add.at(totals, groups, bone.shared_mm3)
    voxel_mm3 = float(np.prod(bone.info.spacing_mm))
    table = np.rint(totals / voxel_mm3).astype(np.int64)
    predicted, true = table.sum(axis=1), table.sum(axis=0)
    rows = [t for t in range(1, table.shape[1]) if true[t] * voxel_mm3 >= LEAST_MM3]
    columns = [p for p in range(1, table.shape[0]) if predicted[p] > 0]
    overlap = OverlapTable(
        truth_labels=np.asarray(rows, np.int64),
        prediction_labels=np.asarray(columns, np.int64),
        truth_voxels=true[rows],
        prediction_voxels=predicted[columns],
        shared_voxels=table[np.ix_(columns, rows)].T,
    )
    large = [p for p in columns if predicted[p] * voxel_mm3 >= LEAST_MM3]
    ious = [match.iou for match in match_table(overlap)]
    return GroupScore(
        iou=float(np.mean(ious)) if ious else float("nan"),
        counts=count_fragments(overlap.restricted(rows, large)),
        pieces=len(columns),
    )


def best_groups(bone: BoneGraph) -> npt.NDArray[np.int64]:
    """(R + 1,) the grouping by truth: each region to the fragment it shares most with."""
    owner: npt.NDArray[np.int64] = bone.shared_mm3[:, 1:].argmax(axis=1) + 1
    owner[0] = 0
    return owner
