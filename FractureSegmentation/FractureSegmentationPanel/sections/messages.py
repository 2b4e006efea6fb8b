"""How the panel speaks: a line below what was done. Dialogs are kept for questions."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from FractureSegmentationLib.errors import FracSegError, as_problem, unexpected_message

_PROBLEM_STYLE = "QLabel { color: #d9534f; }"


def show_message(label: Any, text: str, *, is_problem: bool = False) -> None:
    """Show a sentence in a label, or hide the label if there is none."""
    label.styleSheet = _PROBLEM_STYLE if is_problem else ""
    label.text = text
    label.visible = bool(text)


@contextlib.contextmanager
def failures_shown_in(label: Any) -> Iterator[None]:
    """Run what a button does; a failure becomes a sentence in `label`, never a traceback popup."""
    show_message(label, "")
    try:
        yield
    except (FracSegError, MemoryError) as error:
        show_message(label, str(as_problem(error)), is_problem=True)
    except Exception as error:
        advice = _("Look at the log of Slicer, and report it if it happens again.")
        show_message(label, f"{unexpected_message(error)} {advice}", is_problem=True)
        log_place(error)


def log_place(error: BaseException) -> None:
    """Tell Slicer's log which error came up and where; its message may hold a path or a name."""
    frames = traceback.extract_tb(error.__traceback__)
    # Of each file the end of its path, for the folders before it may be named after the user.
    files = ("/".join(Path(frame.filename).parts[-2:]) for frame in frames)
    places = [f"  {file}:{at.lineno} {at.name}" for file, at in zip(files, frames, strict=True)]
    text = "\n".join(places)
    logging.error("FractureSegmentation: %s in\n%s", type(error).__name__, text)


@contextlib.contextmanager
def busy_cursor() -> Iterator[None]:
    """Show that the application works, for what takes less than a few seconds."""
    qt.QApplication.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
    try:
        yield
    finally:
        qt.QApplication.restoreOverrideCursor()


def confirm(question: str) -> bool:
    """Ask a question that is answered by OK or Cancel."""
    answer: bool = slicer.util.confirmOkCancelDisplay(question, _("Fracture Segmentation"))
    return answer
