"""The bodies that bones come from, without a CT, and which of them no network is trained on.

A case belongs to its body: every split is one of bodies. A body is held out by its name alone, so
that it stays held out whatever else is added.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fracseg_training.data.prepare import WORKING_SPACING_MM, box_around
from fracseg_training.data.sources import anatomy_of, label_map_bones, made_bones, smoothed
from fracseg_training.synthesis.bone import draw_bone_look, paint_bones
from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.deform import DeformConfig, deform_body
from fracseg_training.synthesis.fields import smooth_field
from fracseg_training.synthesis.label_map import LabelMap
from fracseg_training.synthesis.scanner import draw_scan, scan_body
from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.bones.totalsegmentator import PELVIC_STRUCTURES
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.voxels.orient import canonical_order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fracseg_training.data.prepare import WholeBone

ALWAYS_HELD_OUT = ("caseB",)
_EVERY = 10
_PREFIX = "totalseg_"
_MARGIN_MM = 25.0
_TISSUE_HU = (20.0, 70.0)
_TISSUE_SD_HU = 25.0
_STRUCTURES = {
    bone_named(slug).mask_value: structure
    for structure, slug in PELVIC_STRUCTURES.items()
    if not structure.startswith("vertebrae_")
}
"""Mask value to structure, as whole-body maps call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A label map of bones.

    Attributes:
        body: whose bones they are.
        name: of the map; one body may have several.
        labels: the file.
        names: JSON of the structures' names of a whole-body map; None where the map holds bones
            alone, with the catalogue's mask values.
    """

    body: str
    name: str
    labels: Path
    names: Path | None = None


def is_held_out(body: str) -> bool:
    """Whether no network may be trained on a body: about every tenth is kept for tests.

    Args:
        body: its name.
    """
    return body in ALWAYS_HELD_OUT or zlib.crc32(body.encode()) % _EVERY == 0


def read_shapes(folder: Path) -> tuple[Shape, ...]:
    """The label maps of a folder that hold a bone of the pelvis or a femur.

    Args:
        folder: holds `cases.json`, which names their files and bodies.

    Raises:
        InputError: there is no such list, or it cannot be understood.
    """
    try:
        cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))["cases"]
        shapes = [_shape(folder, case) for case in cases if _holds_a_bone(case)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "The folder of bone shapes holds no readable cases.json.",
            "Name the folder that lists its label maps there, see docs/training.md.",
        ) from error
    missing = [shape.labels.name for shape in shapes if not shape.labels.is_file()]
    if missing:
        raise InputError(
            f"Bone shapes that cases.json lists are not there: {', '.join(missing[:3])}.",
            "Copy the whole folder.",
        )
    return tuple(sorted(shapes, key=lambda shape: shape.name))


def label_map_shape(labels: Path, names: Path) -> Shape:
    """A whole-body label map as a shape."""
    anatomy = anatomy_of(labels)
    return Shape(body=anatomy, name=anatomy, labels=labels, names=names)


def shape_bones(shape: Shape, number: int, seed: int) -> Iterator[WholeBone]:
    """The bones of one of the bodies that can be made from a shape, each as in a CT.

    The shape is deformed, its bones get density and texture, and a scanner images them.

    Args:
        shape: the label map.
        number: which of the bodies.
        seed: of the body, its bones and the scanner.
    """
    if shape.names is not None:
        yield from label_map_bones(shape.labels, shape.names, number, seed)
        return
    rng = np.random.default_rng([seed, number, zlib.crc32(shape.name.encode())])
    body = _bones_alone(shape)
    around = box_around(body.labels > 0, body.spacing_mm, _MARGIN_MM)
    body = deform_body(body.cropped(around), rng, DeformConfig(), WORKING_SPACING_MM)
    body = replace(body, labels=smoothed(body.bones()))
    config = SynthesisConfig(narrow_view_share=0.0)  # nothing tells where the view would end
    tissue = smooth_field(body.labels.shape, body.spacing_mm, rng, 30.0) * _TISSUE_SD_HU
    hu = np.asarray(tissue + rng.uniform(*_TISSUE_HU), np.float32)
    paint_bones(hu, body, rng, draw_bone_look(rng, config))
    image = scan_body(hu, body.spacing_mm, rng, draw_scan(rng, config))
    name = f"{shape.name}_{number}"
    yield from made_bones(
        image, body.bones(), body.spacing_mm, name=name, patient=shape.body, source="label map"
    )


def _bones_alone(shape: Shape) -> LabelMap:
    """The pelvis and the femora in a map of bones alone."""
    volume = read_labels(shape.labels)
    volume = canonical_order(volume.geometry).volume(volume)
    known = np.isin(volume.voxels, list(_STRUCTURES))
    return LabelMap(
        labels=np.where(known, volume.voxels, 0).astype(np.uint8),
        names=_STRUCTURES,
        spacing_mm=volume.geometry.spacing_mm,
    )


def _shape(folder: Path, case: dict[str, Any]) -> Shape:
    names = case.get("names_file")
    return Shape(
        body=str(case["body"]).removeprefix(_PREFIX),
        name=str(case["case"]).removeprefix(_PREFIX),
        labels=folder / str(case["file"]),
        names=folder / str(names) if names else None,
    )


def _holds_a_bone(case: dict[str, Any]) -> bool:
    return bool(set(case["bones"]) & set(PELVIC_STRUCTURES.values()))
