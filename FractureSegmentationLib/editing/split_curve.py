"""A fragment is cut along a line that was drawn over it, the way scissors cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import map_coordinates

from FractureSegmentationLib.editing.edit import Edit
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.outline import is_left_of_line, is_within_outline
from FractureSegmentationLib.editing.split_plane import centres_lps_mm, split_in_two
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import FloatArray, PointLps

_LEAST_WIDTH_MM = 1.0
_LEAST_WIDTH_SHARE = 0.1
"""A drawn line narrower than this, in mm or as a share of its length, spans no surface."""

_SURFACE_POINTS = 60
_SURFACE_STEP_MM = 2.0
_SMOOTHING = 1.0


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
    mask, centres = centres_lps_mm(fragments, label)
    seen = centres @ across.T
    decide = is_within_outline if is_closed else is_left_of_line
    return split_in_two(fragments, label, mask, decide(seen, line))


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
            "The line is nearly straight, and no surface is told by it.",
            "Draw it further around the bone, or cut along the direction of view.",
        )
    mask, centres = centres_lps_mm(fragments, label)
    local = (centres - centre) @ axes.T
    drawn = (_evenly(points, _SURFACE_POINTS) - centre) @ axes.T
    height_mm = local[:, 2] - _plate_height_mm(drawn, local[:, :2])
    return split_in_two(fragments, label, mask, height_mm >= 0.0)


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
