"""Which seed is nearest, without asking every voxel: most of a bone lies clearly nearer to one.

A look at blocks of a few millimetres shows where that is so. Only where two seeds compete are
distances measured voxel by voxel. On real bones this takes a sixth to four fifths of the
time of one distance transform of the whole grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from FractureSegmentationLib.types import Box, LabelArray, MaskArray, Spacing

_BLOCK_MM = 3.0
_MANY_SEEDS = 48
"""From so many labels on, measuring every voxel is cheaper than one coarse map per label."""

_EXACT_STEP_MM = 0.125
"""On grids whose spacing is a multiple of this, squared distances are free of rounding."""

_PREFERENCE = (2.0**-34, 2.0**-25, 2.0**-16)
"""How much a seed one voxel further along (k, j, i) is put back, in mm², to decide between seeds
equally near: a step along i outweighs 512 along j, one along j 512 along k, and all together weigh
less than the least difference between two squared distances on such a grid."""

_Places = npt.NDArray[np.int64]


def grow_nearest(seeds: LabelArray, bone: MaskArray, spacing_mm: Spacing) -> npt.NDArray[np.uint32]:
    """Give every bone voxel the label of the seed nearest to it in a straight line.

    Of seed voxels equally near, the one first along i is taken, then along j, then along k: what
    scipy's distance transform of the whole grid gives, and where distances are rounded, as it does.

    Args:
        seeds: (K, J, I) one label per seed, 0 elsewhere.
        bone: (K, J, I) the bone to divide.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) labels, 0 outside `bone`; all 0 where there is no seed.
    """
    grown = np.zeros(bone.shape, np.uint32)
    flat, flat_seeds = grown.reshape(-1), seeds.reshape(-1)
    here = np.flatnonzero(bone)
    flat[here] = flat_seeds[here]
    unlabelled = here[flat[here] == 0]
    places = np.flatnonzero(seeds != 0)
    if not places.size or not unlabelled.size:
        return grown
    labels = np.unique(flat_seeds[places])
    if labels.size == 1:
        flat[unlabelled] = labels[0]
        return grown
    if labels.size < _MANY_SEEDS:
        blocks = _Blocks.of(bone.shape, spacing_mm)
        which = np.searchsorted(labels, flat_seeds[places])
        winner = _clear_winners(blocks, places, which, labels.size)[blocks.of_voxels(unlabelled)]
        flat[unlabelled] = np.where(winner >= 0, labels[winner], 0)
        unlabelled = unlabelled[winner < 0]
    if unlabelled.size:
        flat[unlabelled] = _measured(seeds, unlabelled, spacing_mm)
    return grown


@dataclass(frozen=True, slots=True)
class _Blocks:
    """A coarse grid over a fine one.

    Attributes:
        edges: voxels per block along (k, j, i).
        shape: number of blocks along (k, j, i).
        fine_shape: number of voxels along (k, j, i).
        spacing_mm: size of a voxel.
    """

    edges: tuple[int, int, int]
    shape: tuple[int, int, int]
    fine_shape: tuple[int, int, int]
    spacing_mm: Spacing

    @classmethod
    def of(cls, shape: tuple[int, ...], spacing_mm: Spacing) -> _Blocks:
        k, j, i = (max(1, round(_BLOCK_MM / s)) for s in spacing_mm)
        counts = [math.ceil(n / edge) for n, edge in zip(shape, (k, j, i), strict=True)]
        return cls(
            edges=(k, j, i),
            shape=(counts[0], counts[1], counts[2]),
            fine_shape=(shape[0], shape[1], shape[2]),
            spacing_mm=spacing_mm,
        )

    @property
    def size_mm(self) -> tuple[float, ...]:
        """Edge lengths of a block."""
        return tuple(n * s for n, s in zip(self.edges, self.spacing_mm, strict=True))

    @property
    def slack_mm(self) -> float:
        """By how much two voxels can be nearer or further than the centres of their blocks."""
        return math.hypot(*((n - 1) * s for n, s in zip(self.edges, self.spacing_mm, strict=True)))

    def of_voxels(self, voxels: _Places) -> _Places:
        """Flat block number of flat voxel numbers."""
        row, i = np.divmod(voxels, self.fine_shape[2])
        k, j = np.divmod(row, self.fine_shape[1])
        coarse_row = (k // self.edges[0]) * self.shape[1] + j // self.edges[1]
        block: _Places = coarse_row * self.shape[2] + i // self.edges[2]
        return block


def _clear_winners(
    blocks: _Blocks, places: _Places, which: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.int64]:
    """Per block, the number of the seed that is nearest to all its voxels; -1 where two compete."""
    holds_seed = np.zeros((count, math.prod(blocks.shape)), bool)
    holds_seed[which, blocks.of_voxels(places)] = True
    best = np.full(holds_seed.shape[1], np.inf)
    second = best.copy()
    winner = np.zeros(holds_seed.shape[1], np.int64)
    for number, held in enumerate(holds_seed):
        empty = ~held.reshape(blocks.shape)
        distance_mm = distance_transform_edt(empty, sampling=blocks.size_mm).ravel()
        second = np.minimum(second, np.maximum(best, distance_mm))
        winner[distance_mm < best] = number
        best = np.minimum(best, distance_mm)
    # A hundredth of a voxel more, so that neither rounding nor a preference decides here.
    slack_mm = 2.0 * blocks.slack_mm + 0.01 * min(blocks.spacing_mm)
    winner[second <= best + slack_mm] = -1
    return winner


def _measured(seeds: LabelArray, voxels: _Places, spacing_mm: Spacing) -> npt.NDArray[np.uint32]:
    """Label of the seed voxel nearest to each of the flat voxels."""
    rim = np.flatnonzero(_rim(seeds))
    points, seed_points = (
        np.stack(np.unravel_index(flat, seeds.shape), axis=1) * np.asarray(spacing_mm)
        for flat in (voxels, rim)
    )
    is_exact = all((s / _EXACT_STEP_MM).is_integer() for s in spacing_mm)
    # A point of view moved by v favours a seed moved by d by 2 v·d.
    shift = 0.5 * np.asarray(_PREFERENCE) / np.asarray(spacing_mm) if is_exact else 0.0
    tree = cKDTree(seed_points, balanced_tree=False, compact_nodes=False)
    distance_mm, nearest = tree.query(points - shift)
    if is_exact:
        return np.asarray(seeds.reshape(-1)[rim[nearest]], np.uint32)
    return _measured_as_rounded(seeds, voxels, spacing_mm, float(distance_mm.max()))


def _measured_as_rounded(
    seeds: LabelArray, voxels: _Places, spacing_mm: Spacing, reach_mm: float
) -> npt.NDArray[np.uint32]:
    """The same by scipy's transform of the box that holds the voxels and all their seeds."""
    places = np.unravel_index(voxels, seeds.shape)
    box = tuple(
        slice(max(0, int(axis.min()) - margin), int(axis.max()) + margin + 1)
        for axis, margin in zip(places, (int(reach_mm / s) + 2 for s in spacing_mm), strict=True)
    )
    near = seeds[box]
    nearest = distance_transform_edt(
        near == 0, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    k, j, i = (axis - b.start for axis, b in zip(places, box, strict=True))
    return np.asarray(near[tuple(n[k, j, i] for n in nearest)], np.uint32)


def _rim(seeds: LabelArray) -> MaskArray:
    """Seed voxels with a face neighbour that is none: the nearest of a seed is always one."""
    is_seed = seeds != 0
    is_inside = is_seed.copy()
    for axis in range(3):
        lower: Box = _part(axis, slice(None, -1))
        upper: Box = _part(axis, slice(1, None))
        is_inside[lower] &= is_seed[upper]
        is_inside[upper] &= is_seed[lower]
    rim: MaskArray = is_seed & ~is_inside
    return rim


def _part(axis: int, part: slice) -> Box:
    sides = [slice(None), slice(None), slice(None)]
    sides[axis] = part
    return (sides[0], sides[1], sides[2])
