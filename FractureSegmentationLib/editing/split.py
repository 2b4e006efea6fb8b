"""Splitting a fragment: by clicked points, by a plane, along a drawn line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import map_coordinates

from FractureSegmentationLib.editing.divide import DivideConfig, divide
from FractureSegmentationLib.editing.edit import Edit, make_edit
from FractureSegmentationLib.editing.evidence import CutEvidence
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.outline import is_left_of_line, is_within_outline
from FractureSegmentationLib.editing.points import Voxel, fragment_voxels
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import FloatArray, LabelArray, MaskArray, PointLps

_DEFAULT = DivideConfig()
_LEAST_WIDTH_MM = 1.0
_LEAST_WIDTH_SHARE = 0.1
"""A drawn line narrower than this, in mm or as a share of its length, spans no surface."""

_SURFACE_POINTS = 60
_SURFACE_STEP_MM = 2.0
_SMOOTHING = 1.0


def split_at_points(
    fragments: Fragments,
    label: int,
    pieces_lps_mm: Sequence[Sequence[PointLps]],
    evidence: CutEvidence,
    config: DivideConfig = _DEFAULT,
) -> Edit:
    """Split a fragment into one piece per click.

    The cut falls where contact probability is highest, or where the CT shows cracks if there is no
    map; where neither says anything, at the narrowest place. Disconnected
    parts without a click go to the nearest piece. The largest piece keeps the label.

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
    return _split_edit(fragments, label, pieces)


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
    mask, centres = _centres_lps_mm(fragments, label)
    height_mm = (centres - point) @ (normal / np.linalg.norm(normal))
    # Rounding must not part voxels whose centres lie on the plane.
    return _split_in_two(fragments, label, mask, height_mm >= -1e-6)


def split_by_curve(
    fragments: Fragments,
    label: int,
    points_lps_mm: Sequence[PointLps],
    view_direction_lps: PointLps,
    *,
    is_closed: bool = False,
) -> Edit:
    """Cut a fragment along a line drawn in a view, through its whole depth.

    The line is moved along the direction of view, in front and behind without end, as the scissors
    of 3D Slicer's Segment Editor do by default. An open line goes on straight at both ends, so
    that it need not be drawn beyond the bone. A closed one cuts out what lies within it.

    Args:
        fragments: all fragments.
        label: the fragment that is cut.
        points_lps_mm: the line's points in their order; how deep they lie in the view is not used.
        view_direction_lps: which way the viewer looked, of any length: the camera's direction, or
            the normal of a slice view.
        is_closed: whether the last point is joined to the first.

    Raises:
        InputError: the line is too short, or it misses the fragment, or the bone would have too
            many fragments.
        ValueError: the direction has no length, or a number is not finite.
    """
    points = _checked(points_lps_mm)
    direction = np.asarray(view_direction_lps, float)
    if not np.isfinite(direction).all() or not direction.any():
        raise ValueError(f"a direction of view needs a length, got {direction}")
    across = _across(direction / np.linalg.norm(direction))
    line = _without_repeats(points @ across.T)
    if len(line) < (3 if is_closed else 2):
        raise InputError(
            "The line is too short to cut along.", "Draw it across the whole fragment."
        )
    mask, centres = _centres_lps_mm(fragments, label)
    seen = centres @ across.T
    decide = is_within_outline if is_closed else is_left_of_line
    return _split_in_two(fragments, label, mask, decide(seen, line))


def split_by_surface(fragments: Fragments, label: int, points_lps_mm: Sequence[PointLps]) -> Edit:
    """Cut a fragment by the smooth surface through a line drawn around it.

    For lines drawn on the bone in 3D, where no single direction of view belongs to them: around
    the whole bone, or at least around a good part of it. The surface is a thin plate spanned by
    the line, over the plane that fits the line best; beyond the line it goes on.

    Args:
        fragments: all fragments.
        label: the fragment that is cut.
        points_lps_mm: points of the line in their order.

    Raises:
        InputError: the line is nearly straight, or the surface misses the fragment, or the bone
            would have too many fragments.
        ValueError: a number is not finite.
    """
    points = _checked(points_lps_mm)
    centre = points.mean(axis=0)
    _, sizes, axes = np.linalg.svd(points - centre, full_matrices=False)
    spread_mm = sizes / np.sqrt(len(points))
    if len(points) < 3 or spread_mm[1] < max(_LEAST_WIDTH_MM, _LEAST_WIDTH_SHARE * spread_mm[0]):
        raise InputError(
            "The line is nearly straight, and defines no surface.",
            "Draw it further around the bone, or cut along the direction of view.",
        )
    mask, centres = _centres_lps_mm(fragments, label)
    local = (centres - centre) @ axes.T
    drawn = (_evenly(points, _SURFACE_POINTS) - centre) @ axes.T
    height_mm = local[:, 2] - _plate_height_mm(drawn, local[:, :2])
    return _split_in_two(fragments, label, mask, height_mm >= 0.0)


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
    voxels = iter(
        (k - start[0], j - start[1], i - start[2])
        for k, j, i in fragment_voxels(fragments, label, flat)
    )
    seeds = [[next(voxels) for _ in points] for points in pieces_lps_mm]
    groups = [set(voxels) for voxels in seeds]
    if len(set().union(*groups)) < sum(map(len, groups)):
        raise InputError(
            "Two points of different pieces fall on the same voxel.", "Click them further apart."
        )
    return seeds


def _split_edit(fragments: Fragments, label: int, pieces: LabelArray) -> Edit:
    """Make pieces of a fragment into fragments; the largest keeps the label.

    Args:
        fragments: all fragments.
        label: the fragment that is split.
        pieces: (K, J, I) piece 1..n of each of its voxels within its box, 0 elsewhere.

    Raises:
        InputError: there is only one piece, or the bone would have too many fragments.
    """
    record = fragments.record(label)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    ranked = [int(piece) for piece in np.argsort(-sizes, kind="stable") if sizes[piece]]
    if len(ranked) < 2:
        raise InputError(
            f"The cut does not divide {record.name}.",
            "Place it so that it passes through the bone.",
        )
    table = np.zeros(len(sizes), np.uint16)
    table[ranked] = [label, *fragments.free_labels(record.bone, len(ranked) - 1)]
    before = fragments.labels.voxels[record.box]
    after = np.where(pieces > 0, table[pieces], before)
    return make_edit(fragments, record.box, after, f"split {record.name}")


def _split_in_two(fragments: Fragments, label: int, mask: MaskArray, is_second: MaskArray) -> Edit:
    """Cut a fragment by a verdict for each of its voxels.

    Args:
        fragments: all fragments.
        label: the fragment that is cut.
        mask: (K, J, I) the fragment within its box.
        is_second: (N,) which of its voxels make the second piece, in the order of the mask.
    """
    pieces = mask.astype(np.uint32)
    pieces[mask] += is_second
    return _split_edit(fragments, label, pieces)


def _centres_lps_mm(fragments: Fragments, label: int) -> tuple[MaskArray, FloatArray]:
    """A fragment within its box, and the centres of its voxels.

    Returns:
        (K, J, I) mask of the box, and (N, 3) x, y, z in LPS, mm, in the order of the mask.
    """
    record = fragments.record(label)
    mask = fragments.labels.voxels[record.box] == label
    geometry = fragments.labels.geometry.cropped(record.box)
    return mask, geometry.to_lps(np.argwhere(mask).astype(float))


def _plate_height_mm(drawn: FloatArray, places: FloatArray) -> FloatArray:
    """Height of a thin plate through `drawn` (M, 3) at `places` (N, 2)."""
    plate = RBFInterpolator(drawn[:, :2], drawn[:, 2], smoothing=_SMOOTHING)
    low = places.min(axis=0)
    counts = np.ceil((places.max(axis=0) - low) / _SURFACE_STEP_MM).astype(int) + 2
    grid = np.indices(counts).reshape(2, -1).T
    heights = plate(low + grid * _SURFACE_STEP_MM).reshape(counts)
    at: FloatArray = map_coordinates(heights, ((places - low) / _SURFACE_STEP_MM).T, order=1)
    return at


def _checked(points_lps_mm: Sequence[PointLps]) -> FloatArray:
    points = np.asarray(points_lps_mm, float).reshape(-1, 3)
    if not np.isfinite(points).all():
        raise ValueError("the points of a line need finite coordinates")
    return points


def _across(direction: FloatArray) -> FloatArray:
    """(2, 3) two unit vectors at right angles to a unit vector and to each other."""
    helper = np.eye(3)[int(np.abs(direction).argmin())]
    first = np.cross(direction, helper)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(direction, first)])


def _without_repeats(line: FloatArray) -> FloatArray:
    moved = np.linalg.norm(np.diff(line, axis=0), axis=1) > 1e-6
    return line[np.concatenate(([True], moved))] if len(line) else line


def _evenly(points: FloatArray, count: int) -> FloatArray:
    """At most `count` points, evenly spaced along the line."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate(([0.0], np.cumsum(steps)))
    wanted = np.linspace(0.0, along[-1], min(count, len(points)))
    columns = [np.interp(wanted, along, column) for column in points.T]
    return np.stack(columns, axis=1)
