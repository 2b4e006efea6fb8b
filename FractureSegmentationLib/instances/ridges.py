"""Contact that lies inside one fragment: fractures that recovery may have left unseparated."""

from __future__ import annotations

import math

import numpy as np

from FractureSegmentationLib.instances.pieces import Piece, connected_pieces
from FractureSegmentationLib.instances.result import PointKji, UnseparatedFracture
from FractureSegmentationLib.types import Box, FloatArray, LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.distance import label_depth_mm
from FractureSegmentationLib.voxels.windows import another_label_near

_LEVEL = 0.5
_CLEARANCE_MM = 5.0


def unseparated_fractures(
    labels: LabelArray, contact: FloatArray, spacing_mm: Spacing, min_area_mm2: float
) -> tuple[UnseparatedFracture, ...]:
    """Sheets of likely contact well away from every interface.

    Args:
        labels: (K, J, I) fragments of one bone, 0 outside.
        contact: (K, J, I) contact probability.
        spacing_mm: voxel size along (k, j, i), in mm.
        min_area_mm2: smaller sheets are not reported.

    Returns:
        Largest first.
    """
    suspect = (contact >= _LEVEL) & (labels > 0)
    reach = [math.ceil(_CLEARANCE_MM / s) for s in spacing_mm]
    box = bounding_box(suspect, margin=max(reach))
    if box is None:
        return ()
    labels, suspect = labels[box], suspect[box]
    if int(labels.max()) > 1:
        suspect &= ~another_label_near(labels, (reach[0], reach[1], reach[2]))
    fractures = []
    for label in np.unique(labels[suspect]).tolist():
        for piece in connected_pieces(suspect & (labels == label), spacing_mm):
            # A sheet is at least a voxel thick, so most specks need not be measured.
            if piece.volume_mm3 < min_area_mm2 * min(spacing_mm):
                continue
            area_mm2 = sheet_area_mm2(piece.mask, spacing_mm)
            if area_mm2 >= min_area_mm2:
                centre = _voxel_at_centre(piece, box)
                fractures.append(
                    UnseparatedFracture(label=label, area_mm2=area_mm2, centroid_kji=centre)
                )
    return tuple(sorted(fractures, key=lambda fracture: -fracture.area_mm2))


def sheet_area_mm2(mask: MaskArray, spacing_mm: Spacing) -> float:
    """Area of a sheet of voxels of any thickness: volume divided by mean thickness.

    In a slab of n voxels the mean depth, counted from the voxel faces, is a quarter of the
    thickness. A slab of one voxel is indistinguishable from one of two and taken for that.
    """
    voxel_mm = min(spacing_mm)
    limit_mm = 10.0 + 2.0 * max(spacing_mm)
    padded = np.pad(mask, 1).view(np.uint8)
    depth_mm = label_depth_mm(padded, spacing_mm, limit_mm)[1:-1, 1:-1, 1:-1][mask]
    thickness_mm = max(4.0 * (float(depth_mm.mean()) - 0.5 * voxel_mm), voxel_mm)
    return float(np.prod(spacing_mm)) * int(mask.sum()) / thickness_mm


def _voxel_at_centre(piece: Piece, corner: Box) -> PointKji:
    """The voxel of the piece nearest to its centroid: a curved sheet's centroid may lie outside.

    `corner` is where the grid of the piece begins.
    """
    voxels = np.argwhere(piece.mask) + [b.start for b in piece.box]
    gaps = np.square(voxels - np.asarray(piece.centroid_kji)).sum(axis=1)
    k, j, i = (
        float(v + at.start) for v, at in zip(voxels[int(gaps.argmin())], corner, strict=True)
    )
    return (k, j, i)
