"""What the segments of a bare label image are called, and the files and objects of any segment."""

from __future__ import annotations

import colorsys
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from FractureSegmentationLib.anatomy.catalogue import Bone, bone_named
from FractureSegmentationLib.anatomy.naming import Segment, fragment_segment
from FractureSegmentationLib.anatomy.numbering import NUMBERINGS, Numbering
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.portable_name import is_reserved, portable_name, unused_name
from FractureSegmentationLib.results.report import Reported

_GOLDEN = 0.618033988749895  # its multiples spread evenly over the colour circle
_OWN_ID = re.compile(r"[a-z]+(_[a-z]+)*_[0-9]+")
_LONGEST_STEM_BYTES = 100


def label_segments(
    labels: Sequence[int], numbering: Numbering | None, report: Reported | None = None
) -> list[Segment]:
    """The segments that the labels of an image stand for.

    Args:
        labels: the labels that occur.
        numbering: what they mean; None calls them by their values.
        report: of the result they belong to; None for labels of another program.

    Raises:
        InputError: a label belongs to no bone.
    """
    if numbering is None:
        return [_plain_segment(label) for label in labels]
    said = report or Reported()
    meant = {label: _meaning(label, numbering, said) for label in labels}
    pieces = Counter(bone.slug for bone, _ in meant.values())
    return [
        _fragment(label, bone, index, said, is_only=pieces[bone.slug] == 1, is_ours=bool(report))
        for label, (bone, index) in meant.items()
    ]


def file_stems(segments: Sequence[Segment]) -> dict[str, str]:
    """A name for the file or object of every segment, by id.

    Fragments of ours keep their id, which is stable; others are called by their name. No stem
    holds a path, a dot at its beginning or a name that Windows reserves, and no two are the same
    where capitals do not count.
    """
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for segment in segments:
        wanted = segment.id if _is_fragment_of_ours(segment) else safe_stem(segment.name)
        stem = unused_name(wanted, taken, "_")
        taken.add(stem.casefold())
        stems[segment.id] = stem
    return stems


def safe_stem(text: str) -> str:
    """A file name without an ending from any text: letters, digits, `-`, `_` and inner dots."""
    short = re.sub(r"[._]{2,}", "_", portable_name(text, _LONGEST_STEM_BYTES))
    if not short:
        return "segment"
    return f"_{short}" if is_reserved(short) else short


def _is_fragment_of_ours(segment: Segment) -> bool:
    return "FracSeg.Bone" in segment.tags and _OWN_ID.fullmatch(segment.id) is not None


def _plain_segment(label: int) -> Segment:
    return Segment(
        id=f"Label_{label}",
        name=f"Label {label}",
        label_value=label,
        color=colorsys.hsv_to_rgb(label * _GOLDEN % 1.0, 0.65, 0.9),
    )


def _meaning(label: int, numbering: Numbering, said: Reported) -> tuple[Bone, int]:
    """Bone and index; of two bones that share the label the one reported, else one of no side."""
    bones = [
        bone_named(slug)
        for slug, first in numbering.first_labels
        if first <= label < first + numbering.capacity
    ]
    if not bones:
        raise InputError(
            f"The segmentation holds label {label}, which is no bone's in the numbering "
            f"{numbering.name}.",
            f"Check --numbering: {', '.join(NUMBERINGS)} or none.",
        )
    index = label - dict(numbering.first_labels)[bones[0].slug] + 1
    named = [bone for bone in bones if bone.slug == said.bones.get(label)]
    if len(bones) == 1 or named:
        return (named or bones)[0], index
    neutral = bones[0]
    slug = neutral.slug.removeprefix(f"{neutral.side}_")
    return replace(neutral, slug=slug, name=neutral.region.meaning, side=""), index


def _fragment(
    label: int, bone: Bone, index: int, said: Reported, *, is_only: bool, is_ours: bool
) -> Segment:
    numbering = Numbering(
        name="as labelled", first_labels=((bone.slug, label - index + 1),), capacity=index
    )
    segment = fragment_segment(
        bone,
        index,
        numbering=numbering,
        is_only_piece=is_only,
        confidence=said.confidences.get(label),
    )
    if is_ours:
        return segment
    # Who made a label image of another program is not known.
    tags = {name: value for name, value in segment.tags.items() if not name.startswith("DICOM.")}
    return replace(segment, tags=tags)
