"""A fragment is split by one click per piece."""

from __future__ import annotations

from collections.abc import Sequence

from FractureSegmentationLib.editing.divide import DivideConfig, divide
from FractureSegmentationLib.editing.edit import Edit
from FractureSegmentationLib.editing.evidence import CutEvidence
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.pieces import split_edit
from FractureSegmentationLib.editing.points import Voxel, fragment_voxels
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import PointLps

_DEFAULT = DivideConfig()


def split_at_points(
    fragments: Fragments,
    label: int,
    pieces_lps_mm: Sequence[Sequence[PointLps]],
    evidence: CutEvidence,
    config: DivideConfig = _DEFAULT,
) -> Edit:
    """Split a fragment into one piece per click.

    The cut falls where contact probability is highest, or where the CT shows cracks if there is no
    map; where neither says anything, at the narrowest place. Disconnected parts of the fragment in
    which nobody clicked go to the nearest piece. The largest piece keeps the label.

    Args:
        fragments: all fragments.
        label: the fragment that is split.
        pieces_lps_mm: one list per piece with the points clicked in it, usually a single one; a
            point beside the fragment means its nearest voxel within `points.REACH_MM`.
        evidence: contact map and CT.
        config: weights of the evidence.

    Raises:
        InputError: fewer than two pieces, a point too far from the fragment, two pieces with one
            and the same voxel, or the bone would have too many fragments.
        ValueError: no fragment has the label, or a point is not finite.
    """
    record = fragments.record(label)
    seeds = _seeds(fragments, label, pieces_lps_mm)
    fragments.free_labels(record.bone, len(seeds) - 1)
    mask = fragments.labels.voxels[record.box] == label
    geometry = fragments.labels.geometry.cropped(record.box)
    separation, is_map = evidence.separation(mask, geometry)
    pieces = divide(mask, seeds, separation, geometry.spacing_mm, is_map=is_map, config=config)
    return split_edit(fragments, label, pieces)


def _seeds(
    fragments: Fragments, label: int, pieces_lps_mm: Sequence[Sequence[PointLps]]
) -> list[list[Voxel]]:
    """The voxels of every piece's points, counted within the box of the fragment."""
    record = fragments.record(label)
    if len(pieces_lps_mm) < 2 or not all(pieces_lps_mm):
        raise InputError(
            f"Splitting {record.name} needs a point in each of at least two pieces.",
            "Click once on every piece.",
        )
    flat = [point for points in pieces_lps_mm for point in points]
    start = tuple(side.start for side in record.box)
    found = iter(
        (k - start[0], j - start[1], i - start[2])
        for k, j, i in fragment_voxels(fragments, label, flat)
    )
    seeds = [[next(found) for _ in points] for points in pieces_lps_mm]
    groups = [set(voxels) for voxels in seeds]
    if len(set().union(*groups)) < sum(map(len, groups)):
        raise InputError(
            "Two points of different pieces fall on the same voxel.", "Click them further apart."
        )
    return seeds
