"""Folders for files that only other programs' readers need: the user's alone, and soon gone."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from FractureSegmentationLib.io.leftovers import clear_leftovers, private_sibling, released


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of the user alone, gone at the end; after a kill, at the next start.

    Raises:
        OSError: it cannot be made.
    """
    folder = private_sibling(_stem())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        released(folder)


def clear_scratch() -> None:
    """Remove the scratch folders that killed runs left behind."""
    with contextlib.suppress(OSError):
        clear_leftovers(_stem())


def _stem() -> Path:
    return Path(tempfile.gettempdir()) / "image"
