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


def write_report(folder: Path, entries: Mapping[str, Any]) -> Path:
    """Write the report of a result folder; its schema and the disclaimer come first.

    Args:
        folder: the result folder.
        entries: JSON values by key.

    Raises:
        EnvironmentProblemError: the file cannot be written.
    """
    path = folder / REPORT_NAME
    text = json.dumps(
        {SCHEMA_KEY: SCHEMA, "notice": DISCLAIMER, **entries}, indent=1, ensure_ascii=False
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
    try:
        report = json.loads((folder / REPORT_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"The folder holds no readable {REPORT_NAME}.", "Give a result folder of fracseg."
        ) from error
    if not isinstance(report, dict) or not str(report.get(SCHEMA_KEY)).startswith(SCHEMA_PREFIX):
        raise InputError(
            f"The {REPORT_NAME} was not written by fracseg.", "Give a result folder of fracseg."
        )
    return report


def numbering_of_report(report: Mapping[str, Any]) -> Numbering:
    """The numbering that the labels of a result folder follow.

    Raises:
        InputError: the report names none that is known.
    """
    name = report.get("numbering")
    if name not in NUMBERINGS:
        raise InputError(
            "The report does not say how the fragments are numbered.",
            "Say it with --pred-numbering or --gt-numbering.",
        )
    return NUMBERINGS[str(name)]
