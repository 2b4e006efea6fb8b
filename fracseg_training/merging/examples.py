"""Examples to train on: contact areas and bones as merging meets them, and what is true of them.

Merging changes what it judges: areas add up, and a wrong merge spoils those that follow. So the
examples are collected along the merging of a judge, and again along that of the model trained on
them, as DAgger does (Ross et al., A reduction of imitation learning and structured prediction to
no-regret online learning, AISTATS 2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.learned.agglomerate import Agglomeration, agglomerated
from FractureSegmentationLib.instances.learned.features import EDGE_FEATURES
from FractureSegmentationLib.instances.learned.judge import WHOLE_FEATURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fracseg_training.merging.graphs import BoneGraph
    from FractureSegmentationLib.instances.learned.faces import Pair
    from FractureSegmentationLib.instances.learned.judge import Judge


_LEAST_WEIGHT = 0.02


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Rows of features with what is true, how much each counts and whose bone it is.

    Attributes:
        rows: (N, F) float32.
        truth: (N,) bool: one fragment, or a bone in one piece.
        weight: (N,) float32.
        body: (N,) name of the body.
    """

    rows: npt.NDArray[np.float32]
    truth: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float32]
    body: npt.NDArray[np.str_]

    def part(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Examples:
        """The rows that are chosen."""
        return Examples(
            rows=self.rows[which],
            truth=self.truth[which],
            weight=self.weight[which],
            body=self.body[which],
        )


def together(parts: Sequence[Examples], columns: int) -> Examples:
    """Several sets of examples as one."""
    return Examples(
        rows=np.concatenate([np.zeros((0, columns), np.float32), *(p.rows for p in parts)]),
        truth=np.concatenate([np.zeros(0, bool), *(p.truth for p in parts)]),
        weight=np.concatenate([np.zeros(0, np.float32), *(p.weight for p in parts)]),
        body=np.concatenate([np.zeros(0, "<U1"), *(p.body for p in parts)]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Merged:
    """One bone merged by a judge, and what was seen on the way."""

    edges: Examples
    bone: Examples
    agglomeration: Agglomeration


def merged_by(bone: BoneGraph, judge: Judge, min_fragment_mm3: float) -> Merged:
    """Merge a bone as the product does, and note every contact area that was judged.

    An area counts as much as is at stake: the smaller of the two shares that its groups hold of
    their true fragments. A sliver that joins a wrong neighbour costs little, two halves of a
    fragment that stay apart cost much, and so do two fragments that become one.

    Args:
        bone: its regions and their truth.
        judge: leads the way.
        min_fragment_mm3: see `RecoveryConfig`.
    """
    watcher = _TruthWatcher(bone.shared_mm3)
    done = agglomerated(bone.graph.copy(), judge, min_fragment_mm3, watcher)
    body = bone.info.patient
    count = len(watcher.truth)
    return Merged(
        edges=Examples(
            rows=np.stack(watcher.rows)
            if watcher.rows
            else np.zeros((0, len(EDGE_FEATURES)), np.float32),
            truth=np.asarray(watcher.truth, bool),
            weight=np.asarray(watcher.weight, np.float32),
            body=np.full(count, body),
        ),
        bone=Examples(
            rows=done.whole_features().reshape(1, len(WHOLE_FEATURES)),
            truth=np.array([bone.is_whole]),
            weight=np.ones(1, np.float32),
            body=np.array([body]),
        ),
        agglomeration=done,
    )


class _TruthWatcher:
    """Knows which true fragments every group holds while regions are merged."""

    def __init__(self, shared_mm3: npt.NDArray[np.float64]) -> None:
        self._shared = shared_mm3.copy()
        self._whole_mm3 = np.maximum(shared_mm3.sum(axis=0), 1e-6)
        self.rows: list[npt.NDArray[np.float32]] = []
        self.truth: list[bool] = []
        self.weight: list[float] = []

    def measured(self, pairs: Sequence[Pair], rows: npt.NDArray[np.float32]) -> None:
        for pair, row in zip(pairs, rows, strict=True):
            a, b = (self._shared[label] for label in pair)
            held = min(float(one.max() / self._whole_mm3[one.argmax()]) for one in (a, b))
            self.rows.append(row)
            self.truth.append(bool(a.argmax() == b.argmax()))
            self.weight.append(_LEAST_WEIGHT + held)

    def merged(self, pair: Pair) -> None:
        a, b = pair
        self._shared[a] += self._shared[b]
