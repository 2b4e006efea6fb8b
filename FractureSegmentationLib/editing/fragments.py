"""The fragments of a CT while a person corrects them: labels, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.anatomy.catalogue import Bone
from FractureSegmentationLib.anatomy.numbering import FRACSEG, Numbering
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import Box, LabelArray
from FractureSegmentationLib.volume import LabelVolume


class ReviewStatus(Enum):
    """Whether a person has looked at a fragment and agreed."""

    UNREVIEWED = "unreviewed"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentRecord:
    """One fragment.

    Attributes:
        label: its value in the label map; never changes except by renumbering.
        bone: the bone it belongs to.
        index: its number within the bone.
        voxels: how many voxels it has.
        box: the smallest box of the grid that holds it.
        confidence: 0 to 1 as the method gave it; None once it was edited, or where none was given.
        review: whether a person has accepted it as it is.
    """

    label: int
    bone: Bone
    index: int
    voxels: int
    box: Box
    confidence: float | None = None
    review: ReviewStatus = ReviewStatus.UNREVIEWED

    @property
    def name(self) -> str:
        """What it is called within a sentence, e.g. "fragment 2 of the left hip bone"."""
        return f"fragment {self.index} of the {self.bone.name.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fragments:
    """All fragments of a CT. A change makes a new value, see `Edit`.

    Attributes:
        labels: uint16 label values of `numbering`, 0 = background.
        numbering: what the labels mean.
        records: one per fragment, ascending by label.
        retired: labels whose fragments are gone. They are given out again only when no fresh one
            is left, so that a plan or a file made before cannot mean another fragment.
    """

    labels: LabelVolume
    numbering: Numbering
    records: tuple[FragmentRecord, ...]
    retired: frozenset[int] = frozenset()

    @classmethod
    def of(
        cls,
        labels: LabelVolume,
        numbering: Numbering = FRACSEG,
        confidences: Mapping[int, float] | None = None,
    ) -> Fragments:
        """The fragments of a label map, none of them reviewed.

        Args:
            labels: label values of `numbering`.
            numbering: what they mean.
            confidences: confidence by label, where it is known.

        Raises:
            ValueError: a label belongs to no bone, or is no uint16.
        """
        if labels.voxels.size and not 0 <= labels.voxels.min() <= labels.voxels.max() < 2**16:
            raise ValueError("fragment labels lie between 0 and 65535")
        voxels = labels.voxels.astype(np.uint16, copy=False)
        known = confidences or {}
        boxes = enumerate(find_objects(voxels), start=1)
        records = tuple(
            replace(record_of(voxels[box], box, label, numbering), confidence=known.get(label))
            for label, box in boxes
            if box is not None
        )
        return cls(labels=labels.with_voxels(voxels), numbering=numbering, records=records)

    def record(self, label: int) -> FragmentRecord:
        """The fragment that has `label`.

        Raises:
            ValueError: there is none.
        """
        for record in self.records:
            if record.label == label:
                return record
        raise ValueError(f"there is no fragment with the label {label}")

    def volume_mm3(self, label: int) -> float:
        """Volume of a fragment, in mm³."""
        return self.record(label).voxels * self.labels.geometry.voxel_volume_mm3

    def of_bone(self, bone: Bone) -> tuple[FragmentRecord, ...]:
        """The fragments of one bone, ascending by label."""
        return tuple(record for record in self.records if record.bone == bone)

    def free_labels(self, bone: Bone, count: int) -> tuple[int, ...]:
        """Labels for new fragments of a bone: the next ones, then gaps, then retired ones.

        Raises:
            InputError: the numbering does not hold so many fragments of the bone.
        """
        indices = range(1, self.numbering.capacity + 1)
        labels = [self.numbering.label_of(bone, index) for index in indices]
        taken = {record.label for record in self.records}
        free = [label for label in labels if label not in taken]
        last = max(taken.intersection(labels), default=0)
        # Number 1 is called the main fragment: a gap at the start is filled late.
        free.sort(key=lambda label: (label in self.retired, label < last, label))
        if len(free) < count:
            raise InputError(
                f"The {bone.name.lower()} would have more than the {self.numbering.capacity} "
                f"fragments that the numbering {self.numbering.name} holds.",
                "Merge fragments of this bone first.",
            )
        return tuple(free[:count])

    def with_review(self, labels: Iterable[int], status: ReviewStatus) -> Fragments:
        """The same fragments, some of them with another review status.

        Raises:
            ValueError: a label belongs to no fragment.
        """
        wanted = {self.record(label).label for label in labels}
        return replace(
            self,
            records=tuple(
                replace(record, review=status) if record.label in wanted else record
                for record in self.records
            ),
        )

    @property
    def is_reviewed(self) -> bool:
        """Whether a person has accepted every fragment there is."""
        return all(record.review is ReviewStatus.ACCEPTED for record in self.records)


def record_of(part: LabelArray, box: Box, label: int, numbering: Numbering) -> FragmentRecord:
    """Measure one fragment.

    Args:
        part: (K, J, I) labels of the sub-grid `box`, which holds the whole fragment.
        box: where `part` lies.
        label: the fragment; it occurs in `part`.
        numbering: what the label means.

    Raises:
        ValueError: the label belongs to no bone, or does not occur.
    """
    bone, index = numbering.fragment_of(label)
    is_own = part == label
    inner = find_objects(is_own.view(np.uint8))
    if not inner:
        raise ValueError(f"label {label} does not occur in the box")
    k, j, i = (
        slice(at.start + side.start, at.start + side.stop)
        for at, side in zip(box, inner[0], strict=True)
    )
    voxels = int(np.count_nonzero(is_own))
    return FragmentRecord(label=label, bone=bone, index=index, voxels=voxels, box=(k, j, i))
