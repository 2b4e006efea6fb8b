"""A change to fragments as a value: which box, what was there, what is there now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.editing.fragments import FragmentRecord, Fragments, record_of
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import Box, LabelArray
from FractureSegmentationLib.voxels.boxes import bounding_box, box_within, union_box

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


def foreign_edit(fragments: Fragments, after: LabelArray, description: str) -> Edit | None:
    """The change that somebody else made, e.g. a paint brush, from the labels before and after.

    Args:
        fragments: what was there before.
        after: (K, J, I) labels on the whole grid after it.
        description: what was done, as a menu names it.

    Returns:
        The change, or None if there is none.

    Raises:
        InputError: a new label belongs to no bone; `free_labels` tells which are to be used.
        ValueError: the grids differ.
    """
    if after.shape != fragments.labels.voxels.shape:
        raise ValueError(f"labels {after.shape} do not fill {fragments.labels.voxels.shape}")
    box = bounding_box(fragments.labels.voxels != after)
    if box is None:
        return None
    try:
        return make_edit(fragments, box, after[box], description)
    except ValueError as error:
        raise InputError(
            f"The edit holds a label that no fragment can have: {error}.",
            "Add the new segment to a bone before editing on.",
        ) from error


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
    """The box of the changed voxels, and the labels found there before or after, ascending."""
    if before.shape != after.shape:
        raise ValueError(f"labels {after.shape} do not fill the box {before.shape}")
    changed = before != after
    inner = bounding_box(changed)
    if inner is None:
        raise ValueError("the change leaves every voxel as it is")
    found = np.union1d(before[changed], after[changed])
    return inner, tuple(int(label) for label in found if label)


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
