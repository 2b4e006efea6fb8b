"""Where bones of the pelvis break, and how: named patterns at landmarks found from the shape alone.

Patterns follow the usual classes: Denis's zones of the sacrum (Clin Orthop 1988), the columns and
walls of the acetabulum of Judet and Letournel (JBJS Am 1964), AO/OTA 31 and 32 of the femur (2018).
A pattern is a list of surfaces; what they divide is decided by the bone that they run through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fracseg_training.simulate.bone_points import BonePoints

Vector = npt.NDArray[np.float64]
_ACETABULUM = (0.35, 0.42, 0.60)
"""Its place in the box of a hip bone: from below, from the front, from the midline."""
_HEAD_MM = 23.0
_HEAD_DEEP_MM = 58.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlannedCut:
    """A fracture through one place.

    Attributes:
        site_mm: (3,) where, along (k, j, i).
        normal: (3,) across the fracture; None follows the local shape of the bone.
        tilt_deg: standard deviation of the normal's direction.
        reach_mm: range of how far from the site the fracture divides the bone.
        is_wedge: two surfaces that meet, instead of one.
    """

    site_mm: Vector
    normal: Vector | None = None
    tilt_deg: float = 10.0
    reach_mm: tuple[float, float] = (40.0, 120.0)
    is_wedge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SitePattern:
    """A named way to break a bone.

    Attributes:
        name: e.g. "sacrum zone II".
        cuts: in their order.
        shatters_at_mm: (3,) where small fragments crowd, None for none.
    """

    name: str
    cuts: tuple[PlannedCut, ...]
    shatters_at_mm: Vector | None = None


Draw = Callable[["_Frame", np.random.Generator], SitePattern]


def draw_pattern(slug: str, bone: BonePoints, rng: np.random.Generator) -> SitePattern | None:
    """Draw a named pattern for a bone.

    Args:
        slug: of the bone, e.g. "left_hip".
        bone: its points, axes (k to Superior, j to Posterior, i to Left).
        rng: source of the draw.

    Returns:
        The pattern; None for a bone that none is known of, or that is too small to find landmarks.
    """
    choices = next((one for kind, one in _PATTERNS.items() if slug.endswith(kind)), None)
    if choices is None or len(bone.index) < _LEAST_VOXELS:
        return None
    weights = np.array([weight for weight, _ in choices])
    draw = choices[int(rng.choice(len(choices), p=weights / weights.sum()))][1]
    return draw(_Frame.of(slug, bone), rng)


def femoral_head_mm(slug: str, bone: BonePoints) -> Vector:
    """(3,) centre of the femoral head: of the sphere through the most medial top of the bone.

    Args:
        slug: left_femur or right_femur.
        bone: its points.
    """
    return _Frame.of(slug, bone).head_mm()


_LEAST_VOXELS = 3000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Frame:
    """A bone with its sides: `lateral` points away from the midline, 0 for the sacrum."""

    points: Vector
    depth_mm: Vector
    low: Vector
    high: Vector
    lateral: float

    @classmethod
    def of(cls, slug: str, bone: BonePoints) -> _Frame:
        points = np.asarray(bone.points_mm, float)
        side = 1.0 if slug.startswith("left") else -1.0 if slug.startswith("right") else 0.0
        return cls(
            points=points,
            depth_mm=np.asarray(bone.depth_mm, float),
            low=points.min(axis=0),
            high=points.max(axis=0),
            lateral=side,
        )

    def at(self, superior: float, posterior: float, lateral: float) -> Vector:
        """The point of the bone nearest to a place in its box, each from 0 to 1."""
        across = lateral if self.lateral >= 0.0 else 1.0 - lateral
        wanted = self.low + np.array([superior, posterior, across]) * (self.high - self.low)
        return self.nearest(wanted)

    def nearest(self, point: Vector) -> Vector:
        near: Vector = self.points[((self.points - point) ** 2).sum(axis=1).argmin()]
        return near

    def outward(self, superior: float, posterior: float, lateral: float) -> Vector:
        """A direction, its third part away from the midline."""
        side = self.lateral if self.lateral else 1.0
        return np.array([superior, posterior, lateral * side])

    def section(self, low_mm: float, high_mm: float) -> Vector:
        """The points between two heights."""
        inside: Vector = self.points[(self.points[:, 0] >= low_mm) & (self.points[:, 0] <= high_mm)]
        return inside

    def head_mm(self) -> Vector:
        top = self.section(self.high[0] - _HEAD_DEEP_MM, self.high[0])
        inward = -self.lateral * top[:, 2]
        medial = top[inward >= inward.max() - 1.6 * _HEAD_MM]
        centre = np.array([medial[:, 0].max() - _HEAD_MM, *medial.mean(axis=0)[1:]])
        for _ in range(4):
            near = np.linalg.norm(self.points - centre, axis=1) < 1.35 * _HEAD_MM
            rim = self.points[near & (self.depth_mm < 2.0)]
            faces_in = (rim - centre) @ self.outward(0.6, 0.0, -1.0) > 0.0
            if faces_in.sum() < 50:
                break
            rows = np.column_stack([2.0 * rim[faces_in], np.ones(int(faces_in.sum()))])
            solved = np.linalg.lstsq(rows, (rim[faces_in] ** 2).sum(axis=1), rcond=None)[0]
            if np.linalg.norm(solved[:3] - centre) > _HEAD_MM:
                break
            centre = solved[:3]
        return np.asarray(centre, float)

    def shaft_mm(self, below_head_mm: float) -> Vector:
        """The middle of the shaft so far below the head, or of the lowest part there is."""
        height = max(self.head_mm()[0] - below_head_mm, self.low[0] + 8.0)
        return np.asarray(self.section(height - 6.0, height + 6.0).mean(axis=0))

    def neck_axis(self) -> Vector:
        """From the head towards the lateral shaft below the trochanter."""
        axis = self.shaft_mm(60.0) - self.head_mm()
        return np.asarray(axis / np.linalg.norm(axis))


def _sacral_vertical(
    frame: _Frame, rng: np.random.Generator, low: float, high: float
) -> PlannedCut:
    middle = (frame.low[2] + frame.high[2]) / 2.0
    half = (frame.high[2] - frame.low[2]) / 2.0
    side = float(rng.choice((-1.0, 1.0)))
    offset = side * float(rng.uniform(low, high)) * half
    height = frame.high[0] - float(rng.uniform(0.15, 0.5)) * (frame.high[0] - frame.low[0])
    site = frame.nearest(np.array([height, frame.points[:, 1].mean(), middle + offset]))
    return PlannedCut(
        site_mm=np.array([site[0], site[1], middle + offset]),
        normal=np.array([0.0, 0.0, side]),
        tilt_deg=8.0,
        reach_mm=(45.0, 150.0),
    )


def _sacral_transverse(frame: _Frame, rng: np.random.Generator) -> PlannedCut:
    height = frame.high[0] - float(rng.uniform(0.3, 0.6)) * (frame.high[0] - frame.low[0])
    middle = (frame.low[2] + frame.high[2]) / 2.0
    site = frame.nearest(np.array([height, frame.points[:, 1].mean(), middle]))
    return PlannedCut(site_mm=site, normal=np.array([1.0, 0.0, 0.0]), tilt_deg=12.0)


def _sacrum_zone(name: str, low: float, high: float) -> Draw:
    def draw(frame: _Frame, rng: np.random.Generator) -> SitePattern:
        return SitePattern(name=name, cuts=(_sacral_vertical(frame, rng, low, high),))

    return draw


def _sacrum_both(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    return SitePattern(name="sacrum both sides", cuts=_both_sides(frame, rng))


def _sacrum_u(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    cuts = (*_both_sides(frame, rng), _sacral_transverse(frame, rng))
    return SitePattern(name="sacrum U or H", cuts=cuts)


def _both_sides(frame: _Frame, rng: np.random.Generator) -> tuple[PlannedCut, ...]:
    one = _sacral_vertical(frame, rng, 0.25, 0.6)
    middle = (frame.low[2] + frame.high[2]) / 2.0
    mirrored = one.site_mm * [1.0, 1.0, -1.0] + [0.0, 0.0, 2.0 * middle + float(rng.normal(0, 4))]
    normal = None if one.normal is None else -one.normal
    return (one, PlannedCut(site_mm=mirrored, normal=normal, tilt_deg=8.0, reach_mm=one.reach_mm))


def _sacrum_transverse(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    return SitePattern(name="sacrum transverse", cuts=(_sacral_transverse(frame, rng),))


def _acetabulum(frame: _Frame, rng: np.random.Generator) -> Vector:
    return frame.at(*(place + float(rng.normal(0.0, 0.02)) for place in _ACETABULUM))


def _wing(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    site = frame.at(float(rng.uniform(0.6, 0.95)), float(rng.uniform(0.1, 0.8)), 0.6)
    cuts = [PlannedCut(site_mm=site, reach_mm=(40.0, 120.0))]
    if rng.random() < 0.4:
        cuts.append(PlannedCut(site_mm=site, reach_mm=(20.0, 50.0), is_wedge=True))
    return SitePattern(name="iliac wing", cuts=tuple(cuts))


def _posterior_wall(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    centre = _acetabulum(frame, rng)
    site = frame.nearest(centre + frame.outward(4.0, 18.0, 8.0))
    return SitePattern(
        name="acetabulum posterior wall",
        cuts=(
            PlannedCut(site_mm=site, normal=frame.outward(0.1, 1.0, 0.6), reach_mm=(18.0, 32.0)),
        ),
        shatters_at_mm=site if rng.random() < 0.35 else None,
    )


def _transverse(frame: _Frame, rng: np.random.Generator) -> PlannedCut:
    up = frame.outward(1.0, float(rng.normal(0.0, 0.2)), 0.25)
    return PlannedCut(site_mm=_acetabulum(frame, rng), normal=up, tilt_deg=12.0, reach_mm=(40, 70))


def _acetabulum_transverse(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    return SitePattern(name="acetabulum transverse", cuts=(_transverse(frame, rng),))


def _t_type(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    below = frame.nearest(_acetabulum(frame, rng) + frame.outward(-16.0, 2.0, 0.0))
    stem = PlannedCut(site_mm=below, normal=frame.outward(0.0, 1.0, 0.2), reach_mm=(40.0, 80.0))
    return SitePattern(name="acetabulum T", cuts=(_transverse(frame, rng), stem))


def _column(frame: _Frame, rng: np.random.Generator, *, is_anterior: bool) -> PlannedCut:
    normal = frame.outward(0.45, -1.0, 0.2) if is_anterior else frame.outward(0.3, 1.0, 0.2)
    return PlannedCut(
        site_mm=_acetabulum(frame, rng), normal=normal, tilt_deg=12.0, reach_mm=(70.0, 140.0)
    )


def _anterior_column(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    return SitePattern(
        name="acetabulum anterior column", cuts=(_column(frame, rng, is_anterior=True),)
    )


def _posterior_column(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    return SitePattern(
        name="acetabulum posterior column", cuts=(_column(frame, rng, is_anterior=False),)
    )


def _both_columns(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    centre = _acetabulum(frame, rng)
    wing = frame.at(float(rng.uniform(0.6, 0.85)), float(rng.uniform(0.2, 0.6)), 0.6)
    return SitePattern(
        name="acetabulum both columns",
        cuts=(
            _column(frame, rng, is_anterior=True),
            _transverse(frame, rng),
            PlannedCut(site_mm=wing, reach_mm=(40.0, 110.0)),
        ),
        shatters_at_mm=centre if rng.random() < 0.6 else None,
    )


def _rami(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    """Superior ramus between acetabulum and symphysis, inferior one below the foramen."""
    centre = _acetabulum(frame, rng)
    lower = frame.points[frame.points[:, 0] < centre[0]]
    inward = lower @ frame.outward(0.0, -0.6, -1.0)
    symphysis = lower[inward.argmax()]
    along = float(rng.uniform(0.35, 0.8))
    above = symphysis + np.array([6.0, 0.0, 0.0])
    superior = frame.nearest(centre + along * (above - centre))
    tuber = lower[lower[:, 0].argmin()]
    inferior = frame.nearest(tuber + float(rng.uniform(0.35, 0.8)) * (symphysis - tuber))
    cuts = [PlannedCut(site_mm=superior, reach_mm=(16.0, 28.0))]
    if rng.random() < 0.75:
        cuts.append(PlannedCut(site_mm=inferior, reach_mm=(14.0, 24.0)))
    return SitePattern(name="pubic rami", cuts=tuple(cuts))


def _neck(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    head, axis = frame.head_mm(), frame.neck_axis()
    along = _HEAD_MM * float(rng.uniform(0.85, 1.8))
    site = frame.nearest(head + along * axis)
    cut = PlannedCut(site_mm=site, normal=axis, tilt_deg=14.0, reach_mm=(30.0, 50.0))
    return SitePattern(name="femoral neck", cuts=(cut,))


def _trochanteric(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    head, axis = frame.head_mm(), frame.neck_axis()
    down = frame.shaft_mm(100.0) - frame.shaft_mm(60.0)
    down = down / max(float(np.linalg.norm(down)), 1e-6)
    site = frame.nearest(head + 2.3 * _HEAD_MM * axis)
    cuts = [PlannedCut(site_mm=site, normal=axis + 0.4 * down, tilt_deg=14.0, reach_mm=(40, 60))]
    if rng.random() < 0.65:
        lesser = frame.nearest(frame.shaft_mm(52.0) + frame.outward(0.0, 12.0, -14.0))
        inward = frame.outward(0.0, 0.7, -1.0)
        cuts.append(PlannedCut(site_mm=lesser, normal=inward, reach_mm=(16.0, 26.0)))
    if rng.random() < 0.35:
        greater = frame.nearest(head + 2.0 * _HEAD_MM * axis + frame.outward(16.0, 6.0, 12.0))
        outward = frame.outward(0.5, 0.4, 1.0)
        cuts.append(PlannedCut(site_mm=greater, normal=outward, reach_mm=(18.0, 30.0)))
    return SitePattern(name="trochanteric", cuts=tuple(cuts))


def _shaft(frame: _Frame, rng: np.random.Generator) -> SitePattern:
    deepest = frame.head_mm()[0] - frame.low[0] - 15.0
    below = float(rng.uniform(75.0, max(deepest, 80.0)))
    site = frame.nearest(frame.shaft_mm(below))
    cuts = [PlannedCut(site_mm=site, reach_mm=(60.0, 120.0))]
    if rng.random() < 0.5:
        cuts.append(PlannedCut(site_mm=site, reach_mm=(25.0, 50.0), is_wedge=True))
    shatters = site if rng.random() < 0.3 else None
    return SitePattern(name="femoral shaft", cuts=tuple(cuts), shatters_at_mm=shatters)


_PATTERNS: dict[str, tuple[tuple[float, Draw], ...]] = {
    "sacrum": (
        (0.30, _sacrum_zone("sacrum zone I", 0.5, 0.8)),
        (0.30, _sacrum_zone("sacrum zone II", 0.25, 0.45)),
        (0.08, _sacrum_zone("sacrum zone III", 0.0, 0.15)),
        (0.12, _sacrum_both),
        (0.10, _sacrum_u),
        (0.10, _sacrum_transverse),
    ),
    "hip": (
        (0.20, _wing),
        (0.14, _posterior_wall),
        (0.10, _acetabulum_transverse),
        (0.08, _t_type),
        (0.10, _anterior_column),
        (0.08, _posterior_column),
        (0.12, _both_columns),
        (0.18, _rami),
    ),
    "femur": ((0.40, _neck), (0.40, _trochanteric), (0.20, _shaft)),
}
