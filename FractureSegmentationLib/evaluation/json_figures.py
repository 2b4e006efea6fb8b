"""An evaluation as JSON: everything that was measured, down to single fragments."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from FractureSegmentationLib.evaluation.figures import (
    BoneFigures,
    Figures,
    FragmentFigures,
    Metric,
    Protocol,
)
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

SCHEMA = "fracseg-evaluation/2"
"""Raised when a key changes its meaning or goes; new keys do not raise it."""
WORST_CASES = 10


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
        "summary": _summary(protocol, cases),
        "worst_cases": [
            {"name": worst.name, protocol.primary: _number(worst.value), "worst_bone": worst.bone}
            for worst in worst_cases(cases, protocol.primary_metric, WORST_CASES)
        ],
        "cases": [
            {
                "name": name,
                "figures": _figures(case.values),
                "notes": list(case.notes),
                "bones": [_bone(bone) for bone in case.bones],
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


def _summary(protocol: Protocol, cases: Named) -> dict[str, Any]:
    metrics = protocol.metrics
    return {
        "cases": {metric.name: _spread(case_values(cases, metric)) for metric in metrics},
        "every_bone": {metric.name: _spread(bone_values(cases, metric)) for metric in metrics},
        "bones": {
            bone: {metric.name: _spread(bone_values(cases, metric, bone)) for metric in metrics}
            for bone in bone_names(cases)
        },
        "worst": {metric.name: _worst(cases, metric) for metric in metrics if metric.better},
    }


def _spread(values: list[float]) -> dict[str, Any]:
    return {name: _number(value) for name, value in asdict(spread_of(values)).items()}


def _worst(cases: Named, metric: Metric) -> dict[str, Any] | None:
    worst = worst_case(cases, metric)
    return {"name": worst.name, "value": _number(worst.value)} if worst else None


def _bone(bone: BoneFigures) -> dict[str, Any]:
    return {
        "bone": bone.bone,
        "figures": _figures(bone.values),
        "fragments": [_fragment(fragment) for fragment in bone.fragments],
    }


def _fragment(fragment: FragmentFigures) -> dict[str, Any]:
    return {
        "truth": fragment.truth,
        "prediction": fragment.prediction or None,
        "volume_mm3": fragment.volume_mm3,
        "figures": _figures(fragment.values),
    }


def _figures(values: Figures) -> dict[str, Any]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else "Infinity"
