"""(bone, index) ⇄ label value, in our numbering and in those of the PENGWIN challenges."""

from __future__ import annotations

from dataclasses import dataclass

from FractureSegmentationLib.anatomy.catalogue import BONES, Bone


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbering:
    """How fragments become label values: each bone owns `capacity` consecutive labels.

    Attributes:
        name: the word a user types.
        first_labels: label of fragment 1, per bone slug; a bone that is not listed has no labels.
        capacity: fragments per bone.
    """

    name: str
    first_labels: tuple[tuple[str, int], ...]
    capacity: int

    def label_of(self, bone: Bone, index: int) -> int:
        """Label value of fragment `index` (1 = first) of `bone`.

        Raises:
            ValueError: this numbering has no such label; the message names the bone.
        """
        first = dict(self.first_labels).get(bone.slug)
        if first is None:
            raise ValueError(f"the numbering {self.name} has no labels for the {bone.name.lower()}")
        if not 1 <= index <= self.capacity:
            raise ValueError(
                f"the numbering {self.name} holds {self.capacity} fragments of the "
                f"{bone.name.lower()}, not {index}"
            )
        return first + index - 1

    def fragment_of(self, label: int) -> tuple[Bone, int]:
        """The (bone, index) that `label` stands for; where two bones share it, the first listed.

        Raises:
            ValueError: the label belongs to no bone.
        """
        for bone in BONES:
            first = dict(self.first_labels).get(bone.slug)
            if first is not None and first <= label < first + self.capacity:
                return bone, label - first + 1
        raise ValueError(f"label {label} belongs to no bone in the numbering {self.name}")


FRACSEG = Numbering(
    name="fracseg",
    first_labels=tuple((bone.slug, 50 * (bone.mask_value - 1) + 1) for bone in BONES),
    capacity=50,
)
PENGWIN_2024 = Numbering(
    name="pengwin2024",
    first_labels=(("sacrum", 1), ("left_hip", 11), ("right_hip", 21)),
    capacity=10,
)
PENGWIN_2026 = Numbering(
    name="pengwin2026",
    first_labels=(
        ("sacrum", 1),
        ("left_hip", 51),
        ("right_hip", 101),
        ("left_femur", 151),
        ("right_femur", 151),
    ),
    capacity=50,
)
NUMBERINGS = {numbering.name: numbering for numbering in (FRACSEG, PENGWIN_2024, PENGWIN_2026)}
