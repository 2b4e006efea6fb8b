"""A stray piece of one fragment goes to another."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.editing.edit import Edit, make_edit
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.points import REACH_MM, nearest_voxel
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import PointLps
from FractureSegmentationLib.voxels.components import label_components


def assign_piece(
    fragments: Fragments, point_lps_mm: PointLps, to_label: int, *, reach_mm: float = REACH_MM
) -> Edit:
    """Give the connected piece at a point to another fragment.

    The piece is everything of its fragment that hangs together with the clicked voxel across
    faces, edges or corners. A fragment that is one such piece goes over whole, and its label is
    then out of use. The other fragment may belong to another bone.

    Args:
        fragments: all fragments.
        point_lps_mm: where was clicked; the nearest fragment is meant.
        to_label: the fragment that receives the piece.
        reach_mm: how far beside a fragment the point may lie.

    Raises:
        InputError: there is no fragment at the point, or the piece is the receiver's already.
        ValueError: no fragment has the label `to_label`, or the point is not finite.
    """
    receiver = fragments.record(to_label)
    voxels, geometry = fragments.labels.voxels, fragments.labels.geometry
    k, j, i = (slice(0, count) for count in geometry.shape)
    clicked = nearest_voxel(voxels != 0, geometry, point_lps_mm, reach_mm, (k, j, i))
    if clicked is None:
        raise InputError(
            f"There is no fragment within {reach_mm:g} mm of the point.",
            "Click on the piece itself.",
        )
    giver = fragments.record(int(voxels[clicked]))
    if giver.label == receiver.label:
        raise InputError(
            f"The piece belongs to {receiver.name} already.",
            "Click on a piece of another fragment.",
        )
    before = voxels[giver.box]
    pieces = label_components(before == giver.label, 26)
    own = pieces[tuple(n - side.start for n, side in zip(clicked, giver.box, strict=True))]
    after = np.where(pieces == own, np.uint16(receiver.label), before)
    return make_edit(
        fragments, giver.box, after, f"assign a piece of {giver.name} to {receiver.name}"
    )
