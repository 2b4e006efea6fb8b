"""A bone as points: its voxels, and a coarse graph of cells on which fractures are planned fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, map_coordinates

from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing

_CELL_MM = 2.5
_HALF_NEIGHBOURS = tuple(
    (dk, dj, di)
    for dk in (-1, 0, 1)
    for dj in (-1, 0, 1)
    for di in (-1, 0, 1)
    if (dk, dj, di) > (0, 0, 0)
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BonePoints:
    """One bone's voxels and the coarse cells they fall into.

    Attributes:
        index: (N, 3) voxel indices (k, j, i).
        points_mm: (N, 3) their positions, in mm from voxel (0, 0, 0).
        depth_mm: (N,) rough distance to the bone's surface.
        cell: (N,) the cell each voxel lies in.
        cell_points_mm: (M, 3) mean position of each cell's voxels.
        cell_mm3: (M,) bone volume in each cell.
        edges: (E, 2) pairs of cells that touch, corners included.
        shape: the grid's shape.
        spacing_mm: voxel size along (k, j, i).
    """

    index: npt.NDArray[np.int32]
    points_mm: npt.NDArray[np.float32]
    depth_mm: npt.NDArray[np.float32]
    cell: npt.NDArray[np.int32]
    cell_points_mm: npt.NDArray[np.float32]
    cell_mm3: npt.NDArray[np.float32]
    edges: npt.NDArray[np.int32]
    shape: tuple[int, int, int]
    spacing_mm: Spacing

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel."""
        return float(np.prod(self.spacing_mm))


def bone_points(bone: MaskArray, spacing_mm: Spacing) -> BonePoints:
    """Turn a bone mask into points and cells.

    Args:
        bone: (K, J, I) the bone.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        The points.

    Raises:
        ValueError: the mask is empty.
    """
    index = np.argwhere(bone).astype(np.int32)
    if not len(index):
        raise ValueError("the bone mask is empty")
    points = (index * np.asarray(spacing_mm)).astype(np.float32)
    steps = np.maximum(np.round(_CELL_MM / np.asarray(spacing_mm)), 1).astype(np.int32)
    coarse = index // steps
    shape = tuple(int(n) for n in coarse.max(axis=0) + 2)
    flat = np.ravel_multi_index(tuple(coarse.T), shape)
    occupied = np.bincount(flat, minlength=int(np.prod(shape)))
    number = np.full(occupied.size, -1, np.int32)
    filled = np.flatnonzero(occupied)
    number[filled] = np.arange(len(filled), dtype=np.int32)
    cell = number[flat]
    counts = occupied[filled]
    means = np.stack([np.bincount(cell, points[:, a]) / counts for a in range(3)], axis=1)
    depth = _depth_mm(occupied.reshape(shape), index, steps, spacing_mm)
    return BonePoints(
        index=index,
        points_mm=points,
        depth_mm=depth,
        cell=cell,
        cell_points_mm=means.astype(np.float32),
        cell_mm3=(counts * np.prod(spacing_mm)).astype(np.float32),
        edges=_edges(number.reshape(shape), filled),
        shape=(int(bone.shape[0]), int(bone.shape[1]), int(bone.shape[2])),
        spacing_mm=spacing_mm,
    )


def voxels_by_label(labels: LabelArray) -> list[npt.NDArray[np.int64]]:
    """The voxels of every label, found in one pass.

    Args:
        labels: (K, J, I) labels from 1, 0 elsewhere.

    Returns:
        Per label an (n, 3) array of indices; entry 0 is empty.
    """
    index = np.argwhere(labels > 0)
    owner = labels[tuple(index.T)]
    ends = np.cumsum(np.bincount(owner, minlength=int(labels.max()) + 1))
    return np.split(index[np.argsort(owner, kind="stable")], ends[:-1])


def _edges(number: npt.NDArray[np.int32], filled: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
    """(E, 2) pairs of neighbouring filled cells."""
    padded = np.pad(number, 1, constant_values=-1)
    here = np.stack(np.unravel_index(filled, number.shape), axis=1) + 1
    own = np.arange(len(filled), dtype=np.int32)
    pairs = []
    for shift in _HALF_NEIGHBOURS:
        other = padded[tuple((here + shift).T)]
        exists = other >= 0
        pairs.append(np.stack([own[exists], other[exists]], axis=1))
    return np.concatenate(pairs)


def _depth_mm(
    occupied: npt.NDArray[np.intp],
    index: npt.NDArray[np.int32],
    steps: npt.NDArray[np.int32],
    spacing_mm: Spacing,
) -> npt.NDArray[np.float32]:
    """(N,) depth of each voxel below the surface, from the coarse cells' filling."""
    cell_mm = steps * np.asarray(spacing_mm)
    share = np.pad(occupied / float(np.prod(steps)), 1)
    depth = distance_transform_edt(share >= 0.5, sampling=cell_mm)
    # An outer cell's centre lies half a cell deep if the cell is full, less if it is not.
    half = 0.5 * float(cell_mm.mean())
    depth = np.maximum(depth - half * (2.0 - np.minimum(share, 1.0)), 0.0)
    at = (index - (steps - 1) / 2.0) / steps + 1.0
    sampled: npt.NDArray[np.float32] = map_coordinates(
        depth.astype(np.float32), at.T, order=1, mode="nearest", output=np.float32
    )
    return sampled
