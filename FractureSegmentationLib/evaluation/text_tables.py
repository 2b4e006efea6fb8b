"""An evaluation as tables for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from FractureSegmentationLib.evaluation.figures import Figures, Metric, Protocol
from FractureSegmentationLib.evaluation.run import Evaluation
from FractureSegmentationLib.evaluation.spread import (
    Named,
    bone_names,
    bone_values,
    case_values,
    spread_of,
    worst_case,
    worst_cases,
)

WORST_CASES = 5

_Row = tuple[str, ...]


def as_text(evaluation: Evaluation) -> str:
    """A row per bone and per case; of several cases also summaries and the worst ones."""
    protocol, cases = evaluation.protocol, evaluation.cases
    blocks = [f"{protocol.title}\n\n{_table(_case_rows(protocol, cases))}"]
    notes = [f"{name}: {note}" for name, case in cases for note in case.notes]
    if notes:
        blocks.append("\n".join(["Notes", *notes]))
    if len(cases) > 1:
        blocks += _summaries(protocol, cases)
    blocks += _gaps(evaluation)
    blocks.append(protocol.explanation)
    return "\n\n".join(blocks)


def _case_rows(protocol: Protocol, cases: Named) -> list[_Row]:
    rows: list[_Row] = [("bone", *(metric.title for metric in protocol.shown))]
    for name, case in cases:
        if len(cases) > 1:
            rows.append((name, *[""] * len(protocol.shown)))
        rows += [_figures_row(bone.bone, bone.values, protocol.shown) for bone in case.bones]
        rows.append(_figures_row("all bones", case.values, protocol.shown))
    return rows


def _summaries(protocol: Protocol, cases: Named) -> list[str]:
    over_cases: list[_Row] = [
        ("figure", "n", "mean", "SD", "min", "Q1", "median", "Q3", "max", "worst case")
    ]
    over_cases += [_spread_row(metric, cases) for metric in protocol.shown]
    over_bones: list[_Row] = [("bone", "n", *(metric.title for metric in protocol.shown))]
    for bone in bone_names(cases):
        over_bones.append(_bone_means(bone, bone, protocol, cases))
    over_bones.append(_bone_means("every bone", None, protocol, cases))
    primary = protocol.primary_metric
    worst: list[_Row] = [("case", primary.title, "worst bone")]
    worst += [
        (case.name, _figure(case.value, primary.digits), case.bone)
        for case in worst_cases(cases, primary, WORST_CASES)
    ]
    return [
        f"Over {len(cases)} cases\n{_table(over_cases)}",
        f"Means over the bones of all cases\n{_table(over_bones)}",
        f"Worst cases\n{_table(worst)}",
    ]


def _spread_row(metric: Metric, cases: Named) -> _Row:
    spread = spread_of(case_values(cases, metric))
    worst = worst_case(cases, metric)
    digits = max(metric.digits, 2)
    return (
        metric.title,
        str(spread.count),
        *(_figure(value, digits) for value in spread.figures),
        worst.name if worst else "",
    )


def _bone_means(title: str, bone: str | None, protocol: Protocol, cases: Named) -> _Row:
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


def _figures_row(name: str, values: Figures, metrics: Sequence[Metric]) -> _Row:
    return (
        name,
        *(_figure(values.get(metric.name, math.nan), metric.digits) for metric in metrics),
    )


def _figure(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _table(rows: Sequence[_Row]) -> str:
    """Columns as wide as their cells; the first to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
