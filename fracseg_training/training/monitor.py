"""What a run shows: `log.csv`, curves as a picture, TensorBoard events, a bar in the terminal."""

from __future__ import annotations

import csv
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, TextIO

from fracseg_training.training.curves import draw_curves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from click._termui_impl import ProgressBar
    from torch.utils.tensorboard import SummaryWriter

_LINE_EVERY = 20


class Monitor:
    """Writes the rows of a run as they come.

    Args:
        folder: of the run; gets `log.csv`, `curves.png` and `tensorboard/`.
        fields: columns of the log, "step" first.
        first: steps taken before; rows of later ones are dropped, for those are taken again.
        last: step at which this training ends.
        is_silent: write and show nothing.
        stream: where the bar is drawn; None takes stderr. Where that is no terminal, a line is
            printed every 20 steps.
    """

    def __init__(
        self,
        folder: Path,
        fields: Sequence[str],
        *,
        first: int,
        last: int,
        is_silent: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self._log, self._picture = folder / "log.csv", folder / "curves.png"
        self._events_folder = folder / "tensorboard"
        self._fields, self._first, self._last = tuple(fields), first, last
        self._is_silent = is_silent
        self._stream = stream or sys.stderr
        self._spent_seconds = 0.0
        self._events: SummaryWriter | None = None
        self._bar: ProgressBar[int] | None = None

    def __enter__(self) -> Monitor:
        if self._is_silent:
            return self
        import click
        from torch.utils.tensorboard import SummaryWriter

        self._trim_log()
        self._events = SummaryWriter(str(self._events_folder), purge_step=self._first + 1)
        if self._stream.isatty():
            self._bar = click.progressbar(
                length=max(0, self._last - self._first),
                file=self._stream,
                show_eta=True,
                show_percent=True,
                item_show_func=lambda text: text,
            )
            self._bar.render_progress()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.render_finish()
        if self._events is not None:
            self._events.close()

    def report(self, row: Mapping[str, float]) -> None:
        """Log one step; figures that it did not measure stay empty."""
        if self._is_silent:
            return
        step = int(row["step"])
        self._spent_seconds += row["seconds"]
        cells = [f"{row[name]:.6g}" if name in row else "" for name in self._fields[1:]]
        with self._log.open("a", newline="") as stream:
            csv.writer(stream).writerow([step, *cells])
        if self._events is not None:
            for name in self._fields[1:]:
                if name in row:
                    self._events.add_scalar(name, row[name], step)
        text = f"step {step}/{self._last}  " + "  ".join(
            f"{name} {row[name]:.3f}" for name in self._fields[1:] if "/" in name and name in row
        )
        if self._bar is not None:
            self._bar.update(1, text)  # type: ignore[arg-type]
        elif step % _LINE_EVERY == 0 or step == self._last or self._measures_validation(row):
            self._stream.write(f"{text}  {self._time_left(step)} left\n")
            self._stream.flush()

    def _time_left(self, step: int) -> timedelta:
        """By the mean of the steps since this training began; in whole seconds."""
        per_step = self._spent_seconds / max(1, step - self._first)
        return timedelta(seconds=round(per_step * (self._last - step)))

    def draw(self) -> None:
        """Bring the picture of the curves up to date."""
        if not self._is_silent:
            draw_curves(self._log, self._picture)

    def _measures_validation(self, row: Mapping[str, float]) -> bool:
        return any(name.startswith("val/") for name in row)

    def _trim_log(self) -> None:
        rows: list[dict[str, str]] = []
        if self._log.exists():
            with self._log.open(newline="") as stream:
                rows = [row for row in csv.DictReader(stream) if (row["step"] or "").isdigit()]
        kept = [row for row in rows if int(row["step"]) <= self._first]
        with self._log.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(self._fields)
            writer.writerows([row.get(name) or "" for name in self._fields] for row in kept)
