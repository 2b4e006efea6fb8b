"""Folders for files that only other programs need: the user's alone, and soon gone."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from FractureSegmentationLib.io.leftovers import (
    clear_leftovers,
    remove_working_folders,
    working_folder,
)


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


def remove_scratch(process: int | None = None) -> None:
    """Remove the scratch folders of a process, before it is ended or after it was.

    Args:
        process: its id; None is this process.
    """
    remove_working_folders(_stem().parent, process or os.getpid())


def _stem() -> Path:
    return Path(tempfile.gettempdir()) / "image"
