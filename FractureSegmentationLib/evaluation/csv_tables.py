"""An evaluation as comma-separated tables."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from FractureSegmentationLib.evaluation.figures import Figures, Metric, Protocol
from FractureSegmentationLib.evaluation.run import Evaluation
from FractureSegmentationLib.evaluation.spread import (
    bone_names,
    bone_values,
    case_values,
    spread_of,
    worst_case,
)

TABLES = ("cases.csv", "bones.csv", "fragments.csv", "summary.csv")
FIRST_COLUMN = "protocol"
"""Every table begins with it; what lacks it is not ours."""

_Row = list[str]


def write_csv_folder(folder: Path, evaluation: Evaluation) -> None:
    """Write one table per level into a new folder.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir()
    tables = (_cases(evaluation), _bones(evaluation), _fragments(evaluation), _summary(evaluation))
    for name, rows in zip(TABLES, tables, strict=True):
        _write(folder / name, rows)


def write_csv_file(path: Path, evaluation: Evaluation) -> None:
    """Write one table with a row per bone and, as `all bones`, one per case.

    Raises:
        OSError: it cannot be written.
    """
    metrics, stamp = evaluation.protocol.metrics, _stamp(evaluation.protocol)
    rows = [[FIRST_COLUMN, "case", "bone", *_names(metrics), "failure"]]
    for name, case in evaluation.cases:
        rows += [[stamp, name, b.bone, *_cells(b.values, metrics), ""] for b in case.bones]
        rows.append([stamp, name, "all bones", *_cells(case.values, metrics), ""])
    rows += [
        [stamp, name, "all bones", *_cells({}, metrics), str(error)]
        for name, error in evaluation.failures
    ]
    _write(path, rows)


def _cases(evaluation: Evaluation) -> list[_Row]:
    metrics, stamp = evaluation.protocol.metrics, _stamp(evaluation.protocol)
    rows = [[FIRST_COLUMN, "case", *_names(metrics), "notes", "failure"]]
    rows += [
        [stamp, name, *_cells(case.values, metrics), " ".join(case.notes), ""]
        for name, case in evaluation.cases
    ]
    rows += [
        [stamp, name, *_cells({}, metrics), "", str(error)] for name, error in evaluation.failures
    ]
    return rows


def _bones(evaluation: Evaluation) -> list[_Row]:
    metrics, stamp = evaluation.protocol.metrics, _stamp(evaluation.protocol)
    return [
        [FIRST_COLUMN, "case", "bone", *_names(metrics)],
        *(
            [stamp, name, bone.bone, *_cells(bone.values, metrics)]
            for name, case in evaluation.cases
            for bone in case.bones
        ),
    ]


def _fragments(evaluation: Evaluation) -> list[_Row]:
    stamp = _stamp(evaluation.protocol)
    fragments = [
        (name, bone.bone, fragment)
        for name, case in evaluation.cases
        for bone in case.bones
        for fragment in bone.fragments
    ]
    names = dict.fromkeys(key for _, _, fragment in fragments for key in fragment.values)
    rows = [[FIRST_COLUMN, "case", "bone", "truth", "prediction", "volume_mm3", *names]]
    rows += [
        [
            stamp,
            name,
            bone,
            str(fragment.truth),
            str(fragment.prediction or ""),
            _cell(fragment.volume_mm3),
            *(_cell(fragment.values.get(key, math.nan)) for key in names),
        ]
        for name, bone, fragment in fragments
    ]
    return rows


def _summary(evaluation: Evaluation) -> list[_Row]:
    """A row per figure over the cases, over every bone, and over the bones of one name."""
    cases, stamp = evaluation.cases, _stamp(evaluation.protocol)
    rows = [
        [
            *(FIRST_COLUMN, "over", "figure", "n", "mean", "sd", "min", "q1", "median", "q3"),
            *("max", "worst_case", "worst_value"),
        ]
    ]
    for metric in evaluation.protocol.metrics:
        worst = worst_case(cases, metric)
        named = [worst.name, _cell(worst.value)] if worst else ["", ""]
        rows.append([stamp, "cases", metric.name, *_spread(case_values(cases, metric)), *named])
    for title, bone in [("every bone", None), *((bone, bone) for bone in bone_names(cases))]:
        rows += [
            [stamp, title, metric.name, *_spread(bone_values(cases, metric, bone)), "", ""]
            for metric in evaluation.protocol.metrics
        ]
    return rows


def _stamp(protocol: Protocol) -> str:
    return f"{protocol.name} (reconstructed)" if protocol.is_reconstructed else protocol.name


def _names(metrics: Iterable[Metric]) -> _Row:
    return [metric.name for metric in metrics]


def _cells(values: Figures, metrics: Iterable[Metric]) -> _Row:
    return [_cell(values.get(metric.name, math.nan)) for metric in metrics]


def _spread(values: Sequence[float]) -> _Row:
    spread = spread_of(values)
    return [str(spread.count), *map(_cell, spread.figures)]


def _cell(value: float) -> str:
    """Empty where nothing was measured; else with all its digits."""
    return "" if math.isnan(value) else repr(value)


def _write(path: Path, rows: Iterable[_Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
