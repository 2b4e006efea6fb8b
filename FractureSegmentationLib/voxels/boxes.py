"""Boxes of voxels: around what is marked, around each other, grown, and seen from a corner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import Box, LabelArray, MaskArray


def bounding_box(marked: MaskArray | LabelArray, margin: int = 0) -> Box | None:
    """The smallest box that holds all that is not 0, grown by `margin` voxels inside the array.

    Returns:
        One slice per axis, or None where there is nothing.
    """
    sides = []
    for others in ((1, 2), (0, 2), (0, 1)):
        hits = np.flatnonzero(marked.any(axis=others))
        if not hits.size:
            return None
        sides.append(slice(int(hits[0]), int(hits[-1]) + 1))
    return grown_box((sides[0], sides[1], sides[2]), margin, marked.shape)


def box_between(first: npt.NDArray[np.integer], last: npt.NDArray[np.integer]) -> Box:
    """The box from the voxel `first` up to, but without, the voxel `last`; each (3,)."""
    k, j, i = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return (k, j, i)


def union_box(boxes: Iterable[Box]) -> Box:
    """The smallest box that holds them all, of which there is at least one."""
    k, j, i = (
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*boxes, strict=True)
    )
    return (k, j, i)


def grown_box(box: Box, margin: int | Sequence[int], shape: Sequence[int]) -> Box:
    """A box with more voxels on all its sides, as far as an array reaches.

    Args:
        box: lies in the array.
        margin: how many more, for all axes or along (k, j, i).
        shape: of the array.
    """
    margins = (margin,) * 3 if isinstance(margin, int) else margin
    k, j, i = (
        slice(max(side.start - more, 0), min(side.stop + more, count))
        for side, more, count in zip(box, margins, shape, strict=True)
    )
    return (k, j, i)


def moved_box(box: Box, corner: Box) -> Box:
    """A box of the array that `corner` cuts out, as a box of the whole."""
    k, j, i = (
        slice(side.start + at.start, side.stop + at.start)
        for side, at in zip(box, corner, strict=True)
    )
    return (k, j, i)


def box_within(box: Box, corner: Box) -> Box:
    """A box of the whole, as a box of the array that `corner` cuts out."""
    k, j, i = (
        slice(side.start - at.start, side.stop - at.start)
        for side, at in zip(box, corner, strict=True)
    )
    return (k, j, i)
