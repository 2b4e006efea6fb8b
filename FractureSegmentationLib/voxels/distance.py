"""Euclidean distances in mm: to another label, to a mask, and dilation by a ball.

The library `edt` computes distances; where it is not installed, scipy does, one label at a time.
Dilation does without distances, which is twice as fast.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects

from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box, grown_box


def label_depth_mm(
    labels: LabelArray, spacing_mm: Spacing, limit_mm: float
) -> npt.NDArray[np.float32]:
    """Distance of every labelled voxel to the nearest voxel of another label or background.

    What lies outside the array does not count as another label.

    Args:
        labels: (K, J, I) labels, 0 = background.
        spacing_mm: voxel size along (k, j, i), in mm.
        limit_mm: distances beyond this are reported as this.

    Returns:
        (K, J, I) centre-to-centre distance in mm, at most `limit_mm`; 0 in the background.
    """
    depth_mm = np.zeros(labels.shape, np.float32)
    # The nearest background of a label is never further out than the margin.
    box = bounding_box(labels != 0, margin=1)
    if box is not None:
        squared = _squared_mm2(np.ascontiguousarray(labels[box]), spacing_mm)
        depth_mm[box] = np.sqrt(np.minimum(squared, np.float32(limit_mm * limit_mm)))
    return depth_mm


def distance_to_mm(
    mask: MaskArray, spacing_mm: Spacing, limit_mm: float
) -> npt.NDArray[np.float32]:
    """Distance of every voxel to the nearest True voxel, in mm.

    Args:
        mask: (K, J, I) where the distance is 0.
        spacing_mm: voxel size along (k, j, i), in mm.
        limit_mm: distances beyond this are reported as this.
    """
    distance_mm = np.full(mask.shape, limit_mm, np.float32)
    marked = bounding_box(mask)
    if marked is not None:
        box = grown_box(marked, [math.ceil(limit_mm / s) for s in spacing_mm], mask.shape)
        outside = np.logical_not(mask[box]).view(np.uint8)
        distance_mm[box] = label_depth_mm(outside, spacing_mm, limit_mm)
    return distance_mm


def within_mm(mask: MaskArray, spacing_mm: Spacing, reach_mm: float) -> MaskArray:
    """Voxels at most `reach_mm` from a True voxel, itself included: dilation by a ball.

    Eight voxels along i share a byte, so a ball costs little more than its (k, j) columns.

    Args:
        mask: (K, J, I) what is dilated.
        spacing_mm: voxel size along (k, j, i), in mm.
        reach_mm: radius of the ball, measured between voxel centres.
    """
    near = np.zeros(mask.shape, bool)
    box = bounding_box(mask, margin=int(reach_mm / min(spacing_mm)) + 1)
    if box is None:
        return near
    part = mask[box]
    columns = _ball_columns(part.shape, spacing_mm, reach_mm)
    rows = _packed_rows(part, set(columns.values()))
    grown = np.zeros_like(rows[0])
    for (k, j), width in columns.items():
        grown[_shifted(k), _shifted(j)] |= rows[width][_shifted(-k), _shifted(-j)]
    near[box] = np.unpackbits(grown, axis=2, count=part.shape[2]).view(bool)
    return near


def _ball_columns(
    shape: tuple[int, ...], spacing_mm: Spacing, reach_mm: float
) -> dict[tuple[int, int], int]:
    """How far along i a ball reaches to each side, per step along (k, j) within the array."""
    k_mm, j_mm, i_mm = spacing_mm
    sides = [min(int(reach_mm / s) + 1, n - 1) for s, n in zip(spacing_mm, shape, strict=True)]
    along_i = np.square(np.arange(sides[2] + 1) * i_mm)
    columns = {}
    for k, j in itertools.product(*(range(-side, side + 1) for side in sides[:2])):
        inside = np.sqrt(((k * k_mm) ** 2 + (j * j_mm) ** 2) + along_i) <= reach_mm
        if inside[0]:
            columns[k, j] = int(inside.sum()) - 1
    return columns


def _packed_rows(mask: MaskArray, widths: set[int]) -> dict[int, npt.NDArray[np.uint8]]:
    """The mask dilated along i by each of the widths, and by none, as bits."""
    grown = mask.copy()
    rows = {0: np.packbits(grown, axis=2)}
    for step in range(1, max(widths) + 1):
        grown[..., step:] |= mask[..., :-step]
        grown[..., :-step] |= mask[..., step:]
        if step in widths:
            rows[step] = np.packbits(grown, axis=2)
    return rows


def _shifted(offset: int) -> slice:
    """What remains of an axis after a step of `offset` along it."""
    return slice(offset, None) if offset >= 0 else slice(None, offset)


def _squared_mm2(labels: LabelArray, spacing_mm: Spacing) -> npt.NDArray[np.float32]:
    """Squared distance to another label; infinite where there is none, 0 in the background."""
    try:
        import edt
    except ImportError:  # 3D Slicer's Python may lack it
        return _squared_by_scipy(labels, spacing_mm)
    squared: npt.NDArray[np.float32] = edt.edtsq(
        labels, anisotropy=spacing_mm, black_border=False, parallel=1
    )
    return squared


def _squared_by_scipy(labels: LabelArray, spacing_mm: Spacing) -> npt.NDArray[np.float32]:
    squared = np.zeros(labels.shape, np.float32)
    for label, inner in enumerate(find_objects(labels), start=1):
        if inner is None:
            continue
        box = grown_box(inner, 1, labels.shape)
        own = labels[box] == label
        distance_mm = np.inf if own.all() else distance_transform_edt(own, sampling=spacing_mm)[own]
        squared[box][own] = np.square(distance_mm)
    return squared
