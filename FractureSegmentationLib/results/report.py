"""`report.json`: written for people and programs, read for the labels of a result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
        path.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The labels of a result.

    Attributes:
        numbering: None where the report names none.
        bones: slug of the bone by label; "" where two bones share the label.
        confidences: 0 to 1, by label.
        series_hash: salted hash of the UID of the DICOM series it was made from; "" of another CT.
    """

    numbering: Numbering | None = None
    bones: Mapping[int, str] = field(default_factory=dict)
    confidences: Mapping[int, float] = field(default_factory=dict)
    series_hash: str = ""


def reported_labels(report: Mapping[str, Any]) -> Reported:
    """Take from a report what it says of the labels; what it does not say stays empty."""
    bones: dict[int, str] = {}
    confidences: dict[int, float] = {}
    for bone, fragment in _fragments(report):
        label, confidence = fragment.get("label"), fragment.get("confidence")
        if isinstance(label, int):
            bones[label] = "" if label in bones else bone
            if isinstance(confidence, (int, float)) and 0.0 <= confidence <= 1.0:
                confidences[label] = float(confidence)
    source = report.get("input")
    series_hash = source.get("series_uid_hash") if isinstance(source, dict) else None
    return Reported(
        numbering=numbering_of_report(report),
        bones=bones,
        confidences=confidences,
        series_hash=series_hash if isinstance(series_hash, str) else "",
    )


def _fragments(report: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Slug of the bone and entry of every fragment."""
    for bone in _objects(report.get("bones")):
        for fragment in _objects(bone.get("fragments")):
            yield str(bone.get("bone")), fragment


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
