"""Places of outputs: their absolute names, their parents, and whether they touch an input."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def absolute_place(path: Path) -> Path:
    """The place that a name means; a link of that name is not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 -- resolve() would follow the link


def touches_input(place: Path, inputs: Sequence[Path]) -> bool:
    """Whether a place is, holds or lies inside one of the inputs.

    Raises:
        OSError: a link cannot be followed.
    """
    target = place.resolve()
    sources = [given.resolve() for given in inputs]
    return any(
        target == source or target in source.parents or source in target.parents
        for source in sources
    )


def make_parents(folder: Path) -> tuple[Path, ...]:
    """Make `folder`; return the folders that were missing, innermost first.

    Raises:
        OSError: one cannot be made.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
    return tuple(missing)
