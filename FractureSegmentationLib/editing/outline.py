"""On which side of a drawn line, or within a drawn outline, points of a view lie."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.types import FloatArray, MaskArray

_END_SHARE = 0.15
_DIRECTIONS = 64


def is_within_outline(places: FloatArray, outline: FloatArray) -> MaskArray:
    """Whether points lie within a closed line; where it crosses itself, even-odd decides.

    Args:
        places: (N, 2) points.
        outline: (M, 2) corners; the last is joined to the first.
    """
    return _crossings_are_odd(places, outline, np.roll(outline, -1, axis=0))


def is_left_of_line(places: FloatArray, line: FloatArray) -> MaskArray:
    """On which side of an open line points lie, the line going on straight at both ends.

    Which of the two sides is True depends on the line; all points of one side agree.

    Args:
        places: (N, 2) points.
        line: (M, 2) at least two different points in their order.
    """
    everything = np.concatenate([places, line])
    far = 4.0 * float(np.ptp(everything, axis=0).sum()) + 1.0
    ends = (_outward(line), _outward(line[::-1]))
    longer = np.concatenate([[line[0] + far * ends[0]], line, [line[-1] + far * ends[1]]])
    # Rays are counted in a direction that neither end goes: then the far ends do not matter.
    angles = np.linspace(0.0, 2.0 * np.pi, _DIRECTIONS, endpoint=False)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ray = rays[int((rays @ np.stack(ends).T).max(axis=1).argmin())]
    turn = np.array([ray, [-ray[1], ray[0]]])
    turned = longer @ turn.T
    return _crossings_are_odd(places @ turn.T, turned[:-1], turned[1:])


def _outward(line: FloatArray) -> FloatArray:
    """Unit direction in which a line leaves at its first point, from the first part of it."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    along = np.concatenate(([0.0], np.cumsum(steps)))
    inner = line[max(1, int(np.searchsorted(along, _END_SHARE * along[-1])))]
    gap = line[0] - inner
    length = float(np.linalg.norm(gap))
    if length == 0.0:
        gap, length = line[0] - line[1], float(np.linalg.norm(line[0] - line[1]))
    return np.asarray(gap / length)


def _crossings_are_odd(places: FloatArray, begins: FloatArray, ends: FloatArray) -> MaskArray:
    """Whether a ray from each point towards larger first coordinates crosses an odd number."""
    order = np.argsort(places[:, 1], kind="stable")
    u, v = places[order, 0], places[order, 1]
    is_odd = np.zeros(len(places), bool)
    for (u0, v0), (u1, v1) in zip(begins.tolist(), ends.tolist(), strict=True):
        if v0 == v1:
            continue
        first, last = np.searchsorted(v, (min(v0, v1), max(v0, v1)), side="left")
        part = slice(int(first), int(last))
        is_odd[part] ^= u0 + (v[part] - v0) * (u1 - u0) / (v1 - v0) > u[part]
    back = np.empty_like(is_odd)
    back[order] = is_odd
    return back
