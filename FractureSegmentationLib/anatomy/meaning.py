"""Which bone a segment stands for: by what it is called, and by its coded terminology."""

from __future__ import annotations

import re

from FractureSegmentationLib.anatomy.catalogue import BONES, Bone
from FractureSegmentationLib.anatomy.naming import SIDES, Segment
from FractureSegmentationLib.errors import InputError

_SIDES = ("left", "right")
_MORE_WORDS = {"hip": ("hip", "hipbone", "pelvis", "innominate", "coxae")}
"""What a bone is called besides its slug; others go by the slug itself."""


def bone_of_name(name: str) -> Bone | None:
    """The bone that a segment is named after, e.g. "Left hip bone", "hip_left", "Femur R".

    Returns:
        None if no bone, or more than one, goes by this name.
    """
    words = set(re.findall(r"[a-z]+", name.lower()))
    words |= {"left"} if words & {"l", "lt", "sin", "sinistra"} else set()
    words |= {"right"} if words & {"r", "rt", "dex", "dextra"} else set()
    matches = [bone for bone in BONES if _is_named(bone, words)]
    return matches[0] if len(matches) == 1 else None


def bone_of_terminology(tag: str) -> Bone | None:
    """The bone that a `TerminologyEntry` tag of 3D Slicer means.

    Args:
        tag: context~category~type~type modifier~context~region~region modifier, every code
            scheme^value^meaning; the bone is the region or, of a whole bone, the type.

    Returns:
        None if it means no bone that is known, or leaves its side open.
    """
    values = [part.split("^")[1] if part.count("^") == 2 else "" for part in tag.split("~")]
    values += [""] * (7 - len(values))
    for what, side in ((values[5], values[6]), (values[2], values[3])):
        sides = [name for name, code in SIDES.items() if code.value == side]
        matches = [
            bone
            for bone in BONES
            if bone.region.value == what and (not bone.side or [bone.side] == sides)
        ]
        if len(matches) == 1:
            return matches[0]
    return None


def bone_of_segment(segment: Segment) -> Bone | None:
    """The bone that a segment of a file stands for; None if neither name nor terminology says it.

    Raises:
        InputError: they name two different bones.
    """
    named = bone_of_name(segment.name) or bone_of_name(segment.id)
    coded = bone_of_terminology(segment.tags.get("TerminologyEntry", ""))
    if named is not None and coded is not None and named != coded:
        raise InputError(
            f"The segment is named after the {named.name.lower()}, but its terminology says "
            f"{coded.name.lower()}.",
            "Correct one of the two, e.g. in 3D Slicer's Segmentations module.",
        )
    return named or coded


def _is_named(bone: Bone, words: set[str]) -> bool:
    kind = bone.slug.removeprefix("left_").removeprefix("right_")
    if not words & set(_MORE_WORDS.get(kind, (kind,))):
        return False
    sides = words & set(_SIDES)
    return sides == ({bone.side} if bone.side else set())
