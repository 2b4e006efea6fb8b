"""What every protocol delivers: named figures per case, per bone and per true fragment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

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
    """

    values: Figures
    bones: tuple[BoneFigures, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """What the user may choose.

    Attributes:
        with_distances: measure surface distances, which cost most of the time.
        match_iou: from which IoU on `pengwin2026` counts a fragment as found; the other protocols
            do not look at it.

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
        primary: name of the metric that tells the worst cases.
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
        """The metric that tells the worst cases."""
        return next(metric for metric in self.metrics if metric.name == self.primary)
