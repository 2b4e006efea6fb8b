"""Where bones break: sites and directions read off the local shape (tube, plate or block)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fracseg_training.simulate.bone_points import BonePoints
from fracseg_training.simulate.config import PatternConfig
from fracseg_training.simulate.noise import NoiseField
from fracseg_training.simulate.surfaces import (
    Float32Array,
    FractureSurface,
    Surface,
    WedgeSurface,
)

_LOCAL_MM = 16.0
_RANDOM_NORMAL = 0.12
_SPIRAL = 0.35
_TUBE = 0.30
_PLATE = 0.22


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
