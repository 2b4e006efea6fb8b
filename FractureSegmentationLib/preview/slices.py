"""Slices of the CT with the fragments outlined, and the choice of those that show the fracture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, map_coordinates

from FractureSegmentationLib.preview.legend import Entry
from FractureSegmentationLib.preview.raster import RgbImage
from FractureSegmentationLib.types import LabelArray, MaskArray

WINDOW_HU = (-200.0, 1300.0)
"""HU drawn black and white: a bone window."""
FILL_OPACITY = 0.28
OUTLINE_WHITE = 0.3
"""Share of white in the outlines, so that dark colours are seen on a dark CT."""
CONTACT_COLOR = (1.0, 1.0, 1.0)
"""Red, green, blue of the line where two fragments of one bone touch."""


Table = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Section:
    """One slice, as it is to be seen: row 0 on top, column 0 on the left.

    Attributes:
        hu: (R, C) Hounsfield units.
        labels: (R, C) fragment labels, 0 = background.
        pixel_mm: height and width of a pixel.
        shown: rows and columns that have to be seen, as slices with start and stop.
    """

    hu: npt.NDArray[np.generic]
    labels: npt.NDArray[np.integer]
    pixel_mm: tuple[float, float]
    shown: tuple[slice, slice]


def draw_section(
    section: Section, entries: Mapping[int, Entry], width: int, height: int
) -> RgbImage:
    """Draw a slice with `section.shown` as large as it fits, fragments tinted and outlined.

    Args:
        section: the slice.
        entries: colour and bone per label.
        width: of the picture, in pixels.
        height: of the picture, in pixels.

    Returns:
        (height, width, 3) image.
    """
    places = _sampling_places(section, width, height)
    low, high = WINDOW_HU
    hu = section.hu.astype(np.float32)
    beside = float(np.median(np.concatenate([hu[0], hu[-1], hu[:, 0], hu[:, -1]])))
    seen = map_coordinates(hu, places, order=1, cval=beside, prefilter=False)
    gray = ((seen - low) / (high - low)).clip(0.0, 1.0)
    image = np.repeat(gray[..., None], 3, axis=2).astype(np.float64)
    labels = _smooth_labels(section.labels, places)
    for label in np.unique(labels[labels > 0]).tolist():
        inside, entry = labels == label, entries[label]
        color = np.asarray(entry.color)
        image[inside] += FILL_OPACITY * (color - image[inside])
        outline = inside & binary_dilation(~inside, iterations=2)
        image[outline] = color + OUTLINE_WHITE * (1.0 - color)
        same_bone = [e.label for e in entries.values() if e.mask_value == entry.mask_value]
        neighbours = np.isin(labels, same_bone) & ~inside
        image[inside & binary_dilation(neighbours)] = CONTACT_COLOR
    return np.rint(image * 255.0).astype(np.uint8)


def _sampling_places(section: Section, width: int, height: int) -> npt.NDArray[np.float64]:
    """(2, height, width) row and column of the slice under every pixel of the picture."""
    rows, columns = section.shown
    row_mm, column_mm = section.pixel_mm
    mm_per_pixel = max(
        (rows.stop - rows.start) * row_mm / height,
        (columns.stop - columns.start) * column_mm / width,
    )
    down = (np.arange(height) - (height - 1) / 2.0) * mm_per_pixel / row_mm
    across = (np.arange(width) - (width - 1) / 2.0) * mm_per_pixel / column_mm
    down += (rows.start + rows.stop - 1) / 2.0
    across += (columns.start + columns.stop - 1) / 2.0
    return np.stack(np.meshgrid(down, across, indexing="ij"))


def _smooth_labels(
    labels: npt.NDArray[np.integer], places: npt.NDArray[np.float64]
) -> npt.NDArray[np.integer]:
    """Labels at `places`: the one with the largest share there, so that outlines have no steps."""
    best = np.full(places.shape[1:], 0.5, np.float32)
    chosen = np.zeros(best.shape, labels.dtype)
    share_of_any = map_coordinates((labels > 0).astype(np.float32), places, order=1)
    best[share_of_any >= 0.5] = 0.0
    for label in np.unique(labels[labels > 0]).tolist():
        share = map_coordinates((labels == label).astype(np.float32), places, order=1)
        wins = share > best
        best[wins] = share[wins]
        chosen[wins] = label
    return chosen


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
