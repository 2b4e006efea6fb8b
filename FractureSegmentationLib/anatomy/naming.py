"""What a fragment is called, coloured and coded wherever a person or another program meets it."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from FractureSegmentationLib.anatomy.catalogue import Bone, Code, Rgb
from FractureSegmentationLib.anatomy.numbering import FRACSEG, Numbering

TERMINOLOGY_CONTEXT = "Segmentation category and type - FractureSegmentation"
"""Name of the terminology that lists these codes in 3D Slicer."""
REGION_CONTEXT = "Anatomic codes - FractureSegmentation"
"""Name of the list of bones that goes with it."""

ABNORMAL_STRUCTURE = Code(
    scheme="SCT", value="49755003", meaning="Morphologically Abnormal Structure"
)
ANATOMICAL_STRUCTURE = Code(scheme="SCT", value="123037004", meaning="Anatomical Structure")
FRACTURE = Code(scheme="SCT", value="72704001", meaning="Fracture")
# Schemes that begin with 99 are DICOM's for private codes.
FRAGMENT = Code(scheme="99FRACSEG", value="FRAGMENT", meaning="Fragment")
SIDES = {
    "left": Code(scheme="SCT", value="7771000", meaning="Left"),
    "right": Code(scheme="SCT", value="24028007", meaning="Right"),
}

# Shift of the hue, saturation, value. Every shade is as far as possible from all before it (CIELAB,
# worst of all bones), so the largest fragments, which touch the most others, differ the most.
_SHADES = (
    (0.00, 0.60, 0.88),
    (0.06, 0.50, 0.42),
    (0.03, 1.00, 1.00),
    (-0.06, 0.60, 0.60),
    (-0.06, 0.35, 1.00),
    (0.06, 0.35, 1.00),
    (0.06, 0.85, 0.75),
    (0.06, 0.35, 0.75),
    (0.00, 0.85, 0.60),
    (-0.06, 0.85, 0.88),
    (-0.06, 0.35, 0.75),
    (-0.03, 1.00, 0.42),
)
_FADE_PER_ROUND = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One entry of a segmentation file.

    Attributes:
        id: stable for life, unique in its file.
        name: what a person reads.
        label_value: its value in the label map, 1 or more.
        color: red, green, blue, each 0 to 1.
        tags: further properties by name.

    Raises:
        ValueError: the id or the name is empty, or a number is out of its range.
    """

    id: str
    name: str
    label_value: int
    color: Rgb
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.id or not self.name:
            raise ValueError("a segment has an id and a name")
        if self.label_value < 1:
            raise ValueError(f"label_value must be at least 1, got {self.label_value}")
        if len(self.color) != 3 or not all(0.0 <= c <= 1.0 for c in self.color):
            raise ValueError(f"color holds three numbers from 0 to 1, got {self.color}")
        object.__setattr__(self, "tags", MappingProxyType(dict(self.tags)))


def segment_name(bone: Bone, index: int, *, is_only_piece: bool = False) -> str:
    """What a person reads, e.g. "Left hip bone – fragment 1 (main)".

    Args:
        bone: the bone.
        index: 1 = largest when the fragments were segmented.
        is_only_piece: the bone is in one piece; the name then claims no fragment.
    """
    _refuse_index_below_one(index)
    if is_only_piece:
        return f"{bone.name} – one piece"
    return f"{bone.name} – fragment {index}{' (main)' if index == 1 else ''}"


def fragment_color(bone: Bone, index: int) -> Rgb:
    """Colour of a fragment: the family of its bone, distinct from the bone's other fragments.

    Returns:
        Red, green and blue, each 0 to 1.
    """
    _refuse_index_below_one(index)
    fade_round, shade = divmod(index - 1, len(_SHADES))
    shift, saturation, value = _SHADES[shade]
    return colorsys.hsv_to_rgb(
        (bone.hue + shift) % 1.0, saturation, value * _FADE_PER_ROUND**fade_round
    )


def terminology_tag(bone: Bone, *, is_only_piece: bool = False) -> str:
    """The coded meaning of a segment in the form of 3D Slicer's `TerminologyEntry` tag.

    A fragment is a fracture fragment in the region of its bone and side; a bone in one piece
    is just that anatomical structure, for the code must not claim a fracture either.

    Returns:
        terminology~category~type~type modifier~region list~region~region modifier, where every
        code is scheme^value^meaning.
    """
    side = _triplet(SIDES.get(bone.side))
    if is_only_piece:
        what = (_triplet(ANATOMICAL_STRUCTURE), _triplet(bone.region), side)
        where = (_triplet(None), _triplet(None))
    else:
        what = (_triplet(ABNORMAL_STRUCTURE), _triplet(FRACTURE), _triplet(FRAGMENT))
        where = (_triplet(bone.region), side)
    return "~".join((TERMINOLOGY_CONTEXT, *what, REGION_CONTEXT, *where))


def fragment_segment(
    bone: Bone,
    index: int,
    *,
    numbering: Numbering = FRACSEG,
    is_only_piece: bool = False,
    confidence: float | None = None,
    algorithm: str = "FractureSegmentation",
) -> Segment:
    """The segment of one fragment, with everything that a `.seg.nrrd` says of it.

    Args:
        bone: the bone it belongs to.
        index: 1 = largest when the fragments were segmented.
        numbering: gives the label value.
        is_only_piece: the bone is in one piece.
        confidence: 0 to 1, or None where none was computed.
        algorithm: name of the method, for `DICOM.SegmentAlgorithmName`.

    Raises:
        ValueError: the numbering has no label for this fragment, or confidence is not in [0, 1].
    """
    tags = {
        "DICOM.SegmentAlgorithmName": algorithm,
        "DICOM.SegmentAlgorithmType": "AUTOMATIC",
        "FracSeg.Bone": bone.slug,
        "FracSeg.Index": str(index),
        "Segmentation.Status": "notstarted",
        "TerminologyEntry": terminology_tag(bone, is_only_piece=is_only_piece),
    }
    if confidence is not None:
        if not 0.0 <= confidence <= 1.0:
            raise ValueError(f"confidence must lie in [0, 1], got {confidence}")
        tags["FracSeg.Confidence"] = f"{confidence:.3f}"
    return Segment(
        id=f"{bone.slug}_{index}",
        name=segment_name(bone, index, is_only_piece=is_only_piece),
        label_value=numbering.label_of(bone, index),
        color=fragment_color(bone, index),
        tags=tags,
    )


def _triplet(code: Code | None) -> str:
    """One code as Slicer writes it; an absent one keeps its two carets."""
    return "^^" if code is None else f"{code.scheme}^{code.value}^{code.meaning}"


def _refuse_index_below_one(index: int) -> None:
    if index < 1:
        raise ValueError(f"fragments are counted from 1, got {index}")
