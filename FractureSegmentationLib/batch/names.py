"""Names of the result folders of many cases: safe on every system, each there once."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_LONGEST_BYTES = 80
_ALLOWED = "._-"
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}
)
_OURS = frozenset({"summary.csv", "summary.json"})


def folder_names(given: Sequence[str]) -> tuple[str, ...]:
    """One folder name per case.

    What the user gave is kept as far as every file system allows it; a case without a name becomes
    `case-001` by its place in the list. Nothing is taken from the path of the CT, which may hold a
    patient's name.

    Args:
        given: the user's name per case, "" for none.

    Returns:
        Names that stay different where upper and lower case are the same; a name that is there
        already gets -2, -3 and so on behind it.
    """
    taken = set(_OURS)
    names = []
    for number, wish in enumerate(given, start=1):
        name = _unused(_safe(wish) or f"case-{number:03d}", taken)
        taken.add(name.casefold())
        names.append(name)
    return tuple(names)


def _safe(wish: str) -> str:
    text = unicodedata.normalize("NFC", wish)
    text = "".join(c if c.isalnum() or c in _ALLOWED else "_" for c in text)
    # A leading dot hides a folder, a leading dash looks like an option; Windows drops final dots.
    text = text.strip(_ALLOWED)
    text = text.encode()[:_LONGEST_BYTES].decode(errors="ignore").rstrip(_ALLOWED)
    return f"case-{text}" if text.partition(".")[0].casefold() in _RESERVED else text


def _unused(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate
