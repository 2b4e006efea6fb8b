"""Fracture surfaces as level sets, and where they run in a bone.

The value of a level set is the signed distance, in mm, of any point to the break. Sites and
directions follow the local shape: tube, plate or block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fracseg_training.simulate.bone_points import BonePoints
from fracseg_training.simulate.config import PatternConfig
from fracseg_training.simulate.noise import NoiseField
from FractureSegmentationLib.types import FloatArray

Float32Array = npt.NDArray[np.float32]
_LOCAL_MM = 16.0
_RANDOM_NORMAL = 0.12
_SPIRAL = 0.35
_TUBE = 0.30
_PLATE = 0.22


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FractureSurface:
    """A rough, curved, possibly twisted sheet through one point of the bone.

    Attributes:
        site_mm: (3,) the point it passes through.
        frame: (3, 3) rows u, v, n: two directions in the sheet and its normal.
        curvature_per_mm: bending along u and v (1 / radius).
        twist_axis: (3,) unit axis about which the sheet turns along a shaft.
        twist_per_mm: radians turned per mm along that axis; 0 is a plain sheet.
        roughness: the noise added to the distance.
        roughness_mm: its standard deviation.
    """

    site_mm: Float32Array
    frame: Float32Array
    curvature_per_mm: tuple[float, float]
    twist_axis: Float32Array
    twist_per_mm: float
    roughness: NoiseField
    roughness_mm: float

    def distance_mm(self, points_mm: FloatArray) -> Float32Array:
        """(N,) signed distance of (N, 3) points, positive on the side of the normal."""
        offset = (points_mm - self.site_mm).astype(np.float32)
        if self.twist_per_mm:
            offset = _twisted(offset, self.twist_axis, self.twist_per_mm)
        u, v, n = (offset @ self.frame.T).T
        bend = self.curvature_per_mm[0] * u * u + self.curvature_per_mm[1] * v * v
        bend = 40.0 * np.tanh(bend / 80.0)  # far from the site the sheet flattens out
        rough = self.roughness.at(points_mm) * np.float32(self.roughness_mm)
        distance: Float32Array = n + bend.astype(np.float32) + rough
        return distance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WedgeSurface:
    """Two sheets that meet inside the bone; a butterfly fragment lies on their positive side."""

    first: FractureSurface
    second: FractureSurface

    @property
    def site_mm(self) -> Float32Array:
        """(3,) the point the wedge is built around."""
        return self.first.site_mm

    def distance_mm(self, points_mm: FloatArray) -> Float32Array:
        """(N,) distance of (N, 3) points to the wedge's faces, positive inside the wedge."""
        return np.minimum(self.first.distance_mm(points_mm), self.second.distance_mm(points_mm))


Surface = FractureSurface | WedgeSurface


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellSplit:
    """Voronoi cells with warped walls inside a warped ball: a comminuted zone.

    Attributes:
        centre_mm: (3,) the point of impact.
        radius_mm: size of the zone.
        seeds_mm: (S, 3) one seed per cell.
        stretch: (3, 3) makes distances, and so the cells, anisotropic.
        warp: three noises that bend the walls.
        warp_mm: standard deviation of the bending.
    """

    centre_mm: Float32Array
    radius_mm: float
    seeds_mm: Float32Array
    stretch: Float32Array
    warp: tuple[NoiseField, NoiseField, NoiseField]
    warp_mm: float

    def cells(self, points_mm: FloatArray) -> tuple[npt.NDArray[np.int32], Float32Array]:
        """Cell and distance to the nearest wall.

        Args:
            points_mm: (N, 3) positions.

        Returns:
            (N,) cell index from 1, 0 outside the zone; (N,) distance to the nearest wall in mm.
        """
        bend = np.stack([w.at(points_mm) for w in self.warp], axis=1) * np.float32(self.warp_mm)
        offset = (points_mm - self.centre_mm + bend).astype(np.float32) @ self.stretch.T
        to_rim = np.float32(self.radius_mm) - np.linalg.norm(offset, axis=1)
        seeds = (self.seeds_mm - self.centre_mm) @ self.stretch.T
        square = ((offset[:, None, :] - seeds[None]) ** 2).sum(axis=2)
        order = np.argsort(square, axis=1)[:, :2]
        near = np.take_along_axis(square, order, axis=1)
        wall = np.abs(to_rim)
        if len(seeds) > 1:
            between = np.linalg.norm(seeds[order[:, 0]] - seeds[order[:, 1]], axis=1)
            to_wall = (near[:, 1] - near[:, 0]) / (2.0 * np.maximum(between, 1e-3))
            wall = np.minimum(wall, np.where(to_rim > 0, to_wall, np.inf))
        cell = np.where(to_rim > 0, order[:, 0] + 1, 0).astype(np.int32)
        return cell, wall.astype(np.float32)


def true_distance(
    level: Callable[[FloatArray], Float32Array], points_mm: Float32Array, values: Float32Array
) -> Float32Array:
    """Turn a level function's values near its zero into distances: roughness makes it steep.

    Args:
        level: the function, zero at the surface.
        points_mm: (N, 3) positions.
        values: (N,) its values there.

    Returns:
        (N,) unsigned distance to first order, in mm.
    """
    step = np.float32(0.5)
    square = np.zeros(len(points_mm), np.float32)
    for axis in np.eye(3, dtype=np.float32):
        square += ((level(points_mm + step * axis) - values) / step) ** 2
    steepness = np.clip(np.sqrt(square), 0.7, 4.0)
    distance: Float32Array = np.abs(values) / steepness
    return distance


def draw_site(
    bone: BonePoints,
    cells: npt.NDArray[np.intp],
    rng: np.random.Generator,
    near_mm: Float32Array | None = None,
) -> Float32Array:
    """A point of the bone to break at; slender parts are as likely as massive ones.

    Args:
        bone: the bone.
        cells: the cells that may be chosen.
        rng: source of randomness.
        near_mm: (3,) prefer cells near this point.

    Returns:
        (3,) position in mm.
    """
    points = bone.cell_points_mm[cells]
    weights = np.ones(len(cells))
    if near_mm is not None:
        weights = np.exp(-np.linalg.norm(points - near_mm, axis=1) / 15.0) + 1e-9
    tries = rng.choice(len(cells), size=min(6, len(cells)), p=weights / weights.sum())
    if near_mm is not None:
        tries = tries[:1]
    crowd = np.array([_neighbourhood(points, points[t])[1].sum() for t in tries], float)
    slender = 1.0 / np.maximum(crowd, 1.0)
    chosen: Float32Array = points[tries[rng.choice(len(tries), p=slender / slender.sum())]]
    return chosen


def draw_surface(
    bone: BonePoints,
    cells: npt.NDArray[np.intp],
    site_mm: Float32Array,
    noise: NoiseField,
    config: PatternConfig,
    rng: np.random.Generator,
) -> FractureSurface:
    """A fracture surface through `site_mm`, oriented as the local shape suggests.

    Tubes (rami, shafts) break across or in a spiral, plates (iliac wing) break through their
    thickness along any line, blocks (sacral ala, acetabulum) lose what juts out.

    Args:
        bone: the bone.
        cells: the cells of the piece to break.
        site_mm: (3,) where.
        noise: the roughness to take a part of.
        config: pattern settings.
        rng: source of randomness.

    Returns:
        The surface.
    """
    points = bone.cell_points_mm[cells]
    local, _ = _neighbourhood(points, site_mm)
    values, axes = _principal(local)
    twist = 0.0
    if rng.random() < _RANDOM_NORMAL:
        normal = rng.standard_normal(3)
    elif values[1] < _TUBE * values[0]:
        normal = _tilted(axes[0], 25.0, rng)
        if rng.random() < _SPIRAL:
            normal = _tilted(axes[0], 45.0, rng)
            twist = float(rng.choice((-1.0, 1.0)) * rng.uniform(0.01, 0.05))
    elif values[2] < _PLATE * values[1]:
        angle = rng.uniform(0.0, np.pi)
        normal = _tilted(np.cos(angle) * axes[0] + np.sin(angle) * axes[1], 20.0, rng)
    else:
        normal = _tilted(site_mm - points.mean(axis=0), 35.0, rng)
    tightest, flattest = np.log(config.curvature_radius_mm)
    bend = 0.5 / np.exp(rng.uniform(tightest, flattest, 2)) * rng.choice((-1.0, 1.0), 2)
    return FractureSurface(
        site_mm=site_mm,
        frame=_frame(normal),
        curvature_per_mm=(float(bend[0]), float(bend[1])),
        twist_axis=axes[0].astype(np.float32),
        twist_per_mm=twist,
        roughness=noise.moved(rng),
        roughness_mm=float(rng.uniform(*config.roughness_mm)),
    )


def turned(
    surface: FractureSurface, normal: FloatArray, tilt_deg: float, rng: np.random.Generator
) -> FractureSurface:
    """The same surface about another normal, which is tilted by chance.

    Args:
        surface: what to turn; it runs straight then, without a spiral.
        normal: (3,) of any length.
        tilt_deg: standard deviation of the tilt.
        rng: source of randomness.
    """
    return replace(
        surface, frame=_frame(_tilted(np.asarray(normal), tilt_deg, rng)), twist_per_mm=0.0
    )


def draw_wedge(
    bone: BonePoints,
    cells: npt.NDArray[np.intp],
    site_mm: Float32Array,
    noise: NoiseField,
    config: PatternConfig,
    rng: np.random.Generator,
) -> Surface:
    """A butterfly wedge near `site_mm`: two surfaces that meet in the bone."""
    first = draw_surface(bone, cells, site_mm, noise, config, rng)
    normal = first.frame[2]
    opening = np.deg2rad(rng.uniform(60.0, 120.0))
    turn = rng.uniform(0.0, 2.0 * np.pi)
    across = np.cos(turn) * first.frame[0] + np.sin(turn) * first.frame[1]
    second = FractureSurface(
        site_mm=(site_mm + rng.normal(0.0, 2.0, 3)).astype(np.float32),
        frame=_frame(-np.cos(opening) * normal + np.sin(opening) * across),
        curvature_per_mm=first.curvature_per_mm,
        twist_axis=first.twist_axis,
        twist_per_mm=0.0,
        roughness=noise.moved(rng),
        roughness_mm=first.roughness_mm,
    )
    return WedgeSurface(first=first, second=second)


def _twisted(offset: Float32Array, axis: Float32Array, per_mm: float) -> Float32Array:
    """Offsets turned about `axis` by an angle that grows along it (Rodrigues' formula)."""
    along = offset @ axis
    angle = np.clip(per_mm * along, -np.pi, np.pi)[:, None]
    cosine, sine = np.cos(angle), np.sin(angle)
    spin = np.cross(axis, offset) * sine + axis * (along[:, None] * (1.0 - cosine))
    turned: Float32Array = (offset * cosine + spin).astype(np.float32)
    return turned


def _neighbourhood(
    points: Float32Array, centre: Float32Array
) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
    near = ((points - centre) ** 2).sum(axis=1) < _LOCAL_MM**2
    return points[near], near


def _principal(points: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Variances, descending, and their axes as rows; isotropic where there are too few points."""
    if len(points) < 4:
        return np.ones(3, np.float32), np.eye(3, dtype=np.float32)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    return values[::-1].astype(np.float32), vectors.T[::-1].astype(np.float32)


def _tilted(
    direction: npt.NDArray[np.floating], sd_deg: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """`direction` turned by a normally distributed angle about a random axis across it."""
    unit = np.asarray(direction, float)
    unit = unit / max(float(np.linalg.norm(unit)), 1e-6)
    across = np.cross(unit, rng.standard_normal(3))
    across /= max(float(np.linalg.norm(across)), 1e-6)
    angle = np.deg2rad(np.clip(rng.normal(0.0, sd_deg), -70.0, 70.0))
    tilted: npt.NDArray[np.float64] = np.cos(angle) * unit + np.sin(angle) * across
    return tilted


def _frame(normal: npt.NDArray[np.floating]) -> Float32Array:
    """(3, 3) orthonormal rows u, v, n."""
    n = np.asarray(normal, float)
    n = n / max(float(np.linalg.norm(n)), 1e-9)
    helper = np.eye(3)[int(np.argmin(np.abs(n)))]
    u = np.cross(n, helper)
    u /= np.linalg.norm(u)
    return np.stack([u, np.cross(n, u), n]).astype(np.float32)
