"""Where an export goes: a folder that is there whole or not at all, as a result folder is.

`io.folder` makes new folders and replaces results. An export may replace an export, never a result:
that one holds more than can be made from it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from FractureSegmentationLib.errors import EnvironmentProblemError, OutputExistsError
from FractureSegmentationLib.io.folder import REPORT_NAME, SCHEMA_KEY, SCHEMA_PREFIX, staged_folder
from FractureSegmentationLib.io.leftovers import (
    backup_path,
    clear_leftovers,
    private_sibling,
    released,
)

SCHEMA = f"{SCHEMA_PREFIX}-export/1"
FILES_KEY = "files"
"""Key of the report under which an export lists its files, itself left out."""


@contextlib.contextmanager
def staged_export(out: Path, *, overwrite: bool, inputs: Sequence[Path]) -> Iterator[Path]:
    """Give a private temporary folder that becomes `out` when the block ends without an error.

    Args:
        out: the folder to make; missing parents are made too.
        overwrite: replace `out` if it is an export of ours without any foreign file, or empty.
        inputs: what is read; `out` may not be one of it, hold it, or lie inside it.

    Yields:
        The folder to write into (mode 0700), on the same disk as `out`.

    Raises:
        OutputExistsError: `out` may not be made or replaced.
        EnvironmentProblemError: the disk is full, read-only, or fails otherwise.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 -- resolve() would follow a link named OUT
    if not (overwrite and os.path.lexists(out)):
        with staged_folder(out, overwrite=False, inputs=inputs) as staging:
            yield staging
        return
    _refuse_forbidden_place(out, inputs)
    with _as_environment_problem():
        clear_leftovers(out)
        _refuse_unless_export(out)
        holder = private_sibling(out)
    try:
        with staged_folder(holder / out.name, overwrite=False, inputs=inputs) as staging:
            yield staging
        with _as_environment_problem():
            _refuse_unless_export(out)
            _exchange(holder, out)
    finally:
        shutil.rmtree(holder, ignore_errors=True)
        released(holder)


def _refuse_forbidden_place(out: Path, inputs: Sequence[Path]) -> None:
    target = out.resolve()
    for given in inputs:
        source = given.resolve()
        if target == source or target in source.parents or source in target.parents:
            raise OutputExistsError(
                "The output folder is, holds or lies inside the input.",
                "Choose an output folder apart from the input.",
            )


def _refuse_unless_export(out: Path) -> None:
    """Let nothing but an export of ours, or an empty folder, be replaced."""
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not out.is_dir():
        raise OutputExistsError(
            "What has the name of the output folder is a file or a link, which is not replaced.",
            "Choose another output folder.",
        )
    present = {path.relative_to(out).as_posix(): path for path in out.rglob("*")}
    if not present:
        return
    listed = _listed_files(out / REPORT_NAME)
    if listed is None:
        raise OutputExistsError(
            "The output folder is not replaced: it is no export of FractureSegmentation.",
            "Choose another output folder.",
        )
    own = {*listed, REPORT_NAME}
    if any(path.is_symlink() or not path.is_file() or n not in own for n, path in present.items()):
        raise OutputExistsError(
            "The output folder is not replaced: it holds a file that FractureSegmentation did not "
            "write.",
            "Move what you want to keep elsewhere, or choose another output folder.",
        )


def _listed_files(report_path: Path) -> list[str] | None:
    """The files that an export's report lists; None if it is no report of an export."""
    try:
        report = json.loads(report_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(report, dict) or report.get(SCHEMA_KEY) != SCHEMA:
        return None
    files = report.get(FILES_KEY)
    return [str(name) for name in files] if isinstance(files, list) else None


def _exchange(holder: Path, out: Path) -> None:
    """Give the finished folder its name; the previous export is put back if that fails."""
    # Under this name `clear_leftovers` of a later run finds and restores it, should this one die.
    backup = backup_path(holder)
    had_previous = out.exists()
    if had_previous:
        out.rename(backup)
    try:
        (holder / out.name).rename(out)
    except BaseException:
        if had_previous:
            backup.rename(out)
        raise
    shutil.rmtree(backup, ignore_errors=True)


@contextlib.contextmanager
def _as_environment_problem() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentProblemError(
            "The output folder could not be replaced.",
            "Check that you may write to the folder that holds it and that the disk is not full.",
        ) from error
