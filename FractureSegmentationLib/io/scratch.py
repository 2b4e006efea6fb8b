"""Folders for files that only other programs' readers need: the user's alone, and soon gone."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from FractureSegmentationLib.io.leftovers import clear_leftovers, working_folder


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of the user alone, gone at the end; after a kill, at the next start.

    Raises:
        OSError: it cannot be made.
    """
    with working_folder(_stem()) as folder:
        yield folder


def clear_scratch() -> None:
    """Remove the scratch folders that killed runs left behind."""
    with contextlib.suppress(OSError):
        clear_leftovers(_stem())


def _stem() -> Path:
    return Path(tempfile.gettempdir()) / "image"
