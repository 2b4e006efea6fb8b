"""Where an export goes: a folder that is there whole or not at all, as a result folder is.

An export may replace an export, never a result: that one holds more than can be made from it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from FractureSegmentationLib.io.folder import (
    FOREIGN_FILE,
    REPORT_NAME,
    SCHEMA_KEY,
    SCHEMA_PREFIX,
    staged_folder,
)
from FractureSegmentationLib.io.json_object import read_json_object

SCHEMA = f"{SCHEMA_PREFIX}-export/1"
FILES_KEY = "files"
"""Key of the report under which an export lists its files, itself left out."""


def staged_export(
    out: Path, *, overwrite: bool, inputs: Sequence[Path]
) -> AbstractContextManager[Path]:
    """Give a private temporary folder that becomes `out` when the block ends without an error.

    Args:
        out: the folder to make; missing parents are made too.
        overwrite: replace `out` if it is an export of ours without any foreign file, or empty.
        inputs: what is read; `out` may not be one of it, hold it, or lie inside it.

    Returns:
        Gives the folder to write into (mode 0700), on the same disk as `out`.

    Raises:
        OutputExistsError: `out` may not be made or replaced.
        EnvironmentProblemError: the disk is full, read-only, or fails otherwise.
    """
    return staged_folder(
        out, overwrite=overwrite, inputs=inputs, reason_to_keep=reason_to_keep_export
    )


def reason_to_keep_export(folder: Path) -> str:
    """Why `folder` is not a plain export of ours; empty if it is one, or is empty."""
    present = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    if not present:
        return ""
    listed = _listed_files(folder / REPORT_NAME)
    if listed is None:
        return "it is no export of FractureSegmentation"
    own = {*listed, REPORT_NAME}
    if any(path.is_symlink() or not path.is_file() or n not in own for n, path in present.items()):
        return FOREIGN_FILE
    return ""


def _listed_files(report_path: Path) -> list[str] | None:
    """The files that an export's report lists; None if it is no report of an export."""
    report = read_json_object(report_path)
    if report is None or report.get(SCHEMA_KEY) != SCHEMA:
        return None
    files = report.get(FILES_KEY)
    return [str(name) for name in files] if isinstance(files, list) else None
