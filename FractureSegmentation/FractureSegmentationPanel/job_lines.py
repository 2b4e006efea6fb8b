"""Lines out of bytes, events out of lines."""

from __future__ import annotations

import json
from typing import Any

LONGEST_LINE_BYTES = 1 << 20


class LineSplitter:
    """Cuts bytes that arrive in any portions into lines of text.

    A line without an end that grows beyond `LONGEST_LINE_BYTES` is given in parts.
    """

    def __init__(self) -> None:
        self._partial = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete, without their ends; bad UTF-8 is replaced."""
        *complete, rest = data.split(b"\n")
        if complete:
            complete[0] = bytes(self._partial) + complete[0]
            self._partial.clear()
        self._partial += rest
        if len(self._partial) > LONGEST_LINE_BYTES:
            complete.append(bytes(self._partial))
            self._partial.clear()
        return [_text(line) for line in complete]

    def rest(self) -> list[str]:
        """What came after the last line end, once there will be no more."""
        partial = bytes(self._partial)
        self._partial.clear()
        return [_text(partial)] if partial else []


def parse_event(line: str) -> dict[str, Any] | None:
    """The event of a line; None if it is any other text."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and isinstance(value.get("event"), str):
        return value
    return None


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")
