"""The ten metrics of the PENGWIN 2026 challenge, reconstructed from public descriptions.

The official code was not public when this was written. What the descriptions leave open was decided
here and is described in docs/evaluation.md; figures may differ from the official ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt

from FractureSegmentationLib.anatomy.numbering import PENGWIN_2026
from FractureSegmentationLib.evaluation.figures import (
    BoneFigures,
    CaseFigures,
    Figures,
    FragmentFigures,
    Metric,
    Protocol,
    ScoreRequest,
)
from FractureSegmentationLib.evaluation.labels import (
    bone_groups,
    label_boxes,
    labels_by_bone,
    mask_of,
    without_small_components,
    without_small_labels,
)
from FractureSegmentationLib.evaluation.matching import (
    InstanceCounts,
    OverlapTable,
    best_partners,
    count_instances,
    overlap_table,
)
from FractureSegmentationLib.evaluation.surface import (
    IndicesKji,
    SurfaceClouds,
    SurfaceDistances,
    distances_between,
    eroded_and_dilated,
    missing_distances,
)
from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import grown_box, union_box

MIN_FRAGMENT_MM3, MIN_COMPONENT_MM3, LOCAL_MM = 500.0, 1000.0, 20.0

_OVER_FRAGMENTS = ("fracture_dice", "local_dice", "hd95_mm", "assd_mm")
_METRICS = (
    Metric(name="fragments", title="true", digits=0, better=""),
    Metric(name="predicted", title="pred", digits=0, better=""),
    Metric(name="fracture_dice", title="frac Dice"),
    Metric(name="local_dice", title="local Dice"),
    Metric(name="hd95_mm", title="HD95 mm", digits=2, better="low"),
    Metric(name="assd_mm", title="ASSD mm", digits=2, better="low"),
    Metric(name="recall", title="recall", digits=3),
    Metric(name="precision", title="precision", digits=3),
    Metric(name="f1", title="F1", digits=3),
    Metric(name="merges", title="merged", digits=0, better="low"),
    Metric(name="splits", title="split", digits=0, better="low"),
    Metric(name="topology", title="topology", digits=3),
)


def score_pengwin2026(request: ScoreRequest) -> CaseFigures:
    """Score a case with the ten metrics.

    Raises:
        ValueError: a label belongs to no bone in its numbering.
    """
    prediction, truth, notes = _pruned(request)
    table = overlap_table(prediction, truth)
    # The femora are one anatomy here, whatever the labels could distinguish.
    groups = bone_groups(request.prediction_numbering, request.truth_numbering, PENGWIN_2026)
    by_bone = labels_by_bone(table, request.prediction_numbering, request.truth_numbering, groups)
    known = {groups[slug] for slug, _ in PENGWIN_2026.first_labels}
    scorer = _Scorer(request, prediction, truth, table)
    scored = [
        scorer.bone(name, labels.truths, labels.predictions)
        for name, labels in by_bone.items()
        if name in known
    ]
    bones = tuple(bone for bone, _ in scored)
    foreign = [name for name in by_bone if name not in known]
    if foreign:
        notes = (*notes, f"Not looked at by this protocol: {', '.join(foreign)}.")
    return CaseFigures(
        values={
            **_fragment_means(f.values for bone in bones for f in bone.fragments),
            **_count_figures(sum((counts for _, counts in scored), InstanceCounts())),
            "topology": _mean([bone.values["topology"] for bone in bones]),
        },
        bones=bones,
        notes=notes,
    )


class _Scorer:
    """Scores the bones of one case; surfaces are computed once."""

    def __init__(
        self, request: ScoreRequest, prediction: LabelArray, truth: LabelArray, table: OverlapTable
    ) -> None:
        geometry = request.truth.geometry
        self._settings = request.settings
        self._prediction, self._truth, self._table = prediction, truth, table
        self._spacing_mm = geometry.spacing_mm
        self._voxel_mm3 = geometry.voxel_volume_mm3
        self._prediction_clouds = SurfaceClouds(prediction, self._spacing_mm, _surface_indices)
        self._truth_clouds = SurfaceClouds(truth, self._spacing_mm, _surface_indices)
        self._boxes = (label_boxes(prediction), label_boxes(truth))

    def bone(
        self, name: str, truths: list[int], predictions: list[int]
    ) -> tuple[BoneFigures, InstanceCounts]:
        table = self._table.restricted(truths, predictions)
        local = self._local_table(truths, predictions)
        partners = best_partners(table)
        fragments = tuple(
            self._fragment(table, local, row, column) for row, column in enumerate(partners)
        )
        counts = count_instances(table, partners, self._settings.match_iou)
        is_sound = bool(predictions) and counts.merges == counts.splits == 0
        values = {
            **_fragment_means(fragment.values for fragment in fragments),
            **_count_figures(counts),
            "topology": float(is_sound) if truths else math.nan,
        }
        return BoneFigures(bone=name, values=values, fragments=fragments), counts

    def _fragment(
        self, table: OverlapTable, local: OverlapTable, row: int, column: int | None
    ) -> FragmentFigures:
        truth = int(table.truth_labels[row])
        prediction = 0 if column is None else int(table.prediction_labels[column])
        distances = self._distances(truth, prediction)
        return FragmentFigures(
            truth=truth,
            prediction=prediction,
            volume_mm3=float(table.truth_voxels[row]) * self._voxel_mm3,
            values={
                "fracture_dice": 0.0 if column is None else float(table.dice[row, column]),
                "local_dice": _local_dice(local, truth, prediction),
                "hd95_mm": distances.hd95_mm,
                "assd_mm": distances.assd_mm,
            },
        )

    def _distances(self, truth: int, prediction: int) -> SurfaceDistances:
        if not self._settings.with_distances:
            return SurfaceDistances(hd95_mm=math.nan, assd_mm=math.nan)
        if not prediction:
            return missing_distances(self._truth_clouds.mask(truth), self._spacing_mm)
        return distances_between(
            self._prediction_clouds.points_mm([prediction]), self._truth_clouds.points_mm([truth])
        )

    def _local_table(self, truths: list[int], predictions: list[int]) -> OverlapTable:
        """Overlaps of the bone's labels near its fractures."""
        if len(truths) < 2:
            nothing = np.zeros(0, np.uint8)
            return overlap_table(nothing, nothing)
        boxes = [self._boxes[0][label] for label in predictions]
        box = union_box([*boxes, *(self._boxes[1][label] for label in truths)])
        truth, prediction = self._truth[box], self._prediction[box]
        zone = fracture_zone(np.where(mask_of(truth, truths), truth, 0), self._spacing_mm, LOCAL_MM)
        near = overlap_table(prediction[zone], truth[zone])
        return near.restricted(truths, predictions)


def _pruned(request: ScoreRequest) -> tuple[LabelArray, LabelArray, tuple[str, ...]]:
    """Prediction and truth without what is too small to be scored, and what that was."""
    voxel_mm3 = request.truth.geometry.voxel_volume_mm3
    truth, dropped = without_small_labels(request.truth.voxels, MIN_FRAGMENT_MM3 / voxel_mm3)
    truth, of_truth = without_small_components(truth, MIN_COMPONENT_MM3 / voxel_mm3)
    prediction, of_prediction = without_small_components(
        request.prediction.voxels, MIN_COMPONENT_MM3 / voxel_mm3
    )
    notes = (
        (dropped, f"true fragments under {MIN_FRAGMENT_MM3:g} mm3 dropped"),
        (of_truth, "components of the truth under 1 cm3 pruned"),
        (of_prediction, "components of the prediction under 1 cm3 pruned"),
    )
    return prediction, truth, tuple(f"{what}: {count}." for count, what in notes if count)


def _local_dice(local: OverlapTable, truth: int, prediction: int) -> float:
    """Dice near the fractures; NaN for a fragment that has no voxel there."""
    rows = np.flatnonzero(local.truth_labels == truth)
    if not rows.size:
        return math.nan
    columns = np.flatnonzero(local.prediction_labels == prediction)
    return float(local.dice[rows[0], columns[0]]) if columns.size else 0.0


def _surface_indices(mask: MaskArray) -> IndicesKji:
    core, _ = eroded_and_dilated(mask)
    indices: IndicesKji = np.argwhere(mask & ~core)
    return indices


def _fragment_means(rows: Iterable[Figures]) -> dict[str, float]:
    rows = list(rows)
    return {name: _mean([row[name] for row in rows]) for name in _OVER_FRAGMENTS}


def _mean(values: Sequence[float]) -> float:
    measured = [value for value in values if not math.isnan(value)]
    return math.fsum(measured) / len(measured) if measured else math.nan


def _count_figures(counts: InstanceCounts) -> dict[str, float]:
    return {
        "fragments": counts.truths,
        "predicted": counts.predictions,
        "recall": counts.recall,
        "precision": counts.precision,
        "f1": counts.f1,
        "merges": counts.merges,
        "splits": counts.splits,
    }


PENGWIN_2026_PROTOCOL = Protocol(
    name="pengwin2026",
    title="Protocol pengwin2026, RECONSTRUCTED from public descriptions, not the official code",
    summary="the ten metrics of 2026, RECONSTRUCTED from public descriptions: figures may differ "
    "from the official ones.",
    explanation=(
        "Reconstructed from public descriptions; see docs/evaluation.md for what was decided here. "
        "True fragments under 500 mm3\nare dropped, components under 1 cm3 pruned on both sides. "
        "Dice and distances: every true fragment against the\nprediction of its bone with the "
        "largest IoU. local Dice: within 20 mm of the fractures. recall, precision, F1: found\n"
        "from the threshold of --match-iou on. topology: share of bones without a merge or split."
    ),
    metrics=_METRICS,
    primary="fracture_dice",
    score=score_pengwin2026,
    is_reconstructed=True,
)


def fracture_zone(fragments: LabelArray, spacing_mm: Spacing, reach_mm: float) -> MaskArray:
    """Every voxel that has at least two different fragments within `reach_mm`.

    Between touching fragments that is what lies within the reach of their interface; of fragments
    that a gap parts, what lies within the reach of the other one. A bone in one piece has no zone.

    Args:
        fragments: (K, J, I) true fragments of one bone, 0 elsewhere.
        spacing_mm: voxel size along (k, j, i), in mm.
        reach_mm: distance between voxel centres, in mm.

    Returns:
        (K, J, I) mask.
    """
    near = np.zeros(fragments.shape, np.uint8)
    reach = [int(reach_mm / step) + 1 for step in spacing_mm]
    for label, box in label_boxes(fragments).items():
        around = grown_box(box, reach, fragments.shape)
        distance_mm = distance_transform_edt(fragments[around] != label, sampling=spacing_mm)
        near[around] = np.minimum(near[around] + (distance_mm <= reach_mm), 2)
    zone: MaskArray = near == 2
    return zone
