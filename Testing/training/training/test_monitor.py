"""What a run shows while it trains."""

from __future__ import annotations

import io
from pathlib import Path

from fracseg_training.training.monitor import Monitor

FIELDS = ("step", "train/loss", "val/fragment_iou", "learning_rate", "seconds")


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def a_row(step: int, **more: float) -> dict[str, float]:
    return {"step": step, "train/loss": 1.0 / step, "learning_rate": 0.1, "seconds": 0.5, **more}


def test_bar_shows_step_figures_and_share_done(tmp_path: Path) -> None:
    terminal = Terminal()

    with Monitor(tmp_path, FIELDS, first=2, last=4, stream=terminal) as monitor:
        monitor.report(a_row(3))
        monitor.report(a_row(4, **{"val/fragment_iou": 0.75}))

    shown = terminal.getvalue()
    assert "step 4/4" in shown
    assert "val/fragment_iou 0.750" in shown
    assert "100%" in shown


def test_without_a_terminal_some_steps_are_printed_as_lines(tmp_path: Path) -> None:
    stream = io.StringIO()

    with Monitor(tmp_path, FIELDS, first=0, last=50, stream=stream) as monitor:
        for step in range(1, 51):
            monitor.report(a_row(step, **({"val/fragment_iou": 0.5} if step == 30 else {})))

    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["20/50", "30/50", "40/50", "50/50"]
    assert "train/loss 0.050" in lines[0]
    # 30 steps of half a second are left.
    assert lines[0].endswith("0:00:15 left")


def test_log_names_its_columns_and_leaves_empty_what_was_not_measured(tmp_path: Path) -> None:
    with Monitor(tmp_path, FIELDS, first=0, last=2, stream=io.StringIO()) as monitor:
        monitor.report(a_row(1))
        monitor.report(a_row(2, **{"val/fragment_iou": 0.5}))
        monitor.draw()

    assert (tmp_path / "log.csv").read_text().splitlines() == [
        "step,train/loss,val/fragment_iou,learning_rate,seconds",
        "1,1,,0.1,0.5",
        "2,0.5,0.5,0.1,0.5",
    ]
    assert (tmp_path / "curves.png").exists()
