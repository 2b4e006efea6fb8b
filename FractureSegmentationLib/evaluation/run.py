"""Evaluation of many cases: the protocols, and scoring one pair after the other.

A case that cannot be scored does not stop the rest. From Python:

    evaluation = evaluate_folders(Path("predictions"), Path("truth"), protocol="pengwin2024")
    evaluation.cases[0][1].values["iou"]
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.errors import FracSegError, as_problem
from FractureSegmentationLib.evaluation.clean import CLEAN
from FractureSegmentationLib.evaluation.figures import (
    CaseFigures,
    Protocol,
    ScoreRequest,
    ScoreSettings,
)
from FractureSegmentationLib.evaluation.labels import cropped_to_labels
from FractureSegmentationLib.evaluation.pairs import (
    LabelSource,
    Pairing,
    chosen_numbering,
    pair_sources,
    read_pair,
)
from FractureSegmentationLib.evaluation.pengwin2024 import PENGWIN_2024_PROTOCOL
from FractureSegmentationLib.evaluation.pengwin2026 import PENGWIN_2026_PROTOCOL
from FractureSegmentationLib.networks.patients import was_seen

PROTOCOLS: tuple[Protocol, ...] = (CLEAN, PENGWIN_2024_PROTOCOL, PENGWIN_2026_PROTOCOL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is scored, and how.

    Attributes:
        protocol: the way to score.
        settings: what the user chose of it.
        prediction_numbering: name that the user gave, None where the reports say it.
        truth_numbering: likewise.
    """

    protocol: Protocol
    settings: ScoreSettings
    prediction_numbering: str | None
    truth_numbering: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was scored and what could not be.

    Attributes:
        protocol: the way it was scored.
        settings: what the user chose of it.
        cases: (name, figures) of every case that was scored.
        failures: (name, error) of every case that was not.
        lone_predictions: predictions without a truth.
        lone_truths: truths without a prediction.
    """

    protocol: Protocol
    settings: ScoreSettings
    cases: tuple[tuple[str, CaseFigures], ...]
    failures: tuple[tuple[str, FracSegError], ...] = ()
    lone_predictions: tuple[str, ...] = ()
    lone_truths: tuple[str, ...] = ()


def evaluate_folders(
    prediction: Path,
    truth: Path,
    *,
    protocol: str = CLEAN.name,
    settings: ScoreSettings | None = None,
    prediction_numbering: str | None = None,
    truth_numbering: str | None = None,
) -> Evaluation:
    """Score a prediction, or a folder of them, against the truth; what `fracseg evaluate` does.

    Args:
        prediction: a label file, a result folder, a case folder, or a folder of many of these.
        truth: likewise; cases pair by their names.
        protocol: clean, pengwin2024 or pengwin2026.
        settings: what else may be chosen; None takes the defaults.
        prediction_numbering: how labels name bones; None where the result's report says it.
        truth_numbering: likewise.

    Raises:
        ValueError: there is no such protocol.
        FracSegError: nothing pairs, or none of the pairs could be scored.
    """
    plan = Plan(
        protocol=protocol_named(protocol),
        settings=settings or ScoreSettings(),
        prediction_numbering=prediction_numbering,
        truth_numbering=truth_numbering,
    )
    return evaluate_pairs(pair_sources(prediction, truth), plan)


def _ignore(name: str, error: FracSegError | None) -> None:
    del name, error


def evaluate_pairs(
    pairing: Pairing,
    plan: Plan,
    on_case: Callable[[str, FracSegError | None], None] = _ignore,
) -> Evaluation:
    """Score every pair; one case is in memory at a time.

    Args:
        pairing: the pairs.
        plan: how they are scored.
        on_case: called with the name of every finished case and, where it failed, the error.

    Raises:
        FracSegError: none of the pairs could be scored. Of a single one, whatever was wrong.
    """
    cases, failures = [], []
    for prediction, truth in pairing.pairs:
        try:
            cases.append((truth.stem, _score(prediction, truth, plan)))
        except Exception as error:
            if len(pairing.pairs) == 1 or os.environ.get("FRACSEG_DEBUG"):
                raise
            failure = as_problem(error)
            failures.append((truth.stem, failure))
            on_case(truth.stem, failure)
        else:
            on_case(truth.stem, None)
    if not cases:
        raise failures[0][1]
    return Evaluation(
        protocol=plan.protocol,
        settings=plan.settings,
        cases=tuple(cases),
        failures=tuple(failures),
        lone_predictions=pairing.lone_predictions,
        lone_truths=pairing.lone_truths,
    )


def _score(prediction: LabelSource, truth: LabelSource, plan: Plan) -> CaseFigures:
    predicted_as = chosen_numbering(prediction, plan.prediction_numbering, "--pred-numbering")
    true_as = chosen_numbering(truth, plan.truth_numbering, "--gt-numbering")
    figures = plan.protocol.score(_request(prediction, truth, predicted_as, true_as, plan.settings))
    return replace(figures, warnings=_seen_warnings(prediction, truth))


def _seen_warnings(prediction: LabelSource, truth: LabelSource) -> tuple[str, ...]:
    """A sentence per network that was trained on the case, or chosen by it."""
    return tuple(
        f"the weights {weights.get('name', '')} were trained or chosen on this patient: "
        "its figures are no test"
        for weights in prediction.weights
        if was_seen(weights, truth.patient)
    )


def _request(
    prediction: LabelSource,
    truth: LabelSource,
    predicted_as: Numbering,
    true_as: Numbering,
    settings: ScoreSettings,
) -> ScoreRequest:
    predicted, true = read_pair(prediction, truth, predicted_as, true_as)
    predicted, true = cropped_to_labels(predicted, true)
    return ScoreRequest(
        prediction=predicted,
        truth=true,
        prediction_numbering=predicted_as,
        truth_numbering=true_as,
        settings=settings,
    )


def protocol_named(name: str) -> Protocol:
    """The protocol called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    for protocol in PROTOCOLS:
        if protocol.name == name:
            return protocol
    known = ", ".join(protocol.name for protocol in PROTOCOLS)
    raise ValueError(f"no protocol is called {name!r}; known: {known}")
