"""The curves of a run as a picture: one plot per figure, training and validation together."""

from __future__ import annotations

import csv
import math
import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

_COLUMNS = 3
_SMOOTH_SHARE = 0.05
_NOT_DRAWN = ("step", "seconds")


def draw_curves(log: Path, picture: Path) -> None:
    """Draw a log, whole or not at all.

    Args:
        log: CSV with a column "step"; empty cells were not measured.
        picture: the PNG.
    """
    # Without pyplot: no window, no state that other figures share.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with log.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = [name for name in (rows[0] if rows else {}) if name not in _NOT_DRAWN]
    if not names:
        return
    lines = math.ceil(len(names) / _COLUMNS)
    figure = Figure(figsize=(4.2 * _COLUMNS, 2.8 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(names, start=1):
        measured = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        axes = figure.add_subplot(lines, _COLUMNS, place)
        axes.set_title(name)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if measured:
            steps, values = np.array(measured).T
            if name.startswith("train/"):
                axes.plot(steps, values, alpha=0.3, linewidth=0.8)
                axes.plot(steps, _smoothed(values))
            else:
                axes.plot(steps, values, marker="." if name.startswith("val/") else "")
    partial = picture.with_name(f".{picture.name}.{os.getpid()}.partial")
    figure.savefig(partial, format="png", dpi=100)
    partial.replace(picture)


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Moving average over a twentieth of the run, shorter at its ends."""
    width = max(1, round(_SMOOTH_SHARE * len(values)))
    kernel = np.ones(width)
    total = np.convolve(values, kernel, mode="same")
    averaged: np.ndarray = total / np.convolve(np.ones(len(values)), kernel, mode="same")
    return averaged
