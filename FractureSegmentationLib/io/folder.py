"""A result folder is there whole or not at all.

Work goes into a private sibling folder, which takes the final name by renaming. Until then the
previous result stays where it is; if anything fails it is there again, and nothing else is left.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from FractureSegmentationLib.errors import (
    EnvironmentProblemError,
    OutputExistsError,
    memory_problem,
)
from FractureSegmentationLib.io.leftovers import (
    backup_path,
    clear_leftovers,
    private_sibling,
    released,
)

REPORT_NAME = "report.json"
SCHEMA_KEY = "schema"
SCHEMA_PREFIX = "fracseg"
"""A report of ours is a JSON object whose `schema` is a text that begins so."""

_OWN_FILES = re.compile(
    r"(fragments\.nii\.gz|fragments\.seg\.nrrd|contact\.nrrd|bones\.nii\.gz|report\.json"
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


@contextlib.contextmanager
def staged_folder(out: Path, *, overwrite: bool, inputs: Sequence[Path]) -> Iterator[Path]:
    """Give a private temporary folder that becomes `out` when the block ends without an error.

    Args:
        out: the folder to make; missing parents are made too.
        overwrite: replace `out` if it is a result folder of ours without any foreign file.
        inputs: the files and folders that the run reads; `out` may not be one of them, hold one,
            or lie inside one.

    Yields:
        The folder to write into (mode 0700), on the same disk as `out`.

    Raises:
        OutputExistsError: `out` may not be made or replaced.
        EnvironmentProblemError: the disk is full, read-only, or fails otherwise; or the block ran
            out of memory.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 -- resolve() would follow a link named OUT
    with _as_environment_problems():
        _refuse_forbidden_place(out, inputs)
        made_parents = _make_parents(out.parent)
        try:
            clear_leftovers(out)
            _refuse_unreplaceable(out, overwrite=overwrite)
            staging = private_sibling(out)
            try:
                yield staging
                _publish(staging, out, overwrite=overwrite)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
                released(staging)
        except BaseException:
            for parent in made_parents:
                with contextlib.suppress(OSError):
                    parent.rmdir()
            raise


def _refuse_forbidden_place(out: Path, inputs: Sequence[Path]) -> None:
    """Keep the output away from everything that is read."""
    target = out.resolve()
    for given in inputs:
        source = given.resolve()
        if target == source or target in source.parents or source in target.parents:
            raise OutputExistsError(
                "The output folder is, holds or lies inside the input.",
                "Choose an output folder apart from the input.",
            )


def _make_parents(folder: Path) -> tuple[Path, ...]:
    """Make `folder`; return those that were missing, innermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
    return tuple(missing)


def _refuse_unreplaceable(out: Path, *, overwrite: bool) -> None:
    """Let nothing be in the way, or with `overwrite` a result of ours or an empty folder."""
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise OutputExistsError(
            "The output folder exists already.",
            "Choose another one, or allow it to be replaced with --overwrite.",
        )
    if out.is_symlink() or not out.is_dir():
        raise OutputExistsError(
            "What has the name of the output folder is a file or a link, which is not replaced.",
            "Choose another output folder.",
        )
    foreign = _foreign_entry(out)
    if foreign:
        raise OutputExistsError(
            f"The output folder is not replaced: {foreign}.",
            "Move what you want to keep elsewhere, or choose another output folder.",
        )


def _foreign_entry(folder: Path) -> str:
    """Why `folder` is not a plain result of ours; empty if it is one, or is empty."""
    entries = list(folder.rglob("*"))
    if not entries:
        return ""
    if not _is_our_report(folder / REPORT_NAME):
        return f"it holds no {REPORT_NAME} of FractureSegmentation"
    for path in entries:
        name = path.relative_to(folder).as_posix()
        is_ours = (
            name in _OWN_FOLDERS
            if path.is_dir() and not path.is_symlink()
            else path.is_file() and not path.is_symlink() and _OWN_FILES.fullmatch(name)
        )
        if not is_ours:
            return "it holds a file that FractureSegmentation did not write"
    return ""


def _is_our_report(path: Path) -> bool:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(report, dict) and str(report.get(SCHEMA_KEY, "")).startswith(SCHEMA_PREFIX)


def _publish(staging: Path, out: Path, *, overwrite: bool) -> None:
    """Give the finished folder its name; the previous one is put back if that fails."""
    _take_usual_mode(staging)
    _refuse_unreplaceable(out, overwrite=overwrite)
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
