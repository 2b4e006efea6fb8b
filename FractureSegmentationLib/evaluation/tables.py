"""An evaluation as tables: CSV files, text for people, and JSON down to single fragments."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from FractureSegmentationLib.evaluation.figures import (
    BoneFigures,
    Figures,
    FragmentFigures,
    Metric,
    Named,
    Protocol,
    bone_names,
    bone_values,
    case_values,
    spread_of,
    worst_case,
    worst_cases,
)
from FractureSegmentationLib.evaluation.run import Evaluation

TABLES = ("cases.csv", "bones.csv", "fragments.csv", "summary.csv")
FIRST_COLUMN = "protocol"
"""Every table begins with it; what lacks it is not ours."""

_Row = list[str]


_WORST_IN_TEXT = 5
_TextRow = tuple[str, ...]
SCHEMA = "fracseg-evaluation/2"
"""Raised when a key changes its meaning or goes; new keys do not raise it."""
_WORST_IN_JSON = 10


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
    rows = [[FIRST_COLUMN, "case", "bone", *_names(metrics), "failure", "warnings"]]
    for name, case in evaluation.cases:
        rows += [[stamp, name, b.bone, *_cells(b.values, metrics), "", ""] for b in case.bones]
        warnings = " ".join(case.warnings)
        rows.append([stamp, name, "all bones", *_cells(case.values, metrics), "", warnings])
    rows += [
        [stamp, name, "all bones", *_cells({}, metrics), str(error), ""]
        for name, error in evaluation.failures
    ]
    _write(path, rows)


def _cases(evaluation: Evaluation) -> list[_Row]:
    metrics, stamp = evaluation.protocol.metrics, _stamp(evaluation.protocol)
    rows = [[FIRST_COLUMN, "case", *_names(metrics), "notes", "failure", "warnings"]]
    rows += [
        [
            stamp,
            name,
            *_cells(case.values, metrics),
            " ".join(case.notes),
            "",
            " ".join(case.warnings),
        ]
        for name, case in evaluation.cases
    ]
    rows += [
        [stamp, name, *_cells({}, metrics), "", str(error), ""]
        for name, error in evaluation.failures
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
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def as_text(evaluation: Evaluation) -> str:
    """A row per bone and per case; of several cases also summaries and the worst ones."""
    protocol, cases = evaluation.protocol, evaluation.cases
    blocks = [f"{protocol.title}\n\n{_table(_case_rows(protocol, cases))}"]
    warnings = [f"{name}: {warning}" for name, case in cases for warning in case.warnings]
    if warnings:
        blocks.append("\n".join(["Warnings", *warnings]))
    notes = [f"{name}: {note}" for name, case in cases for note in case.notes]
    if notes:
        blocks.append("\n".join(["Notes", *notes]))
    if len(cases) > 1:
        blocks += _summaries(protocol, cases)
    blocks += _gaps(evaluation)
    blocks.append(protocol.explanation)
    return "\n\n".join(blocks)


def _case_rows(protocol: Protocol, cases: Named) -> list[_TextRow]:
    rows: list[_TextRow] = [("bone", *(metric.title for metric in protocol.shown))]
    for name, case in cases:
        if len(cases) > 1:
            rows.append((name, *[""] * len(protocol.shown)))
        rows += [_figures_row(bone.bone, bone.values, protocol.shown) for bone in case.bones]
        rows.append(_figures_row("all bones", case.values, protocol.shown))
    return rows


def _summaries(protocol: Protocol, cases: Named) -> list[str]:
    over_cases: list[_TextRow] = [
        ("figure", "n", "mean", "SD", "min", "Q1", "median", "Q3", "max", "worst case")
    ]
    over_cases += [_spread_row(metric, cases) for metric in protocol.shown]
    over_bones: list[_TextRow] = [("bone", "n", *(metric.title for metric in protocol.shown))]
    for bone in bone_names(cases):
        over_bones.append(_bone_means(bone, bone, protocol, cases))
    over_bones.append(_bone_means("every bone", None, protocol, cases))
    primary = protocol.primary_metric
    worst: list[_TextRow] = [("case", primary.title, "worst bone")]
    worst += [
        (case.name, _figure(case.value, primary.digits), case.bone)
        for case in worst_cases(cases, primary, _WORST_IN_TEXT)
    ]
    return [
        f"Over {len(cases)} cases\n{_table(over_cases)}",
        f"Means over the bones of all cases\n{_table(over_bones)}",
        f"Worst cases\n{_table(worst)}",
    ]


def _spread_row(metric: Metric, cases: Named) -> _TextRow:
    spread = spread_of(case_values(cases, metric))
    worst = worst_case(cases, metric)
    digits = max(metric.digits, 2)
    return (
        metric.title,
        str(spread.count),
        *(_figure(value, digits) for value in spread.figures),
        worst.name if worst else "",
    )


def _bone_means(title: str, bone: str | None, protocol: Protocol, cases: Named) -> _TextRow:
    count = sum(one.bone == bone or bone is None for _, case in cases for one in case.bones)
    cells = [
        _figure(spread_of(bone_values(cases, metric, bone)).mean, max(metric.digits, 2))
        for metric in protocol.shown
    ]
    return (title, str(count), *cells)


def _gaps(evaluation: Evaluation) -> list[str]:
    """What is missing in the tables above."""
    blocks = []
    if evaluation.failures:
        lines = [f"{name}: {error}" for name, error in evaluation.failures]
        blocks.append("\n".join([f"Not scored: {len(lines)} cases", *lines]))
    for names, what in (
        (evaluation.lone_truths, "Truths without a prediction"),
        (evaluation.lone_predictions, "Predictions without a truth"),
    ):
        if names:
            blocks.append(f"{what}: {', '.join(names)}")
    return blocks


def _figures_row(name: str, values: Figures, metrics: Sequence[Metric]) -> _TextRow:
    return (
        name,
        *(_figure(values.get(metric.name, math.nan), metric.digits) for metric in metrics),
    )


def _figure(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _table(rows: Sequence[_TextRow]) -> str:
    """Columns as wide as their cells; the first to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Values that JSON can hold: null where nothing was measured, "Infinity" where it is that."""
    protocol, cases = evaluation.protocol, evaluation.cases
    return {
        "schema": SCHEMA,
        "protocol": protocol.name,
        "title": protocol.title,
        "is_reconstructed": protocol.is_reconstructed,
        "settings": asdict(evaluation.settings),
        "metrics": [
            {"name": metric.name, "title": metric.title, "better": metric.better or None}
            for metric in protocol.metrics
        ],
        "summary": _summary_values(protocol, cases),
        "worst_cases": [
            {"name": worst.name, protocol.primary: _number(worst.value), "worst_bone": worst.bone}
            for worst in worst_cases(cases, protocol.primary_metric, _WORST_IN_JSON)
        ],
        "cases": [
            {
                "name": name,
                "figures": _figure_values(case.values),
                "notes": list(case.notes),
                "warnings": list(case.warnings),
                "bones": [_bone_values(bone) for bone in case.bones],
            }
            for name, case in cases
        ],
        "failed": [
            {"name": name, "code": error.code, "message": error.message, "remedy": error.remedy}
            for name, error in evaluation.failures
        ],
        "truths_without_prediction": list(evaluation.lone_truths),
        "predictions_without_truth": list(evaluation.lone_predictions),
    }


def write_json(path: Path, evaluation: Evaluation) -> None:
    """Write what `as_json` gives.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps(as_json(evaluation), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")


def _summary_values(protocol: Protocol, cases: Named) -> dict[str, Any]:
    metrics = protocol.metrics
    return {
        "cases": {metric.name: _spread_values(case_values(cases, metric)) for metric in metrics},
        "every_bone": {
            metric.name: _spread_values(bone_values(cases, metric)) for metric in metrics
        },
        "bones": {
            bone: {
                metric.name: _spread_values(bone_values(cases, metric, bone)) for metric in metrics
            }
            for bone in bone_names(cases)
        },
        "worst": {metric.name: _worst(cases, metric) for metric in metrics if metric.better},
    }


def _spread_values(values: list[float]) -> dict[str, Any]:
    return {name: _number(value) for name, value in asdict(spread_of(values)).items()}


def _worst(cases: Named, metric: Metric) -> dict[str, Any] | None:
    worst = worst_case(cases, metric)
    return {"name": worst.name, "value": _number(worst.value)} if worst else None


def _bone_values(bone: BoneFigures) -> dict[str, Any]:
    return {
        "bone": bone.bone,
        "figures": _figure_values(bone.values),
        "fragments": [_fragment_values(fragment) for fragment in bone.fragments],
    }


def _fragment_values(fragment: FragmentFigures) -> dict[str, Any]:
    return {
        "truth": fragment.truth,
        "prediction": fragment.prediction or None,
        "volume_mm3": fragment.volume_mm3,
        "figures": _figure_values(fragment.values),
    }


def _figure_values(values: Figures) -> dict[str, Any]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else "Infinity"
