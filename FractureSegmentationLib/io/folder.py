"""A result folder is there whole or not at all.

Work goes into a private sibling folder, which takes the final name by renaming. Until then the
previous result stays where it is; if anything fails it is there again, and nothing else is left.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from FractureSegmentationLib.errors import (
    EnvironmentProblemError,
    OutputExistsError,
    memory_problem,
)
from FractureSegmentationLib.io.json_object import read_json_object
from FractureSegmentationLib.io.temporary import backup_path, clear_leftovers, working_folder

REPORT_NAME = "report.json"
FRAGMENTS_NAME = "fragments.nii.gz"
SCHEMA_KEY = "schema"
SCHEMA_PREFIX = "fracseg"
"""A report of ours is a JSON object whose `schema` is a text that begins so."""

FOREIGN_FILE = "it holds a file that FractureSegmentation did not write"
"""The usual reason not to replace a folder."""

_OWN_FILES = re.compile(
    r"(fragments\.nii\.gz|fragments\.seg\.nrrd|contact\.nrrd|regions\.nrrd|bones\.nii\.gz|report\.json"
    r"|preview\.png|meshes/[a-z_]+_[0-9]+\.stl|maps/[a-z_]+\.nrrd)"
)
_OWN_FOLDERS = frozenset({"meshes", "maps"})

_FULL = (
    "The disk is full, so the result could not be written.",
    "Free some space or choose an output folder on another disk.",
)
_FORBIDDEN = (
    "The output folder may not be written to.",
    "Choose an output folder that you may write to.",
)
_TOO_LONG = ("The name of the output folder is too long.", "Choose a shorter one.")
_SENTENCES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _FORBIDDEN,
    errno.ENAMETOOLONG: _TOO_LONG,
}


def reason_to_keep_result(folder: Path) -> str:
    """Why `folder` is not a plain result of ours; empty if it is one, or is empty."""
    entries = list(folder.rglob("*"))
    if not entries:
        return ""
    report = read_json_object(folder / REPORT_NAME)
    if report is None or not str(report.get(SCHEMA_KEY)).startswith(SCHEMA_PREFIX):
        return f"it holds no {REPORT_NAME} of FractureSegmentation"
    for path in entries:
        name = path.relative_to(folder).as_posix()
        is_ours = (
            name in _OWN_FOLDERS
            if path.is_dir() and not path.is_symlink()
            else path.is_file() and not path.is_symlink() and _OWN_FILES.fullmatch(name)
        )
        if not is_ours:
            return FOREIGN_FILE
    return ""


@contextlib.contextmanager
def staged_folder(
    out: Path,
    *,
    overwrite: bool,
    inputs: Sequence[Path],
    reason_to_keep: Callable[[Path], str] = reason_to_keep_result,
) -> Iterator[Path]:
    """Give a private temporary folder that becomes `out` when the block ends without an error.

    Args:
        out: the folder to make; missing parents are made too.
        overwrite: replace `out` if it is a folder that nothing speaks for keeping.
        inputs: the files and folders that the run reads; `out` may not be one of them, hold one,
            or lie inside one.
        reason_to_keep: why a folder is not replaced, "" if it may be; without it, only a result of
            ours without any foreign file is.

    Yields:
        The folder to write into (mode 0700), on the same disk as `out`.

    Raises:
        OutputExistsError: `out` may not be made or replaced.
        EnvironmentProblemError: the disk is full, read-only, or fails otherwise; or the block ran
            out of memory.
    """
    out = absolute_place(out)
    refuse = partial(_refuse_unreplaceable, out, reason_to_keep if overwrite else None)
    with _as_environment_problems():
        _refuse_touching(out, inputs)
        with parents_made(out):
            clear_leftovers(out)
            refuse()
            with working_folder(out) as staging:
                yield staging
                _take_usual_mode(staging)
                refuse()
                _publish(staging, out)


def _refuse_touching(out: Path, inputs: Sequence[Path]) -> None:
    """Keep the output away from everything that is read."""
    if touches_input(out, inputs):
        raise OutputExistsError(
            "The output folder is, holds or lies inside the input.",
            "Choose an output folder apart from the input.",
        )


def _refuse_unreplaceable(out: Path, reason_to_keep: Callable[[Path], str] | None) -> None:
    """Let nothing be in the way, or a folder that may be replaced; None: nothing may be."""
    if not os.path.lexists(out):
        return
    if reason_to_keep is None:
        raise OutputExistsError(
            "The output folder exists already.",
            "Choose another one, or allow it to be replaced with --overwrite.",
        )
    if out.is_symlink() or not out.is_dir():
        raise OutputExistsError(
            "What has the name of the output folder is a file or a link, which is not replaced.",
            "Choose another output folder.",
        )
    reason = reason_to_keep(out)
    if reason:
        raise OutputExistsError(
            f"The output folder is not replaced: {reason}.",
            "Move what you want to keep elsewhere, or choose another output folder.",
        )


def _publish(staging: Path, out: Path) -> None:
    """Give the finished folder its name; the previous one is put back if that fails."""
    backup = backup_path(staging)
    had_previous = out.exists()
    if had_previous:
        out.rename(backup)
    try:
        staging.rename(out)
    except BaseException:
        if had_previous:
            backup.rename(out)
        raise
    shutil.rmtree(backup, ignore_errors=True)


def _take_usual_mode(folder: Path) -> None:
    """Set the permissions that a folder made by this user normally has; working ones are 0700."""
    # Reading the umask would change it for every thread, so an ordinary folder is asked instead.
    probe = folder / f".mode-{secrets.token_hex(4)}"
    probe.mkdir()
    mode = probe.stat().st_mode
    probe.rmdir()
    folder.chmod(mode & 0o777)


@contextlib.contextmanager
def _as_environment_problems() -> Iterator[None]:
    """Turn what the operating system refuses into a sentence for the user."""
    try:
        yield
    except OSError as error:
        fallback = (
            "The result could not be written: the operating system reports "
            f"{errno.errorcode.get(error.errno or 0, 'a failure')}.",
            "Check the disk, or choose another output folder.",
        )
        message, remedy = _SENTENCES.get(error.errno or 0, fallback)
        raise EnvironmentProblemError(message, remedy) from error
    except MemoryError as error:
        raise memory_problem() from error


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
