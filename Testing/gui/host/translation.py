"""Stand-in for `slicer.i18n`: English in, English out."""

from __future__ import annotations

from pathlib import Path


def tr(text: str) -> str:
    """The translation of `text` in the context of the calling file."""
    return text


def translate(context: str, text: str) -> str:
    """The translation of `text` in a named context."""
    return text


def getContext(sourceFile: str) -> str:
    """The context of a file: its name without the extension."""
    return Path(sourceFile).stem
