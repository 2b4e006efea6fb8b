"""What of a report is kept in the scene, and its labels in the scene's numbering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.anatomy.numbering import FRACSEG, Numbering
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.mrml.tags import BONE, INDEX

_KEPT = (
    "schema",
    "notice",
    "numbering",
    "software",
    "method",
    "weights",
    "device",
    "precision",
    "bones",
    "warnings",
)
"""Nothing of the input: a scene is passed on, and not even a hash should tell whose it is."""
_INDEX_KEYS = {"label": "index", "into_label": "into_index"}


def kept_in_scene(report: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a report that a saved scene may hold."""
    return {key: report[key] for key in _KEPT if key in report}


def our_label(segment: Segment) -> int:
    """The label of a result's segment in the scene.

    Raises:
        InputError: it stands for no fragment of a bone.
    """
    try:
        return FRACSEG.label_of(bone_named(segment.tags[BONE]), int(segment.tags[INDEX]))
    except (KeyError, ValueError) as error:
        raise InputError(
            "The result holds labels of which nothing says which bone they are.",
            "Segment the CT again.",
        ) from error


def with_our_labels(report: Mapping[str, Any], numbering: Numbering) -> dict[str, Any]:
    """A report whose labels are those of the scene; what it says of no label stays.

    Raises:
        InputError: it names a bone or a number that there is not.
    """
    bones = report.get("bones")
    if numbering == FRACSEG or not isinstance(bones, list):
        return dict(report)
    try:
        bones = [
            _relabelled(bone, str(bone.get("bone"))) if isinstance(bone, dict) else bone
            for bone in bones
        ]
    except ValueError as error:
        raise InputError("The report of the result is damaged.", "Segment the CT again.") from error
    return {**report, "numbering": FRACSEG.name, "bones": bones}


def _relabelled(value: Any, slug: str) -> Any:
    """Entries of one bone with labels worked out from their indices."""
    if isinstance(value, list):
        return [_relabelled(one, slug) for one in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _relabelled(one, slug) for key, one in value.items()}
    for label_key, index_key in _INDEX_KEYS.items():
        if label_key in value and isinstance(value.get(index_key), int):
            changed[label_key] = FRACSEG.label_of(bone_named(slug), value[index_key])
    return changed
