"""Result folders of a few voxels, written by the library's own writers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from FractureSegmentationLib.anatomy.naming import fragment_segment
from FractureSegmentationLib.anatomy.numbering import FRACSEG, Numbering
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.results.report import geometry_entry, write_report
from FractureSegmentationLib.results.seg_nrrd import write_seg_nrrd
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import LabelVolume, Volume

AREA_MM2 = 80.0


def write_result_folder(
    folder: Path,
    labels: LabelArray,
    geometry: Geometry,
    *,
    numbering: Numbering = FRACSEG,
    contact: Volume | None = None,
) -> Path:
    """A result of the labels: every fragment has confidence 0.25, every pair a weak interface."""
    folder.mkdir(parents=True, exist_ok=True)
    volume = LabelVolume(voxels=labels.astype(np.uint16), geometry=geometry)
    write_volume(folder / "fragments.nii.gz", volume)
    fragments = [(label, *numbering.fragment_of(label)) for label in volume.values()]
    segments = [
        fragment_segment(bone, index, numbering=numbering, confidence=0.25)
        for _, bone, index in fragments
    ]
    write_seg_nrrd(folder / "fragments.seg.nrrd", volume, segments)
    if contact is not None:
        write_volume(folder / "contact.nrrd", contact)
    bones: dict[str, list[tuple[int, int]]] = {}
    for label, bone, index in fragments:
        bones.setdefault(bone.slug, []).append((label, index))
    write_report(
        folder,
        {
            "reviewed": False,
            "request_sha256": "5e17",
            "numbering": numbering.name,
            "input": {"series_uid_hash": "5e17", **geometry_entry(geometry)},
            "method": "fracsegmentator",
            "warnings": ["The slices are thick."],
            "bones": [_bone_entry(slug, members) for slug, members in bones.items()],
        },
    )
    return folder


def _bone_entry(slug: str, members: list[tuple[int, int]]) -> Mapping[str, Any]:
    return {
        "bone": slug,
        "fragments": [
            {
                "label": label,
                "index": index,
                "confidence": 0.25,
                "neighbours": [
                    {
                        "label": other,
                        "index": other_index,
                        "area_mm2": AREA_MM2,
                        "contact_area_mm2": 10.0,
                        "mean_contact": 0.1,
                    }
                    for other, other_index in members
                    if other != label
                ],
            }
            for label, index in members
        ],
        "possible_unseparated_fractures": [],
        "small_pieces_joined": [],
    }
