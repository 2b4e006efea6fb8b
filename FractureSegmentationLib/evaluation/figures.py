"""What every protocol delivers, named figures per case, bone and fragment; their spread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from FractureSegmentationLib.anatomy.catalogue import BONES
from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.volume import LabelVolume

Figures = Mapping[str, float]
"""Value per name of a metric. NaN or no entry: not measured or undefined; infinity is a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure of a protocol.

    Attributes:
        name: key in `Figures`, in JSON and in CSV.
        title: heading of its column; holds its unit.
        digits: decimals in tables for people.
        better: which end of the scale is good; "" for what is only counted.
        is_shown: whether tables for people have it; files always do.
    """

    name: str
    title: str
    digits: int = 4
    better: Literal["high", "low", ""] = "high"
    is_shown: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentFigures:
    """One true fragment.

    Attributes:
        truth: its label in the truth.
        prediction: label of the prediction it is compared with, 0 where there is none.
        volume_mm3: its true volume.
        values: its figures.
    """

    truth: int
    prediction: int
    volume_mm3: float
    values: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneFigures:
    """One bone of a case.

    Attributes:
        bone: its slug; two joined by "+" where a numbering gives two bones one range of labels.
        values: its figures.
        fragments: its true fragments.
    """

    bone: str
    values: Figures
    fragments: tuple[FragmentFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFigures:
    """One case.

    Attributes:
        values: its figures.
        bones: its bones, in catalogue order.
        notes: what the protocol left out or dropped, one sentence each.
        warnings: why the figures are no test, one sentence each.
    """

    values: Figures
    bones: tuple[BoneFigures, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """What the user may choose.

    Attributes:
        with_distances: measure surface distances, which cost most of the time.
        match_iou: from which IoU on `pengwin2026` counts a fragment as detected; the other
            protocols do not use it.

    Raises:
        ValueError: `match_iou` is not above 0 and at most 1.
    """

    with_distances: bool = True
    match_iou: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.match_iou <= 1.0:
            raise ValueError(f"match_iou must lie in (0, 1], got {self.match_iou}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """A case to score.

    Attributes:
        prediction: fragment labels.
        truth: fragment labels on the same grid.
        prediction_numbering: how the prediction's labels name bones.
        truth_numbering: how the truth's labels name bones.
        settings: what the user chose.

    Raises:
        ValueError: the grids differ.
    """

    prediction: LabelVolume
    truth: LabelVolume
    prediction_numbering: Numbering
    truth_numbering: Numbering
    settings: ScoreSettings = ScoreSettings()

    def __post_init__(self) -> None:
        if not self.prediction.geometry.is_close_to(self.truth.geometry):
            raise ValueError("prediction and truth lie on different grids")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A way to score.

    Attributes:
        name: the word a user types.
        title: what stands over its tables.
        summary: what it does, for the help.
        explanation: what stands under its tables.
        metrics: its figures, in the order of the columns.
        primary: name of the metric that defines the worst cases.
        is_reconstructed: it imitates an evaluator whose code was not public.
        score: scores one case; raises ValueError where a label belongs to no bone.
    """

    name: str
    title: str
    summary: str
    explanation: str
    metrics: tuple[Metric, ...]
    primary: str
    score: Callable[[ScoreRequest], CaseFigures]
    is_reconstructed: bool = False

    @property
    def shown(self) -> tuple[Metric, ...]:
        """The metrics that tables for people have."""
        return tuple(metric for metric in self.metrics if metric.is_shown)

    @property
    def primary_metric(self) -> Metric:
        """The metric that defines the worst cases."""
        return next(metric for metric in self.metrics if metric.name == self.primary)


Named = Sequence[tuple[str, CaseFigures]]
"""(name, figures) of every case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The distribution of one figure; NaN where nothing was measured.

    Attributes:
        count: how many values were measured.
        mean: infinite as soon as one value is.
        sd: sample standard deviation (n - 1); NaN of fewer than two values or an infinite one.
        minimum: the smallest value.
        q1: first quartile, linearly between the two nearest values, as numpy's default.
        median: second quartile.
        q3: third quartile.
        maximum: the largest value.
    """

    count: int
    mean: float
    sd: float
    minimum: float
    q1: float
    median: float
    q3: float
    maximum: float

    @property
    def figures(self) -> tuple[float, ...]:
        """All but the count, in the order in which tables have them."""
        return (self.mean, self.sd, self.minimum, self.q1, self.median, self.q3, self.maximum)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """A case at the bad end.

    Attributes:
        name: of the case.
        value: its figure.
        bone: its worst bone by the same figure, "" where no bone has it.
    """

    name: str
    value: float
    bone: str


def spread_of(values: Iterable[float]) -> Spread:
    """The distribution of `values`; what was not measured (NaN) is left out."""
    ranked = sorted(value for value in values if not math.isnan(value))
    count = len(ranked)
    mean = math.fsum(ranked) / count if count else math.nan
    sd = math.nan
    if count > 1 and math.isfinite(mean):
        sd = math.sqrt(math.fsum((value - mean) ** 2 for value in ranked) / (count - 1))
    return Spread(
        count=count,
        mean=mean,
        sd=sd,
        minimum=_quantile(ranked, 0.0),
        q1=_quantile(ranked, 0.25),
        median=_quantile(ranked, 0.5),
        q3=_quantile(ranked, 0.75),
        maximum=_quantile(ranked, 1.0),
    )


def case_values(cases: Named, metric: Metric) -> list[float]:
    """The figure of every case."""
    return [_value(case.values, metric) for _, case in cases]


def bone_values(cases: Named, metric: Metric, bone: str | None = None) -> list[float]:
    """The figure of every bone of every case, or of the bones called `bone`."""
    return [
        _value(one.values, metric)
        for _, case in cases
        for one in case.bones
        if bone is None or one.bone == bone
    ]


def bone_names(cases: Named) -> tuple[str, ...]:
    """The bones that occur, in catalogue order."""
    order = {bone.slug: place for place, bone in enumerate(BONES)}
    present = {bone.bone for _, case in cases for bone in case.bones}
    return tuple(sorted(present, key=lambda name: order[name.split("+")[0]]))


def worst_cases(cases: Named, metric: Metric, count: int) -> tuple[WorstCase, ...]:
    """The `count` worst cases that have the figure, worst first; equal ones by name.

    Raises:
        ValueError: the metric has no bad end.
    """
    if not metric.better:
        raise ValueError(f"{metric.name} is neither good nor bad")
    sign = 1.0 if metric.better == "high" else -1.0
    measured = [
        (sign * value, name, case)
        for (name, case), value in zip(cases, case_values(cases, metric), strict=True)
        if not math.isnan(value)
    ]
    return tuple(
        WorstCase(name=name, value=sign * signed, bone=_worst_bone(case, metric, sign))
        for signed, name, case in sorted(measured, key=lambda row: row[:2])[:count]
    )


def worst_case(cases: Named, metric: Metric) -> WorstCase | None:
    """The worst case; None where all are alike, none has the figure, or it has no bad end."""
    if not metric.better:
        return None
    ranked = worst_cases(cases, metric, len(cases))
    return ranked[0] if ranked and ranked[0].value != ranked[-1].value else None


def _worst_bone(case: CaseFigures, metric: Metric, sign: float) -> str:
    values = [(sign * _value(bone.values, metric), bone.bone) for bone in case.bones]
    return min((pair for pair in values if not math.isnan(pair[0])), default=(0.0, ""))[1]


def _value(values: Figures, metric: Metric) -> float:
    return values.get(metric.name, math.nan)


def _quantile(ranked: Sequence[float], share: float) -> float:
    if not ranked:
        return math.nan
    place = share * (len(ranked) - 1)
    low, high = ranked[math.floor(place)], ranked[math.ceil(place)]
    # Two infinite neighbours have no difference that could be halved.
    return low if low == high else low + (high - low) * (place - math.floor(place))
