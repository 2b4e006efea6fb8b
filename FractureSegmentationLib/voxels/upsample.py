"""Labels and class probabilities from a working grid to the CT's, with smooth borders.

A label is not interpolated: each label's presence is, and the strongest wins. Every label is
handled inside its own box, so the cost follows the bone's volume and not the number of labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import cKDTree

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import Box, FloatArray, LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import grown_box
from FractureSegmentationLib.voxels.resample import resample_probability

_Presence = tuple[int, Box, FloatArray]
_PRESENT = 0.05


def labels_to_grid(
    labels: LabelArray, source: Geometry, target: Geometry, inside: MaskArray
) -> npt.NDArray[np.uint16]:
    """Bring fragment labels to another parallel grid; every voxel inside gets one.

    Args:
        labels: (K, J, I) on `source`, 0 = none.
        source: the grid of the labels.
        target: the new grid.
        inside: (K, J, I) on `target`: what is to be labelled.

    Returns:
        (K, J, I) uint16 on `target`: 0 outside `inside`, a label everywhere inside, unless there
        is no label at all.
    """
    strongest = _strongest(_label_presences(labels), source, target)
    strongest[~inside] = 0
    return fill_from_nearest(strongest, inside, target.spacing_mm)


def classes_to_grid(
    probabilities: FloatArray, source: Geometry, target: Geometry
) -> npt.NDArray[np.uint16]:
    """Bring a class map to another parallel grid: the most probable class of every voxel.

    Args:
        probabilities: (C, K, J, I) on `source`; class 0 is the background.
        source: the grid of the probabilities.
        target: the new grid.

    Returns:
        (K, J, I) uint16 class numbers on `target`; a class wins where it is the most probable
        foreground class and the foreground as a whole is more probable than the background.
    """
    strongest = _strongest(_class_presences(probabilities), source, target)
    box = _box_of(strongest != 0)
    if box is not None:
        near = _source_box(source, target, box)
        background = resample_probability(
            np.asarray(probabilities[0][near], np.float32),
            source.cropped(near),
            target.cropped(box),
        )
        strongest[box][background >= 0.5] = 0
    return strongest


def fill_from_nearest(
    labels: npt.NDArray[np.uint16], inside: MaskArray, spacing_mm: Spacing
) -> npt.NDArray[np.uint16]:
    """Give every unlabelled voxel inside the label of the nearest labelled one, in millimetres.

    Args:
        labels: (K, J, I) labels, 0 = none.
        inside: (K, J, I) what is to be labelled.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) a new array.
    """
    filled = labels.copy()
    missing = np.argwhere(inside & (labels == 0))
    labelled = labels != 0
    if len(missing) and labelled.any():
        rim = np.argwhere(labelled & ~binary_erosion(labelled))
        scale = np.asarray(spacing_mm)
        _, nearest = cKDTree(rim * scale).query(missing * scale)
        filled[tuple(missing.T)] = labels[tuple(rim[nearest].T)]
    return filled


def _label_presences(labels: LabelArray) -> Iterator[_Presence]:
    for label, box in enumerate(find_objects(labels), start=1):
        if box is not None:
            near = grown_box(box, 1, labels.shape)
            yield label, near, (labels[near] == label).astype(np.float32)


def _class_presences(probabilities: FloatArray) -> Iterator[_Presence]:
    for number in range(1, len(probabilities)):
        box = _box_of(probabilities[number] > _PRESENT)
        if box is not None:
            near = grown_box(box, 1, probabilities.shape[1:])
            yield number, near, np.asarray(probabilities[number][near], np.float32)


def _strongest(
    presences: Iterator[_Presence], source: Geometry, target: Geometry
) -> npt.NDArray[np.uint16]:
    best = np.zeros(target.shape, np.float32)
    strongest = np.zeros(target.shape, np.uint16)
    for number, box, values in presences:
        reach = _target_box(source, target, box)
        if reach is None:
            continue
        local = resample_probability(values, source.cropped(box), target.cropped(reach))
        is_stronger = local > best[reach]
        best[reach][is_stronger] = local[is_stronger]
        strongest[reach][is_stronger] = number
    return strongest


def _target_box(source: Geometry, target: Geometry, box: Box) -> Box | None:
    """The voxels of `target` whose centres lie in `box` of `source`, half a voxel included.

    Where the box ends with the grid, it takes in what lies beyond: there the last value continues.
    """
    low = target.to_index(source.to_lps(np.array([s.start - 0.5 for s in box])))
    high = target.to_index(source.to_lps(np.array([s.stop - 0.5 for s in box])))
    k, j, i = (
        slice(
            0 if s.start == 0 else max(0, math.ceil(a)),
            count if s.stop == old_count else min(count, math.floor(b) + 1),
        )
        for s, a, b, count, old_count in zip(
            box, low, high, target.shape, source.shape, strict=True
        )
    )
    return None if any(s.stop <= s.start for s in (k, j, i)) else (k, j, i)


def _source_box(source: Geometry, target: Geometry, box: Box) -> Box:
    """The voxels of `source` that interpolation on `box` of `target` looks at."""
    low = source.to_index(target.to_lps(np.array([s.start for s in box], float)))
    high = source.to_index(target.to_lps(np.array([s.stop - 1 for s in box], float)))
    k, j, i = (
        slice(min(max(0, math.floor(a)), count - 1), max(1, min(count, math.ceil(b) + 1)))
        for a, b, count in zip(low, high, source.shape, strict=True)
    )
    return (k, j, i)


def _box_of(mask: MaskArray) -> Box | None:
    boxes = find_objects(mask.view(np.uint8))
    return boxes[0] if boxes else None
