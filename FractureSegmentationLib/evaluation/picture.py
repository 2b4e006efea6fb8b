"""An evaluation as a picture: a box plot per figure with a box per bone, and the worst cases."""

from __future__ import annotations

import colorsys
import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.evaluation.figures import (
    Metric,
    Named,
    bone_names,
    bone_values,
    worst_cases,
)
from FractureSegmentationLib.evaluation.run import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARK = "fracseg evaluate"
WORST_CASES = 10

_MOST_COLUMNS = 5
_INK, _PALE, _GRID = "#1c222c", "#6e7682", "#e3e6ea"
_LONGEST_NAME = 34


def refuse_without_matplotlib() -> None:
    """Say so before anything is computed.

    Raises:
        EnvironmentProblemError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise EnvironmentProblemError(
            "A picture needs the package matplotlib, which is not installed.",
            "Install it with: python -m pip install matplotlib",
        )


def write_picture(path: Path, evaluation: Evaluation) -> None:
    """Draw an evaluation as PNG; it needs no display.

    Raises:
        OSError: the file cannot be written.
    """
    _draw(evaluation).savefig(path, format="png", metadata={"Software": MARK})


def _draw(evaluation: Evaluation) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    protocol, cases = evaluation.protocol, evaluation.cases
    drawn = [metric for metric in protocol.shown if metric.better]
    rows = math.ceil(len(drawn) / _MOST_COLUMNS)
    columns = math.ceil(len(drawn) / rows)
    worst_inches = 1.3 + 0.28 * min(WORST_CASES, len(cases))
    inches = 1.2 + 3.4 * rows + worst_inches
    layout = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 1.0 - 1.0 / inches))
    figure = Figure(figsize=(16.0, inches), dpi=110, layout=layout)
    figure.text(0.012, 1.0 - 0.22 / inches, protocol.title, size=15, color=_INK, va="top")
    figure.text(0.012, 1.0 - 0.58 / inches, _subtitle(evaluation), size=10, color=_PALE, va="top")
    parts = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.4 * rows, worst_inches))
    boxes, below = parts[:, 0]
    panels = boxes.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes, metric in zip(panels, drawn, strict=False):
        _draw_boxes(axes, metric, cases)
    for axes in panels[len(drawn) :]:
        axes.set_visible(False)
    _draw_worst(below.subplots(), evaluation)
    return figure


def _subtitle(evaluation: Evaluation) -> str:
    cases = evaluation.cases
    bone_count = sum(len(case.bones) for _, case in cases)
    text = f"{len(cases)} case{'s' * (len(cases) != 1)}, {bone_count} bones"
    if evaluation.failures:
        text += f"; {len(evaluation.failures)} cases could not be scored"
    return (
        f"{text}. Box: quartiles and median; whiskers: farthest value within 1.5 box lengths; "
        "diamond: mean. One value per bone of a case."
    )


def _draw_boxes(axes: Axes, metric: Metric, cases: Named) -> None:
    from matplotlib.ticker import MaxNLocator

    names = bone_names(cases)
    groups = [_finite(bone_values(cases, metric, name)) for name in (*names, None)]
    places = np.arange(1, len(groups) + 1)
    parts = axes.boxplot(
        groups,
        positions=places.tolist(),
        widths=0.62,
        patch_artist=True,
        showmeans=True,
        showfliers=False,
        medianprops={"color": _INK, "linewidth": 1.6},
        meanprops={"marker": "D", "markersize": 4, "markerfacecolor": "white",
                   "markeredgecolor": _INK},
        whiskerprops={"color": _PALE},
        capprops={"color": _PALE},
    )  # fmt: skip
    for box, name in zip(parts["boxes"], (*names, None), strict=True):
        box.set(facecolor=_color(name), edgecolor=_PALE)
    _draw_values(axes, places, groups)
    axes.set_xticks(places.tolist())
    axes.set_xticklabels([_short(name) for name in (*names, None)], size=9, color=_INK)
    arrow = "higher is better" if metric.better == "high" else "lower is better"
    axes.set_title(f"{metric.title}  ({arrow})", size=10.5, color=_INK, loc="left")
    _tidy(axes, "y")
    if metric.better == "high":
        axes.set_ylim(-0.03, 1.03)
    else:
        axes.set_ylim(0.0, 1.06 * max(groups[-1], default=0.0) or 1.0)
    if metric.digits == 0:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    endless = len(bone_values(cases, metric)) - len(groups[-1])
    if endless:
        axes.text(0.99, 0.97, f"{endless} not drawn: undefined or infinite",
                  transform=axes.transAxes, ha="right", va="top", size=8, color=_PALE)  # fmt: skip


def _draw_values(
    axes: Axes, places: npt.NDArray[np.int64], groups: Sequence[Sequence[float]]
) -> None:
    for place, values in zip(places.tolist(), groups, strict=True):
        # Spread evenly, so that the picture of one evaluation is always the same.
        aside = 0.2 * np.sin(2.4 * np.arange(len(values)))
        alpha = min(0.35, 25.0 / (len(values) + 1))
        axes.plot(place + aside, values, ".", color=_INK, alpha=alpha, markersize=4)


def _draw_worst(axes: Axes, evaluation: Evaluation) -> None:
    metric = evaluation.protocol.primary_metric
    worst = worst_cases(evaluation.cases, metric, WORST_CASES)
    title = f"Worst cases by {metric.title}, with their worst bone"
    axes.set_title(title, size=10.5, color=_INK, loc="left")
    places = list(range(len(worst)))
    values = [case.value for case in worst]
    axes.barh(places, values, height=0.62, color=[_color(case.bone or None) for case in worst],
              edgecolor=_PALE, linewidth=0.8)  # fmt: skip
    axes.set_yticks(places)
    axes.set_yticklabels([_cut(case.name) for case in worst], size=9, color=_INK)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.12 * max([1.0, *values]))
    for place, case in zip(places, worst, strict=True):
        bone = " ".join(_short(case.bone).split()) if case.bone else ""
        text = f" {case.value:.{metric.digits}f}  {bone}"
        axes.text(case.value, place, text, va="center", size=9, color=_INK)
    _tidy(axes, "x")


def _tidy(axes: Axes, along: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_PALE)
    axes.grid(axis="y" if along == "y" else "x", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_PALE, labelsize=9)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_color(_INK)


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _color(bone: str | None) -> tuple[float, float, float] | str:
    """The colour family of the bone, as in the preview; all bones together are grey."""
    if bone is None:
        return "#c9ced6"
    return colorsys.hls_to_rgb(bone_named(bone.split("+")[0]).hue, 0.72, 0.55)


def _short(bone: str | None) -> str:
    """A label that fits under a box."""
    if bone is None:
        return "all"
    slugs = bone.split("+")
    name = bone_named(slugs[0]).name.replace(" bone", "")
    if len(slugs) > 1:
        return f"Left/right\n{name.split()[-1]}"
    return name.replace(" ", "\n")


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"
