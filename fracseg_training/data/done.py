"""Which CTs of a folder of cases are complete: one small file each, written after its last case.

A run that is killed in the middle of a CT leaves no such file, and the next one completes the CT.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fracseg_training.data.cases import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FOLDER = "done"


def is_done(out: Path, name: str, settings: Mapping[str, int | str]) -> bool:
    """Whether a CT was completed with these very settings and all of its cases are still there.

    Args:
        out: folder of cases.
        name: of the CT.
        settings: what its cases depend on.
    """
    return done_cases(out, name, settings) is not None


def done_cases(out: Path, name: str, settings: Mapping[str, int | str]) -> list[str] | None:
    """The names of a CT's cases, if it `is_done`; else None.

    Args:
        out: folder of cases.
        name: of the CT.
        settings: what its cases depend on.
    """
    try:
        stored = json.loads(_file(out, name).read_text(encoding="utf-8"))
        cases = [str(case) for case in stored["cases"]]
        is_same = stored["settings"] == dict(settings)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    is_there = all((out / f"{case}{SUFFIX}").is_file() for case in cases)
    return cases if is_same and is_there else None


def mark_done(
    out: Path, name: str, settings: Mapping[str, int | str], cases: Iterable[str]
) -> None:
    """Write that a CT is complete; after its last case.

    Args:
        out: folder of cases.
        name: of the CT.
        settings: what its cases depend on.
        cases: their names.
    """
    path = _file(out, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    entries = {"settings": dict(settings), "cases": sorted(cases)}
    partial.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    partial.replace(path)


def unmark(out: Path, name: str) -> None:
    """Take back that a CT is complete; before its cases are replaced."""
    _file(out, name).unlink(missing_ok=True)


def _file(out: Path, name: str) -> Path:
    return out / FOLDER / f"{name}.json"
