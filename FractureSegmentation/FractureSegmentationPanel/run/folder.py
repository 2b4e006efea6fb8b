"""The folder of a run: the user's alone, and gone when the run is over, however it ended."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from pathlib import Path, PurePath

from FractureSegmentationLib.io.temporary import clear_leftovers, private_sibling, released

CT_FILE = "ct.nrrd"
BONES_FILE = "bones.nrrd"
RESULT_FOLDER = "result"
_TRIES, _PAUSE_SECONDS = 20, 0.5


class JobFolder:
    """A working folder in the system's folder for temporary files, readable by its user only.

    Folders that dead sessions left behind are removed on this occasion.

    Attributes:
        path: where it is.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self) -> None:
        clear_dead_sessions()
        self.path = private_sibling(_stem())

    @property
    def ct(self) -> Path:
        """Where the CT is put for the child."""
        return self.path / CT_FILE

    @property
    def bones(self) -> Path:
        """Where the bones are put for the child, if the user brought them."""
        return self.path / BONES_FILE

    @property
    def result(self) -> Path:
        """The folder that the child makes."""
        return self.path / RESULT_FOLDER

    def remove(self) -> None:
        """Remove it with all it holds; a second call does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        # From now on the next start, too, may remove it.
        released(self.path)
        if self.path.exists():
            threading.Thread(target=_insist, args=(self.path,), daemon=True).start()


def spellings(path: PurePath) -> tuple[str, ...]:
    """A path as a program may print it: as it is, with slashes, or escaped as in a traceback."""
    text = str(path)
    return tuple(dict.fromkeys((text, path.as_posix(), text.replace("\\", "\\\\"))))


def clear_dead_sessions() -> None:
    """Remove the working folders of sessions that were killed; cheap, for the start of a module."""
    with contextlib.suppress(OSError):
        clear_leftovers(_stem())


def _insist(path: Path) -> None:
    """Windows keeps what a process has open until that has ended, a moment after it was killed."""
    for _ in range(_TRIES):
        time.sleep(_PAUSE_SECONDS)
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return


def _stem() -> Path:
    return Path(tempfile.gettempdir()) / "slicer"
