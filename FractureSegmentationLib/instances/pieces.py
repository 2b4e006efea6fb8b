"""Disconnected pieces of a bone: those large enough stand alone, the others join the nearest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from FractureSegmentationLib.instances.result import JoinedPiece, PointKji
from FractureSegmentationLib.types import Box, MaskArray, Spacing
from FractureSegmentationLib.voxels.components import connected_components
from FractureSegmentationLib.voxels.nearest import grow_nearest

_FIRST_REACH_MM = 5.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A connected part of a bone: voxels touch across faces, edges or corners.

    Attributes:
        box: where it is.
        mask: its voxels within the box.
        volume_mm3: its volume, in mm³.
        centroid_kji: its centre on the whole grid, in voxels.
    """

    box: Box
    mask: MaskArray
    volume_mm3: float
    centroid_kji: PointKji


def connected_pieces(mask: MaskArray, spacing_mm: Spacing) -> tuple[Piece, ...]:
    """The connected pieces of `mask`, largest first."""
    components = connected_components(mask, 26)
    voxel_mm3 = float(np.prod(spacing_mm))
    centroids = components.centroids()
    pieces = []
    for label in range(1, components.count + 1):
        k, j, i = (float(c) for c in centroids[label])
        box = components.boxes[label]
        pieces.append(
            Piece(
                box=box,
                mask=components.labels[box] == label,
                volume_mm3=voxel_mm3 * int(components.sizes[label]),
                centroid_kji=(k, j, i),
            )
        )
    return tuple(sorted(pieces, key=lambda piece: -piece.volume_mm3))


def label_unreached(
    regions: npt.NDArray[np.uint32], bone: MaskArray, spacing_mm: Spacing
) -> npt.NDArray[np.uint32]:
    """Complete growth: every connected piece of the bone ends up labelled throughout.

    A piece without any label becomes one region; what growth did not reach in a piece that has
    labels, because it hangs on by an edge or a corner, takes the nearest of them.

    Returns:
        (K, J, I) labels, 0 outside `bone`.
    """
    unreached = bone & (regions == 0)
    complete = regions.copy()
    if not unreached.any():
        return complete
    next_label = int(regions.max()) + 1
    for piece in connected_pieces(bone, spacing_mm):
        part = complete[piece.box]
        open_voxels = piece.mask & (part == 0)
        if not open_voxels.any():
            continue
        own = np.where(piece.mask, part, 0)
        if own.any():
            part[open_voxels] = grow_nearest(own, open_voxels, spacing_mm)[open_voxels]
        else:
            part[piece.mask] = next_label
            next_label += 1
    return complete


def join_small_pieces(
    regions: npt.NDArray[np.uint32], spacing_mm: Spacing, min_piece_mm3: float
) -> tuple[npt.NDArray[np.uint32], tuple[JoinedPiece, ...]]:
    """Give disconnected pieces below `min_piece_mm3` the label of the nearest larger piece.

    Args:
        regions: (K, J, I) labels of one bone, 0 outside.
        spacing_mm: voxel size along (k, j, i), in mm.
        min_piece_mm3: pieces from this volume stand alone. Where no piece is that large, the
            largest one does.

    Returns:
        The labels, and what was joined; `into` is a label of the array.
    """
    pieces = connected_pieces(regions > 0, spacing_mm)
    small = [p for p in pieces[1:] if p.volume_mm3 < min_piece_mm3]
    if not small:
        return regions, ()
    complete = regions.copy()
    for piece in small:
        complete[piece.box][piece.mask] = 0
    joined = []
    for piece in small:
        into = _nearest_label(complete, piece, spacing_mm)
        joined.append(
            JoinedPiece(volume_mm3=piece.volume_mm3, centroid_kji=piece.centroid_kji, into=into)
        )
    for piece, join in zip(small, joined, strict=True):
        complete[piece.box][piece.mask] = join.into
    return complete, tuple(joined)


def _nearest_label(regions: npt.NDArray[np.uint32], piece: Piece, spacing_mm: Spacing) -> int:
    """Label of the voxel nearest to the piece, looked for in growing boxes around it."""
    own_mm = (np.argwhere(piece.mask) + [b.start for b in piece.box]) * np.asarray(spacing_mm)
    reach_mm = _FIRST_REACH_MM
    while True:
        margins = [int(reach_mm / s) for s in spacing_mm]
        start = [max(b.start - m, 0) for b, m in zip(piece.box, margins, strict=True)]
        stop = [b.stop + m for b, m in zip(piece.box, margins, strict=True)]
        near = regions[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
        voxels = np.argwhere(near)
        is_whole = near.shape == regions.shape
        if voxels.size:
            distances_mm, _ = cKDTree(own_mm).query((voxels + start) * np.asarray(spacing_mm))
            best = int(np.argmin(distances_mm))
            if distances_mm[best] <= reach_mm or is_whole:
                return int(near[tuple(voxels[best])])
        reach_mm *= 4.0
