"""A simulated user who knows the truth and corrects one error the way a person would.

Two fragments that are one are merged; else the user clicks into the largest wrong part of a
fragment and into its right part to split them.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.ndimage import distance_transform_edt

from FractureSegmentationLib.editing.edit import apply_edit, merge_fragments
from FractureSegmentationLib.editing.split import split_at_points
from FractureSegmentationLib.evaluation.matching import overlap_table
from FractureSegmentationLib.evaluation.score import score_bone
from FractureSegmentationLib.voxels.components import connected_components

if TYPE_CHECKING:
    from fracseg_training.benchmarks.clicks.errors import SimulatedError, TrueCase
    from FractureSegmentationLib.editing.evidence import CutEvidence
    from FractureSegmentationLib.editing.fragments import Fragments
    from FractureSegmentationLib.types import MaskArray, PointLps

TARGET_IOU = 0.95
MOST_ACTIONS = 3
INSIDE_MM = 3.0

Clicks = Literal["centre", "random"]


@dataclass(slots=True, kw_only=True)
class Correction:
    """What became of one simulated error.

    Attributes:
        clicks: whether the user clicked at centres or anywhere inside.
        before: headline of the case with the error.
        after: headline of the case in the end: mean over its bones.
        bone_after: headline of this bone alone.
        actions: how many the user took.
        split_seconds: processor time of each split.
    """

    clicks: Clicks
    before: float
    after: float = math.nan
    bone_after: float = math.nan
    actions: int = 0
    split_seconds: list[float] = field(default_factory=list)

    @property
    def is_restored(self) -> bool:
        """Whether the headline of the case reached the target."""
        return self.after >= TARGET_IOU


def correct(
    error: SimulatedError, evidence: CutEvidence, clicks: Clicks, rng: np.random.Generator
) -> Correction:
    """Correct one error with at most three actions.

    The user goes on until this bone alone reaches the target, which asks for more than the
    headline does, and nothing is left to merge. A split that went wrong is undone, which is an
    action too, and done again with one more point in each part, where it went wrong.

    Args:
        error: what is wrong.
        evidence: what the splits go by.
        clicks: where the user clicks in a part.
        rng: draws random points.
    """
    return _User(error, evidence, clicks, rng).correct()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Split:
    """A split the user made.

    Attributes:
        before: the fragments before it.
        label: what was split.
        parts: the true labels of the two parts that were clicked in.
        points: the points in each.
        pieces: labels of the pieces.
    """

    before: Fragments
    label: int
    parts: tuple[int, int]
    points: tuple[tuple[PointLps, ...], tuple[PointLps, ...]]
    pieces: tuple[int, ...]


class _User:
    """Somebody who knows the truth and corrects one error."""

    def __init__(
        self, error: SimulatedError, evidence: CutEvidence, clicks: Clicks, rng: np.random.Generator
    ) -> None:
        self._case, self._evidence, self._rng = error.case, evidence, rng
        self._state = error.wrong
        self._last: _Split | None = None
        self._correction = Correction(clicks=clicks, before=_headline(error.wrong, error.case)[1])

    def correct(self) -> Correction:
        """Act until content, helpless, or at the end of the actions."""
        correction = self._correction
        while True:
            correction.bone_after, correction.after = _headline(self._state, self._case)
            twins = _to_merge(self._state, self._case.truth)
            is_content = (
                correction.actions > 0 and twins is None and correction.bone_after >= TARGET_IOU
            )
            if is_content or correction.actions == MOST_ACTIONS or not self._act(twins):
                return correction

    def _act(self, twins: tuple[int, int] | None) -> bool:
        last, self._last = self._last, None
        went_wrong = last is not None and (twins is None or set(twins) <= set(last.pieces))
        if last is not None and went_wrong and self._correction.actions + 2 <= MOST_ACTIONS:
            points = self._more_points(last)
            self._state = last.before
            self._correction.actions += 1
            self._split(last.label, last.parts, points)
        elif twins is not None:
            self._state = apply_edit(self._state, merge_fragments(self._state, twins))
        else:
            target = _largest_wrong_part(self._state, self._case.truth)
            if target is None:
                return False
            label, parts = target
            first, second = ((self._click(self._part(label, part)),) for part in parts)
            self._split(label, parts, (first, second))
        self._correction.actions += 1
        return True

    def _split(
        self,
        label: int,
        parts: tuple[int, int],
        points: tuple[tuple[PointLps, ...], tuple[PointLps, ...]],
    ) -> None:
        before = self._state
        begin = time.process_time()
        edit = split_at_points(before, label, points, self._evidence)
        self._correction.split_seconds.append(time.process_time() - begin)
        self._state = apply_edit(before, edit)
        self._last = _Split(
            before=before, label=label, parts=parts, points=points, pieces=(label, *edit.added)
        )

    def _more_points(self, last: _Split) -> tuple[tuple[PointLps, ...], tuple[PointLps, ...]]:
        """The same points, and one more where a part went to the piece of the other."""
        voxels, geometry = self._state.labels.voxels, self._state.labels.geometry
        more = []
        for part, points in zip(last.parts, last.points, strict=True):
            k, j, i = np.rint(geometry.to_index(np.asarray(points[0]))).astype(int)
            is_part = (last.before.labels.voxels == last.label) & (
                self._case.truth.labels.voxels == part
            )
            lost = is_part & (voxels != voxels[k, j, i])
            more.append((*points, self._click(lost)) if lost.any() else points)
        return (more[0], more[1])

    def _part(self, label: int, part: int) -> MaskArray:
        shared: MaskArray = (self._state.labels.voxels == label) & (
            self._case.truth.labels.voxels == part
        )
        return shared

    def _click(self, mask: MaskArray) -> PointLps:
        """A voxel of a part: nearest to the centre of its largest piece, or any 3 mm inside it."""
        geometry = self._state.labels.geometry
        spacing = np.asarray(geometry.spacing_mm)
        if self._correction.clicks == "centre":
            pieces = connected_components(mask, 26)
            places = np.argwhere(pieces.labels == 1 + int(pieces.sizes[1:].argmax()))
            gaps = np.square((places - places.mean(axis=0)) * spacing).sum(axis=1)
            place = places[int(gaps.argmin())]
        else:
            depth_mm = distance_transform_edt(np.pad(mask, 1), sampling=geometry.spacing_mm)
            depth_mm = depth_mm[1:-1, 1:-1, 1:-1]
            places = np.argwhere(depth_mm >= min(INSIDE_MM, float(depth_mm.max())))
            place = places[self._rng.integers(len(places))]
        x, y, z = (float(v) for v in geometry.to_lps(place))
        return (x, y, z)


def _headline(state: Fragments, case: TrueCase) -> tuple[float, float]:
    """Of the bone, and of the case: its other bones hold no error and score 1."""
    spacing_mm = state.labels.geometry.spacing_mm
    truth = case.truth.labels.voxels
    bone = score_bone(state.labels.voxels, truth, spacing_mm, with_distances=False).headline.iou
    return bone, (bone + case.bones - 1) / case.bones


def _to_merge(state: Fragments, truth: Fragments) -> tuple[int, int] | None:
    """Two fragments that mostly belong to one true fragment."""
    table = overlap_table(state.labels.voxels, truth.labels.voxels)
    first: dict[int, int] = {}
    for label, owner in zip(
        table.prediction_labels.tolist(), table.shared_voxels.argmax(axis=0).tolist(), strict=True
    ):
        if owner in first:
            return first[owner], label
        first[owner] = label
    return None


def _largest_wrong_part(state: Fragments, truth: Fragments) -> tuple[int, tuple[int, int]] | None:
    """The fragment with the largest wrong part: its label, and the true labels of right and wrong.

    None if nothing is wrong.
    """
    table = overlap_table(state.labels.voxels, truth.labels.voxels)
    shared = table.shared_voxels.copy()
    owners = shared.argmax(axis=0)
    shared[owners, np.arange(shared.shape[1])] = 0
    wrong, column = np.unravel_index(int(shared.argmax()), shared.shape)
    if not shared[wrong, column]:
        return None
    right = int(table.truth_labels[owners[column]])
    return int(table.prediction_labels[column]), (right, int(table.truth_labels[wrong]))
