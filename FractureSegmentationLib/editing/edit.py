"""Changes to fragments: merge, assign and renumber them, and apply or take back a change.

A change is a value, `Edit`: which box, what was there, what is there now. Splitting is in `split`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.editing.fragments import FragmentRecord, Fragments, record_of
from FractureSegmentationLib.editing.points import REACH_MM, nearest_voxel
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import Box, LabelArray, PointLps
from FractureSegmentationLib.voxels.boxes import bounding_box, box_within, union_box
from FractureSegmentationLib.voxels.components import label_components

Labels = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edit:
    """One change, ready to be applied or taken back.

    Attributes:
        description: what a menu says after "Undo", e.g. "split fragment 1 of the left hip bone".
        box: the smallest box of the grid that holds every changed voxel.
        before: (K, J, I) labels in the box before the change.
        after: (K, J, I) labels in the box after it.
        records_before: the fragments concerned, as they were.
        records_after: the same fragments afterwards; what was edited is unreviewed.
        retired_before: labels out of use before the change.
        retired_after: labels out of use after it.
        renumbered: new label by old label, where fragments only changed their number.
    """

    description: str
    box: Box
    before: Labels
    after: Labels
    records_before: tuple[FragmentRecord, ...]
    records_after: tuple[FragmentRecord, ...]
    retired_before: frozenset[int]
    retired_after: frozenset[int]
    renumbered: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for labels in (self.before, self.after):
            labels.flags.writeable = False
        object.__setattr__(self, "renumbered", MappingProxyType(dict(self.renumbered)))

    @property
    def removed(self) -> tuple[int, ...]:
        """Labels of the fragments that the change removes."""
        return _missing(self.records_before, self.records_after)

    @property
    def added(self) -> tuple[int, ...]:
        """Labels of the fragments that the change adds."""
        return _missing(self.records_after, self.records_before)

    def inverse(self) -> Edit:
        """The change that takes this one back."""
        return replace(
            self,
            before=self.after,
            after=self.before,
            records_before=self.records_after,
            records_after=self.records_before,
            retired_before=self.retired_after,
            retired_after=self.retired_before,
            renumbered={new: old for old, new in self.renumbered.items()},
        )


def merge_fragments(fragments: Fragments, labels: Sequence[int]) -> Edit:
    """Unite fragments of one bone; the largest of them keeps its label.

    They need not touch: a fragment may well consist of several pieces.

    Args:
        fragments: all fragments.
        labels: those to unite.

    Raises:
        InputError: fewer than two were named, or they belong to different bones.
        ValueError: a label belongs to no fragment.
    """
    records = [fragments.record(label) for label in dict.fromkeys(labels)]
    if len(records) < 2:
        raise InputError(
            "Merging needs at least two fragments.", "Select the fragments that belong together."
        )
    if len({record.bone for record in records}) > 1:
        raise InputError(
            "The selected fragments belong to different bones.",
            "Select fragments of one bone; a piece in the wrong bone is moved with Assign.",
        )
    records.sort(key=lambda record: (-record.voxels, record.label))
    kept, *joined = records
    box = joined[0].box
    for record in joined[1:]:
        box = union_box([box, record.box])
    before = fragments.labels.voxels[box]
    is_joined = np.isin(before, [record.label for record in joined])
    after = np.where(is_joined, np.uint16(kept.label), before)
    numbers = [str(record.index) for record in sorted(records, key=lambda record: record.index)]
    listed = f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    return make_edit(
        fragments, box, after, f"merge fragments {listed} of the {kept.bone.name.lower()}"
    )


def assign_piece(
    fragments: Fragments, point_lps_mm: PointLps, to_label: int, *, reach_mm: float = REACH_MM
) -> Edit:
    """Give the connected piece at a point to another fragment.

    The piece is everything of its fragment that hangs together with the clicked voxel across
    faces, edges or corners. A fragment that is one such piece goes over whole, and its label is
    then out of use. The other fragment may belong to another bone.

    Args:
        fragments: all fragments.
        point_lps_mm: where was clicked; the nearest fragment is meant.
        to_label: the fragment that receives the piece.
        reach_mm: how far beside a fragment the point may lie.

    Raises:
        InputError: there is no fragment at the point, or the piece is the receiver's already.
        ValueError: no fragment has the label `to_label`, or the point is not finite.
    """
    receiver = fragments.record(to_label)
    voxels, geometry = fragments.labels.voxels, fragments.labels.geometry
    k, j, i = (slice(0, count) for count in geometry.shape)
    clicked = nearest_voxel(voxels != 0, geometry, point_lps_mm, reach_mm, (k, j, i))
    if clicked is None:
        raise InputError(
            f"There is no fragment within {reach_mm:g} mm of the point.",
            "Click on the piece itself.",
        )
    giver = fragments.record(int(voxels[clicked]))
    if giver.label == receiver.label:
        raise InputError(
            f"The piece belongs to {receiver.name} already.",
            "Click on a piece of another fragment.",
        )
    before = voxels[giver.box]
    pieces = label_components(before == giver.label, 26)
    own = pieces[tuple(n - side.start for n, side in zip(clicked, giver.box, strict=True))]
    after = np.where(pieces == own, np.uint16(receiver.label), before)
    return make_edit(
        fragments, giver.box, after, f"assign a piece of {giver.name} to {receiver.name}"
    )


def renumber_by_volume(fragments: Fragments) -> Edit | None:
    """Number the fragments of every bone 1, 2, 3, ... by falling volume.

    Review status and confidence follow the fragment. `Edit.renumbered` says which new
    label names, colours and planned poses take.

    Returns:
        The change, or None if they are numbered so already.
    """
    renumbered = {}
    for bone in dict.fromkeys(record.bone for record in fragments.records):
        ranked = sorted(fragments.of_bone(bone), key=lambda record: (-record.voxels, record.label))
        for index, record in enumerate(ranked, start=1):
            label = fragments.numbering.label_of(bone, index)
            if label != record.label:
                renumbered[record.label] = label
    return renumbering_edit(fragments, renumbered) if renumbered else None


def apply_edit(fragments: Fragments, edit: Edit) -> Fragments:
    """The fragments after a change; those given stay as they are.

    Raises:
        ValueError: the change was made for other fragments than these.
    """
    if not np.array_equal(fragments.labels.voxels[edit.box], edit.before):
        raise ValueError("the edit does not belong to these fragments: their labels differ")
    voxels = fragments.labels.voxels.copy()
    voxels[edit.box] = edit.after
    concerned = {record.label for record in (*edit.records_before, *edit.records_after)}
    records = [r for r in fragments.records if r.label not in concerned]
    records.extend(edit.records_after)
    return replace(
        fragments,
        labels=fragments.labels.with_voxels(voxels),
        records=tuple(sorted(records, key=lambda record: record.label)),
        retired=edit.retired_after,
    )


def make_edit(fragments: Fragments, box: Box, after: LabelArray, description: str) -> Edit:
    """The change that puts `after` into a box; whatever fragment it changes is unreviewed then.

    Args:
        fragments: what is there.
        box: a part of their grid.
        after: (K, J, I) labels for it.
        description: what was done.

    Raises:
        ValueError: nothing changes, or a label belongs to no bone.
    """
    inner, concerned = _difference(fragments.labels.voxels[box], after)
    known = {record.label: record for record in fragments.records}
    records = []
    for label in concerned:
        region = union_box([known[label].box, box]) if label in known else box
        part = fragments.labels.voxels[region].copy()
        part[box_within(box, region)] = after
        if (part == label).any():
            records.append(record_of(part, region, label, fragments.numbering))
    return _edit(fragments, (box, inner), after, tuple(records), description)


def renumbering_edit(fragments: Fragments, renumbered: Mapping[int, int]) -> Edit:
    """The change that gives fragments other labels; nothing else about them changes.

    Args:
        fragments: what is there.
        renumbered: new label by old label, one-to-one; those not named keep theirs.

    Raises:
        ValueError: two fragments would share a label, nothing changes, or a label is unknown.
    """
    moved = {old: new for old, new in renumbered.items() if old != new}
    records = [fragments.record(old) for old in moved]
    kept = {record.label for record in fragments.records} - moved.keys()
    if not moved or len(set(moved.values()) | kept) < len(fragments.records):
        raise ValueError(f"labels must change one-to-one, got {dict(renumbered)}")
    box = records[0].box
    for record in records[1:]:
        box = union_box([box, record.box])
    before = fragments.labels.voxels[box]
    table = np.arange(np.iinfo(np.uint16).max + 1, dtype=np.uint16)
    table[list(moved)] = list(moved.values())
    after = table[before]
    inner, _ = _difference(before, after)
    followed = [_renumbered(record, moved[record.label], fragments) for record in records]
    followed.sort(key=lambda record: record.label)
    made = _edit(fragments, (box, inner), after, tuple(followed), "renumber fragments")
    return replace(made, renumbered=moved)


def _edit(
    fragments: Fragments,
    boxes: tuple[Box, Box],
    after: LabelArray,
    records: tuple[FragmentRecord, ...],
    description: str,
) -> Edit:
    """Trim to the changed voxels: `boxes` is the box of `after`, and theirs within it."""
    box, inner = boxes
    before = fragments.labels.voxels[box][inner]
    trimmed = after[inner]
    changed = before != trimmed
    concerned = set(np.unique(before[changed]).tolist()) | {r.label for r in records}
    was = tuple(record for record in fragments.records if record.label in concerned)
    now = {record.label for record in records}
    k, j, i = (
        slice(at.start + side.start, at.start + side.stop)
        for at, side in zip(box, inner, strict=True)
    )
    return Edit(
        description=description,
        box=(k, j, i),
        before=np.array(before, np.uint16),
        after=np.array(trimmed, np.uint16),
        records_before=was,
        records_after=records,
        retired_before=fragments.retired,
        retired_after=(fragments.retired | {r.label for r in was}) - now,
    )


def _difference(before: LabelArray, after: LabelArray) -> tuple[Box, tuple[int, ...]]:
    """The box of the changed voxels, and the labels there before or after, ascending."""
    if before.shape != after.shape:
        raise ValueError(f"labels {after.shape} do not fill the box {before.shape}")
    changed = before != after
    inner = bounding_box(changed)
    if inner is None:
        raise ValueError("the change leaves every voxel as it is")
    concerned = np.union1d(before[changed], after[changed])
    return inner, tuple(int(label) for label in concerned if label)


def _renumbered(record: FragmentRecord, label: int, fragments: Fragments) -> FragmentRecord:
    bone, index = fragments.numbering.fragment_of(label)
    if bone != record.bone:
        raise ValueError(f"label {label} belongs to the {bone.name.lower()}, not to {record.name}")
    return replace(record, label=label, index=index)


def _missing(
    records: tuple[FragmentRecord, ...], others: tuple[FragmentRecord, ...]
) -> tuple[int, ...]:
    there = {record.label for record in others}
    return tuple(record.label for record in records if record.label not in there)
