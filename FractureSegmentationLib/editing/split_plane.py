"""A fragment is cut by a plane or along a line that was drawn."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.editing.edit import Edit
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.pieces import split_edit
from FractureSegmentationLib.types import FloatArray, MaskArray, PointLps


def split_by_plane(
    fragments: Fragments, label: int, point_lps_mm: PointLps, normal_lps: PointLps
) -> Edit:
    """Cut a fragment in two along a plane without end.

    A voxel belongs to the side on which its centre lies; centres on the plane belong to the side
    that the normal points to.

    Args:
        fragments: all fragments.
        label: the fragment that is cut.
        point_lps_mm: a point of the plane.
        normal_lps: its normal, of any length.

    Raises:
        InputError: the plane misses the fragment, or the bone would have too many fragments.
        ValueError: the normal has no length, or a number is not finite.
    """
    normal = np.asarray(normal_lps, float)
    point = np.asarray(point_lps_mm, float)
    if not np.isfinite(point).all() or not np.isfinite(normal).all() or not normal.any():
        raise ValueError(f"a plane needs a finite point and normal, got {point}, {normal}")
    mask, centres = centres_lps_mm(fragments, label)
    height_mm = (centres - point) @ (normal / np.linalg.norm(normal))
    # Rounding must not part voxels whose centres lie on the plane.
    return split_in_two(fragments, label, mask, height_mm >= -1e-6)


def centres_lps_mm(fragments: Fragments, label: int) -> tuple[MaskArray, FloatArray]:
    """A fragment within its box, and the centres of its voxels.

    Returns:
        (K, J, I) mask of the box, and (N, 3) x, y, z in LPS, mm, in the order of the mask.
    """
    record = fragments.record(label)
    mask = fragments.labels.voxels[record.box] == label
    geometry = fragments.labels.geometry.cropped(record.box)
    return mask, geometry.to_lps(np.argwhere(mask).astype(float))


def split_in_two(fragments: Fragments, label: int, mask: MaskArray, is_second: MaskArray) -> Edit:
    """Cut a fragment by a verdict for each of its voxels.

    Args:
        fragments: all fragments.
        label: the fragment that is cut.
        mask: (K, J, I) the fragment within its box.
        is_second: (N,) which of its voxels make the second piece, in the order of the mask.
    """
    pieces = mask.astype(np.uint32)
    pieces[mask] += is_second
    return split_edit(fragments, label, pieces)
