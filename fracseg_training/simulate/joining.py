"""Small pieces join the neighbour they touch most."""

from __future__ import annotations

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, distance_transform_edt

IntArray = npt.NDArray[np.int32]
_OWN_LABEL = 5
_FULL = np.ones((3, 3, 3), bool)


def join_small_pieces(
    labels: npt.NDArray[np.integer], min_voxels: int, *, drops_lone: bool = False
) -> IntArray:
    """Relabel connected pieces that are too small, or torn off the rest of their label.

    A piece joins the label it touches most (corners included). Pieces that touch nothing keep their
    label, if it has a larger piece, or take the nearest label. What is no longer connected to the
    rest of its label becomes a label of its own if it is five times as large, unless it touches no
    other bone: then the bone itself came in several parts and nothing was broken there.

    Args:
        labels: (K, J, I) pieces, 0 outside the bone.
        min_voxels: smallest piece that may stand alone.
        drops_lone: remove small pieces that touch nothing instead of keeping them.

    Returns:
        (K, J, I) labels 1..n without gaps.
    """
    result = np.asarray(labels, np.int32).copy()
    pieces, count = cc3d.connected_components(result, connectivity=26, return_N=True)
    stats = cc3d.statistics(pieces)
    sizes = np.asarray(stats["voxel_counts"], np.int64)
    owner = np.zeros(count + 1, np.int32)
    owner[pieces.ravel()] = result.ravel()
    next_label = int(result.max()) + 1
    largest: dict[int, int] = {}
    for piece in range(1, count + 1):
        known = largest.get(int(owner[piece]))
        if known is None or sizes[piece] > sizes[known]:
            largest[int(owner[piece])] = piece
    for piece in np.argsort(sizes[1:], kind="stable") + 1:
        is_main = largest[int(owner[piece])] == piece
        if is_main and sizes[piece] >= min_voxels:
            continue
        box = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in stats["bounding_boxes"][piece])
        mask = pieces[box] == piece
        around = result[box][binary_dilation(mask, _FULL) & ~mask]
        around = around[(around > 0) & (around != owner[piece])]
        if sizes[piece] < _OWN_LABEL * min_voxels and len(around):
            result[box][mask] = np.bincount(around).argmax()
        elif len(around):
            result[box][mask] = next_label
            next_label += 1
        elif drops_lone and sizes[piece] < min(min_voxels, sizes[1:].max()):
            result[box][mask] = 0
    return _compact(_absorb_lone(result, min_voxels))


def by_volume(labels: npt.NDArray[np.integer]) -> IntArray:
    """(K, J, I) the same pieces numbered 1..n from the largest to the smallest."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")
    number = np.zeros(len(sizes), np.int32)
    number[order] = np.arange(1, len(sizes) + 1, dtype=np.int32)
    number[sizes == 0] = 0
    renumbered: IntArray = number[labels]
    return renumbered


def _absorb_lone(labels: IntArray, min_voxels: int) -> IntArray:
    """Give labels that are too small altogether to the nearest other label."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    lone = np.flatnonzero((sizes > 0) & (sizes < min_voxels))
    if not len(lone) or len(lone) == np.count_nonzero(sizes):
        return labels
    is_lone = np.isin(labels, lone)
    others = np.where(is_lone, 0, labels)
    nearest = distance_transform_edt(others == 0, return_distances=False, return_indices=True)
    return np.where(is_lone, others[tuple(nearest)], labels).astype(np.int32)


def _compact(labels: IntArray) -> IntArray:
    occurs = np.bincount(labels.ravel()) > 0
    occurs[0] = False
    return np.where(occurs, np.cumsum(occurs), 0).astype(np.int32)[labels]
