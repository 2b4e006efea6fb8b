"""Places of outputs: their absolute names, their parents, and whether they touch an input."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
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


@contextlib.contextmanager
def parents_made(place: Path) -> Iterator[None]:
    """Make the folders above a place; if the block fails, those that were missing go again.

    Raises:
        OSError: one cannot be made.
    """
    made: list[Path] = []
    try:
        for folder in reversed(place.parents):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                made.append(folder)
        yield
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
