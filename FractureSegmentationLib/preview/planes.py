"""Which bone and which three slices show the fracture best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import LabelArray, MaskArray

Table = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """The place to look at.

    Attributes:
        mask_value: mask value of the bone that is looked at.
        indices: slice to show along k, j and i.
        is_fractured: whether the bone has more than one fragment.
    """

    mask_value: int
    indices: tuple[int, int, int]
    is_fractured: bool


def find_focus(fragments: LabelArray, bone_of_label: Table) -> Focus:
    """Look at the largest fractured bone, where its fragments touch most; else at the largest bone.

    Args:
        fragments: (K, J, I) labels, 0 = background.
        bone_of_label: mask value of the bone of every label, 0 for the background.

    Raises:
        ValueError: there is no fragment.
    """
    voxels = np.bincount(fragments.ravel(), minlength=len(bone_of_label))
    labels = np.flatnonzero(voxels[1:]) + 1
    if labels.size == 0:
        raise ValueError("there is no fragment to look at")
    bones = bone_of_label[labels]
    size = np.bincount(bones, voxels[labels])
    is_fractured = np.bincount(bones) > 1
    candidates = np.where(is_fractured, size, 0) if is_fractured.any() else size
    chosen = int(candidates.argmax())
    of_bone = labels[bones == chosen]
    shown = contact_voxels(fragments, bone_of_label, chosen) if len(of_bone) > 1 else None
    if shown is None or not shown.any():
        # Pieces that do not touch, or a single one: the middle of the smallest of them.
        shown = fragments == of_bone[voxels[of_bone].argmin()]
        k, j, i = (int(np.median(axis)) for axis in np.nonzero(shown))
    else:
        k, j, i = (int(shown.sum(axis=others).argmax()) for others in ((1, 2), (0, 2), (0, 1)))
    return Focus(mask_value=chosen, indices=(k, j, i), is_fractured=len(of_bone) > 1)


def contact_voxels(fragments: LabelArray, bone_of_label: Table, mask_value: int) -> MaskArray:
    """(K, J, I) voxels of one bone with a face on another fragment of the same bone."""
    of_bone = np.where(bone_of_label[fragments] == mask_value, fragments, 0)
    contact = np.zeros(fragments.shape, bool)
    for axis in range(3):
        before: list[slice] = [slice(None)] * 3
        after = list(before)
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        low, high = of_bone[tuple(before)], of_bone[tuple(after)]
        meets = (low != high) & (low > 0) & (high > 0)
        contact[tuple(before)] |= meets
        contact[tuple(after)] |= meets
    return contact
