"""The progress bar of a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from FractureSegmentationLib.progress import Event

_CELLS = 30


class TerminalBar:
    """Draws one line that is drawn over again, on stderr; where that is no terminal, stages only.

    Args:
        stream: where to draw; None takes stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._stage = ""

    def on_event(self, event: Event) -> None:
        """Draw what happened."""
        if event.kind == "progress":
            if self._is_terminal:
                filled = round(_CELLS * event.value)
                bar = "#" * filled + "." * (_CELLS - filled)
                self._write(f"\r[{bar}] {100 * event.value:3.0f} %  {event.stage:<10}")
            elif event.stage != self._stage:
                self._write(f"{event.stage} ...\n")
            self._stage = event.stage
        elif event.kind == "warning":
            self._clear()
            self._write(f"Warning: {event.message}\n")

    def finish(self) -> None:
        """Leave the terminal at the start of a clean line."""
        self._clear()

    def _clear(self) -> None:
        if self._is_terminal:
            self._write("\r" + " " * (_CELLS + 22) + "\r")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
