"""File names out of any text, fit for every file system."""

from __future__ import annotations

import unicodedata
from collections.abc import Set as AbstractSet

_ALLOWED = "._-"
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
)


def portable_name(text: str, longest_bytes: int) -> str:
    """The text as letters, digits and inner `.`, `_` and `-`; empty if it has none of the former.

    Args:
        text: anything.
        longest_bytes: so much is left of it at most; file systems count bytes, not letters.
    """
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(c if c.isalnum() or c in _ALLOWED else "_" for c in composed)
    # A leading dot hides a file, a leading dash looks like an option; Windows drops final dots.
    stripped = kept.strip(_ALLOWED)
    # A cut may leave half a character.
    return stripped.encode()[:longest_bytes].decode(errors="ignore").rstrip(_ALLOWED)


def is_reserved(name: str) -> bool:
    """Whether Windows keeps the name for a device, whatever its ending."""
    return name.partition(".")[0].casefold() in _RESERVED


def unused_name(name: str, taken: AbstractSet[str], joint: str) -> str:
    """The name, or else with the first free number from 2 on behind it.

    Args:
        name: what is wanted.
        taken: the names there are, casefolded: many file systems do not tell capitals apart.
        joint: stands between name and number.
    """
    candidate, number = name, 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name}{joint}{number}"
    return candidate
