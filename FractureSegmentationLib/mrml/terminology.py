"""The project's terminology in the form of 3D Slicer, made from the catalogue of bones.

Two files: what a segment is (a fracture fragment, or a bone), and in which bone and on which side.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from FractureSegmentationLib.anatomy.catalogue import BONES, Bone, Code
from FractureSegmentationLib.anatomy.naming import (
    ABNORMAL_STRUCTURE,
    ANATOMICAL_STRUCTURE,
    FRACTURE,
    FRAGMENT,
    REGION_CONTEXT,
    SIDES,
    TERMINOLOGY_CONTEXT,
    fragment_color,
)

TYPES_FILE = "SegmentationCategoryTypeModifier-FractureSegmentation.term.json"
REGIONS_FILE = "AnatomicRegionAndModifier-FractureSegmentation.term.json"

_SCHEMAS = "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas"


def write_terminologies(folder: Path) -> None:
    """Write both files into an existing folder.

    Raises:
        OSError: they cannot be written.
    """
    for name, content in ((TYPES_FILE, _types()), (REGIONS_FILE, _regions())):
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (folder / name).write_text(f"{text}\n", encoding="utf-8")


def _types() -> dict[str, Any]:
    fracture = {
        **_code(FRACTURE),
        "3dSlicerLabel": "fracture fragment",
        "recommendedDisplayRGBValue": _rgb(BONES[0]),
        "Modifier": [{**_code(FRAGMENT), "recommendedDisplayRGBValue": _rgb(BONES[0])}],
    }
    return {
        "SegmentationCategoryTypeContextName": TERMINOLOGY_CONTEXT,
        "@schema": f"{_SCHEMAS}/segment-context-schema.json#",
        "SegmentationCodes": {
            "Category": [
                {**_code(ABNORMAL_STRUCTURE), "showAnatomy": True, "Type": [fracture]},
                {
                    **_code(ANATOMICAL_STRUCTURE),
                    "showAnatomy": False,
                    "Type": [_bone_type(bones) for bones in _bones_by_region()],
                },
            ]
        },
    }


def _regions() -> dict[str, Any]:
    regions = [
        {**_code(bones[0].region), **_sides(bones, with_color=False)}
        for bones in _bones_by_region()
    ]
    return {
        "AnatomicContextName": REGION_CONTEXT,
        "@schema": f"{_SCHEMAS}/anatomic-context-schema.json#",
        "AnatomicCodes": {"AnatomicRegion": regions},
    }


def _bones_by_region() -> list[list[Bone]]:
    """The bones of each kind, left and right together."""
    grouped: dict[str, list[Bone]] = {}
    for bone in BONES:
        grouped.setdefault(bone.region.value, []).append(bone)
    return list(grouped.values())


def _bone_type(bones: list[Bone]) -> dict[str, Any]:
    return {
        **_code(bones[0].region),
        "3dSlicerLabel": bones[0].region.meaning.lower(),
        "recommendedDisplayRGBValue": _rgb(bones[0]),
        **_sides(bones, with_color=True),
    }


def _sides(bones: list[Bone], *, with_color: bool) -> dict[str, Any]:
    sides = [
        {
            **_code(SIDES[bone.side]),
            **({"recommendedDisplayRGBValue": _rgb(bone)} if with_color else {}),
        }
        for bone in bones
        if bone.side
    ]
    return {"Modifier": sides} if sides else {}


def _code(code: Code) -> dict[str, str]:
    return {
        "CodeMeaning": code.meaning,
        "CodingSchemeDesignator": code.scheme,
        "CodeValue": code.value,
    }


def _rgb(bone: Bone) -> list[int]:
    return [round(255 * channel) for channel in fragment_color(bone, 1)]
