"""The evaluator of the PENGWIN 2024 challenge (task 1, CT), with all its habits.

Published figures of the challenge contain these habits, so only an evaluator that has them too is
comparable with them. Judge a method by the clean protocol. docs/evaluation.md lists the habits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from FractureSegmentationLib.evaluation.figures import (
    BoneFigures,
    CaseFigures,
    Figures,
    FragmentFigures,
    Metric,
    Protocol,
    ScoreRequest,
)
from FractureSegmentationLib.evaluation.labels import BoneLabels, bone_groups, labels_by_bone
from FractureSegmentationLib.evaluation.matching import OverlapTable, overlap_table
from FractureSegmentationLib.evaluation.surface import (
    IndicesKji,
    PointsMm,
    SurfaceClouds,
    eroded_and_dilated,
)
from FractureSegmentationLib.types import MaskArray

BONES = ("sacrum", "left_hip", "right_hip")
"""The bones it looks at, always all three; the official names are SA, LI, RI."""
SAMPLED_POINTS, SEED = 10_000, 2024

_FRAGMENT = ("fragment_iou", "fragment_hd95_mm", "fragment_assd_mm")
_ANATOMY = ("anatomical_iou", "anatomical_hd95_mm", "anatomical_assd_mm")
_METRICS = (
    Metric(name="fragments", title="true", digits=0, better=""),
    Metric(name="left_out", title="left out", digits=0, better=""),
    Metric(name="fragment_iou", title="frag IoU"),
    Metric(name="fragment_hd95_mm", title="frag HD95 mm", digits=2, better="low"),
    Metric(name="fragment_assd_mm", title="frag ASSD mm", digits=2, better="low"),
    Metric(name="anatomical_iou", title="anat IoU"),
    Metric(name="anatomical_hd95_mm", title="anat HD95 mm", digits=2, better="low"),
    Metric(name="anatomical_assd_mm", title="anat ASSD mm", digits=2, better="low"),
)


def score_pengwin2024(request: ScoreRequest) -> CaseFigures:
    """Score a case the way the official evaluator does.

    Without distances they are NaN.

    Raises:
        ValueError: a label belongs to no bone in its numbering.
    """
    table = overlap_table(request.prediction.voxels, request.truth.voxels)
    by_bone = labels_by_bone(
        table, request.prediction_numbering, request.truth_numbering, bone_groups()
    )
    scorer = _Scorer(request, table)
    bones = tuple(scorer.bone(name, by_bone.get(name, BoneLabels())) for name in BONES)
    matched = [f.values for bone in bones for f in bone.fragments if f.values]
    return CaseFigures(
        values={
            "fragments": sum(bone.values["fragments"] for bone in bones),
            "left_out": sum(bone.values["left_out"] for bone in bones),
            **_means(_FRAGMENT, matched),
            **_means(_ANATOMY, [bone.values for bone in bones]),
        },
        bones=bones,
        notes=_notes(bones, set(by_bone), is_empty=not matched),
    )


def band_indices(mask: MaskArray) -> IndicesKji:
    """The evaluator's surface: the 6-neighbour dilation without the 6-neighbour erosion.

    That is a band of two voxels, one inside and one outside. Where the mask touches the border of
    the array, its voxels count as surface, and there is no voxel outside.
    """
    core, grown = eroded_and_dilated(mask)
    indices: IndicesKji = np.argwhere(grown & ~core)
    return indices


def sampled(indices: IndicesKji) -> IndicesKji:
    """At most 10,000 of the points: more are drawn from with replacement, always alike."""
    if len(indices) <= SAMPLED_POINTS:
        return indices
    # The official evaluator uses sklearn.utils.resample, which draws exactly so.
    generator = np.random.RandomState(SEED)
    return indices[generator.randint(0, len(indices), size=(SAMPLED_POINTS,))]


def official_distances(truth_mm: PointsMm, prediction_mm: PointsMm) -> tuple[float, float]:
    """HD95 and ASSD of two clouds of points, each (N, 3); infinite where one of them is empty.

    HD95 is the larger of the directed 95th percentiles; ASSD the mean of the directed means, which
    are not pooled. Distances are rounded to float32, as the official ones are.
    """
    if len(truth_mm) == 0 or len(prediction_mm) == 0:
        return math.inf, math.inf
    from_truth = cKDTree(prediction_mm).query(truth_mm)[0].astype(np.float32)
    from_prediction = cKDTree(truth_mm).query(prediction_mm)[0].astype(np.float32)
    hd95 = max(np.percentile(from_truth, 95), np.percentile(from_prediction, 95))
    return float(hd95), float((np.mean(from_truth) + np.mean(from_prediction)) / 2)


def missed_distances(truth: MaskArray) -> tuple[float, float]:
    """HD95 and ASSD of a fragment without any overlap: twice and once its radius.

    The radius is the largest distance of a voxel to the mean of all, in voxels: the spacing does
    not enter.
    """
    points = np.argwhere(truth)
    radius = float(np.linalg.norm(points - points.mean(axis=0), axis=1).max())
    return 2.0 * radius, radius


class _Scorer:
    """Scores the bones of one case; surfaces are computed once."""

    def __init__(self, request: ScoreRequest, table: OverlapTable) -> None:
        spacing_mm = request.truth.geometry.spacing_mm
        self._table = table
        self._voxel_mm3 = request.truth.geometry.voxel_volume_mm3
        self._with_distances = request.settings.with_distances
        self._truth = SurfaceClouds(request.truth.voxels, spacing_mm, _sampled_band)
        self._prediction = SurfaceClouds(request.prediction.voxels, spacing_mm, _sampled_band)

    def bone(self, name: str, labels: BoneLabels) -> BoneFigures:
        truths, predictions = labels.truths, labels.predictions
        table = self._table.restricted(truths, predictions)
        if predictions:
            fragments = tuple(self._fragment(table, row) for row in range(len(truths)))
        else:
            fragments = tuple(self._left_out(table, row) for row in range(len(truths)))
        return BoneFigures(
            bone=name,
            values={
                "fragments": len(truths),
                "left_out": 0 if predictions else len(truths),
                **_means(_FRAGMENT, [f.values for f in fragments if f.values]),
                **self._anatomy(table, truths, predictions),
            },
            fragments=fragments,
        )

    def _fragment(self, table: OverlapTable, row: int) -> FragmentFigures:
        # Of equal ones the lowest label is taken, and with no overlap at all the first there is.
        column = int(np.argmax(table.iou[row]))
        iou = float(table.iou[row, column])
        truth, prediction = int(table.truth_labels[row]), int(table.prediction_labels[column])
        if not self._with_distances:
            distances = math.nan, math.nan
        elif iou > 0:
            distances = official_distances(
                self._truth.points_mm([truth]), self._prediction.points_mm([prediction])
            )
        else:
            distances = missed_distances(self._truth.mask(truth))
        return FragmentFigures(
            truth=truth,
            prediction=prediction if iou > 0 else 0,
            volume_mm3=float(table.truth_voxels[row]) * self._voxel_mm3,
            values=dict(zip(_FRAGMENT, (iou, *distances), strict=True)),
        )

    def _left_out(self, table: OverlapTable, row: int) -> FragmentFigures:
        return FragmentFigures(
            truth=int(table.truth_labels[row]),
            prediction=0,
            volume_mm3=float(table.truth_voxels[row]) * self._voxel_mm3,
            values={},
        )

    def _anatomy(self, table: OverlapTable, truths: list[int], predictions: list[int]) -> Figures:
        either = int(table.truth_voxels.sum() + table.prediction_voxels.sum())
        shared = int(table.shared_voxels.sum())
        iou = shared / (either - shared) if either else 0.0
        distances = math.nan, math.nan
        if self._with_distances:
            distances = official_distances(
                self._truth.points_mm(truths), self._prediction.points_mm(predictions)
            )
        return dict(zip(_ANATOMY, (iou, *distances), strict=True))


def _sampled_band(mask: MaskArray) -> IndicesKji:
    return sampled(band_indices(mask))


def _means(names: Sequence[str], rows: Sequence[Figures]) -> dict[str, float]:
    return {
        name: math.fsum(row[name] for row in rows) / len(rows) if rows else math.nan
        for name in names
    }


def _notes(bones: Sequence[BoneFigures], seen: set[str], *, is_empty: bool) -> tuple[str, ...]:
    notes = []
    for bone in bones:
        count = int(bone.values["left_out"])
        if count:
            notes.append(f"{bone.bone}: nothing predicted; true fragments left out: {count}.")
        elif not bone.fragments:
            notes.append(
                f"{bone.bone}: not in the truth; its anatomical IoU is 0, its distances infinite."
            )
    if is_empty:
        notes.append("No fragment could be compared; the official evaluator stops here.")
    foreign = sorted(seen - set(BONES))
    if foreign:
        notes.append(f"Not looked at by this protocol: {', '.join(foreign)}.")
    return tuple(notes)


PENGWIN_2024_PROTOCOL = Protocol(
    name="pengwin2024",
    title="Protocol pengwin2024, compatible with the official CT evaluator of 2024",
    summary="the official CT evaluator of 2024 with its quirks, for comparison with its figures.",
    explanation=(
        "frag: every true fragment against the prediction of its bone with the largest IoU, which "
        "may be used again; mean over\nthe true fragments. Those of a bone without any prediction "
        "are left out, surplus predictions cost nothing, a fragment\nwithout overlap costs its "
        "radius in voxels. anat: bones undivided, mean over sacrum and both hip bones.\n"
        "See docs/evaluation.md for all quirks; judge a method by --protocol clean."
    ),
    metrics=_METRICS,
    primary="fragment_iou",
    score=score_pengwin2024,
)
