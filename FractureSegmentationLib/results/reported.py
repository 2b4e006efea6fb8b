"""What the report beside a label image says of its labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.results.report import numbering_of_report


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
