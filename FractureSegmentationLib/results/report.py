"""`report.json`: what a result folder says of itself, for people and programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from FractureSegmentationLib.anatomy.numbering import NUMBERINGS, Numbering
from FractureSegmentationLib.errors import EnvironmentProblemError, InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.folder import REPORT_NAME, SCHEMA_KEY, SCHEMA_PREFIX
from FractureSegmentationLib.io.json_object import read_json_object

SCHEMA = f"{SCHEMA_PREFIX}-report/1"
"""Raised when a key changes its meaning or goes; new keys do not raise it."""

DISCLAIMER = "Not for diagnosis. Review every fragment."


def geometry_entry(geometry: Geometry) -> dict[str, Any]:
    """A grid as JSON values; axes are named, k slowest."""
    return {
        "shape_kji": list(geometry.shape),
        "spacing_kji_mm": list(geometry.spacing_mm),
        "origin_lps_mm": list(geometry.origin_lps_mm),
        "direction_kji_lps": [list(row) for row in geometry.direction],
    }


def write_report(folder: Path, entries: Mapping[str, Any], *, schema: str = SCHEMA) -> Path:
    """Write the report of a folder; its schema and the disclaimer come first.

    Args:
        folder: the folder that is reported on.
        entries: JSON values by key.
        schema: what kind of report it is.

    Raises:
        EnvironmentProblemError: the file cannot be written.
    """
    path = folder / REPORT_NAME
    text = json.dumps(
        {SCHEMA_KEY: schema, "notice": DISCLAIMER, **entries}, indent=1, ensure_ascii=False
    )
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblemError(
            "The report could not be written.", "Check that the disk is not full."
        ) from error
    return path


def read_report(folder: Path) -> dict[str, Any]:
    """The report of a result folder.

    Raises:
        InputError: there is none, or it is not one of ours.
    """
    report = read_json_object(folder / REPORT_NAME)
    if report is None:
        raise InputError(
            f"The folder holds no readable {REPORT_NAME}.", "Give a result folder of fracseg."
        )
    if not str(report.get(SCHEMA_KEY)).startswith(SCHEMA_PREFIX):
        raise InputError(
            f"The {REPORT_NAME} was not written by fracseg.", "Give a result folder of fracseg."
        )
    return report


def numbering_of_report(report: Mapping[str, Any]) -> Numbering | None:
    """The numbering that the labels of a result folder follow; None if the report names none."""
    name = report.get("numbering")
    return NUMBERINGS.get(name) if isinstance(name, str) else None
