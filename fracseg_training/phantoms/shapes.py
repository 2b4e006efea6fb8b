"""Smooth implicit shapes: spheres swept along curves and over curved plates, blended together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.interpolate import make_interp_spline
from scipy.spatial import cKDTree

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Knot = tuple[float, float, float, float, float, float]
"""x, y, z in LPS mm; radius mm; thickness of the cortex mm; HU of the marrow."""

_STEP_MM = 1.5
_FAR_MM = 9.0
_NEIGHBOURS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sweep:
    """Overlapping spheres along a curve or over a plate; their union is one smooth part of a bone.

    Attributes:
        centres_lps_mm: (N, 3) centres.
        radius_mm: (N,) radii; they change slowly.
        cortex_mm: (N,) thickness of the compact bone there.
        marrow_hu: (N,) HU of what it encloses there.
    """

    centres_lps_mm: Float64Array
    radius_mm: Float64Array
    cortex_mm: Float64Array
    marrow_hu: Float64Array

    def mirrored(self) -> Sweep:
        """The same part of the other side."""
        return replace(self, centres_lps_mm=self.centres_lps_mm * np.array([-1.0, 1.0, 1.0]))


def curve(knots: Sequence[Knot], *, is_mirrored: bool = False) -> Sweep:
    """Spheres along a smooth curve through the knots.

    Args:
        knots: at least two.
        is_mirrored: draw it for the other side of the body.

    Returns:
        The sweep, a sphere every 1.5 mm or less.
    """
    sweep = _sweep(_refined(np.asarray(knots, float)))
    return sweep.mirrored() if is_mirrored else sweep


def plate(rows: Sequence[Sequence[Knot]], *, is_mirrored: bool = False) -> Sweep:
    """Spheres over a curved plate through a grid of knots.

    Args:
        rows: at least two rows of as many knots each.
        is_mirrored: draw it for the other side of the body.

    Returns:
        The sweep, a sphere every 1.5 mm or so.
    """
    grid = np.asarray(rows, float)
    across = np.stack([_resampled(row, _count(grid)) for row in grid])
    length = np.linalg.norm(np.diff(across[..., :3], axis=0), axis=-1).sum(axis=0).max()
    along = _resampled(across, max(2, int(np.ceil(length / _STEP_MM)) + 1))
    sweep = _sweep(along.reshape(-1, grid.shape[-1]))
    return sweep.mirrored() if is_mirrored else sweep


def _count(grid: Float64Array) -> int:
    length = np.linalg.norm(np.diff(grid[..., :3], axis=1), axis=-1).sum(axis=1).max()
    return max(2, int(np.ceil(length / _STEP_MM)) + 1)


def _refined(knots: Float64Array) -> Float64Array:
    return _resampled(knots, _count(knots[None]))


def _resampled(knots: Float64Array, count: int) -> Float64Array:
    """`count` points of the spline through knots (P, ...), equally spaced in knot number."""
    degree = min(3, len(knots) - 1)
    spline = make_interp_spline(np.arange(len(knots)), knots, k=degree)
    points: Float64Array = np.asarray(spline(np.linspace(0, len(knots) - 1, count)), float)
    return points


def _sweep(points: Float64Array) -> Sweep:
    return Sweep(
        centres_lps_mm=points[:, :3],
        radius_mm=np.maximum(points[:, 3], 0.5),
        cortex_mm=np.maximum(points[:, 4], 0.2),
        marrow_hu=points[:, 5],
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lattice:
    """A coarse regular grid in LPS on which shapes are evaluated.

    Attributes:
        origin_lps_mm: (3,) position of its first node.
        shape: nodes along (z, y, x), the order of an axial CT's (k, j, i).
        step_mm: distance of the nodes.
    """

    origin_lps_mm: Float64Array
    shape: tuple[int, int, int]
    step_mm: float

    def nodes_lps_mm(self) -> Float64Array:
        """(z, y, x, 3) positions of the nodes."""
        z, y, x = (np.arange(n) * self.step_mm for n in self.shape)
        grid = np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1)
        return grid[..., ::-1] + self.origin_lps_mm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """A bone as functions on a lattice.

    Attributes:
        lattice: where.
        distance_mm: (z, y, x) signed distance to the surface, negative inside, clipped far outside.
        cortex_mm: (z, y, x) thickness of the compact bone.
        marrow_hu: (z, y, x) HU of what it encloses.
    """

    lattice: Lattice
    distance_mm: Float32Array
    cortex_mm: Float32Array
    marrow_hu: Float32Array

    def carved(self, distance_mm: Float32Array, blend_mm: float) -> Field:
        """The field without the solid whose signed distance is given, edges rounded."""
        carved = -smooth_union(-self.distance_mm, distance_mm, blend_mm)
        return replace(self, distance_mm=carved.astype(np.float32))


def around(sweeps: Sequence[Sweep], *, margin_mm: float, step_mm: float) -> Lattice:
    """A lattice that holds all sweeps and a margin; lattices of one step share their nodes."""
    low = np.min([(s.centres_lps_mm - s.radius_mm[:, None]).min(axis=0) for s in sweeps], axis=0)
    high = np.max([(s.centres_lps_mm + s.radius_mm[:, None]).max(axis=0) for s in sweeps], axis=0)
    first = np.floor((low - margin_mm) / step_mm).astype(int)
    size = np.ceil((high + margin_mm) / step_mm).astype(int) - first + 1
    return Lattice(
        origin_lps_mm=first * step_mm,
        shape=(int(size[2]), int(size[1]), int(size[0])),
        step_mm=step_mm,
    )


def blended(sweeps: Sequence[Sweep], lattice: Lattice, blend_mm: float) -> Field:
    """The union of sweeps, its joints rounded.

    Args:
        sweeps: the parts of one bone.
        lattice: where to evaluate.
        blend_mm: size of the fillets between parts.

    Returns:
        The bone; thickness and marrow come from the parts nearby, weighted by nearness.
    """
    nodes = lattice.nodes_lps_mm()
    total = np.full(lattice.shape, _FAR_MM, np.float32)
    weight = np.full(lattice.shape, 1e-6, np.float32)
    cortex = weight * 1.0
    marrow = weight * 200.0
    for sweep in sweeps:
        distance, nearest = _distance(sweep, nodes)
        total = smooth_union(total, distance, blend_mm)
        near = np.exp(-np.clip(distance, -8.0, _FAR_MM) / 2.5).astype(np.float32)
        weight += near
        cortex += near * sweep.cortex_mm[nearest].astype(np.float32)
        marrow += near * sweep.marrow_hu[nearest].astype(np.float32)
    return Field(
        lattice=lattice, distance_mm=total, cortex_mm=cortex / weight, marrow_hu=marrow / weight
    )


def smooth_union(a: Float32Array, b: Float32Array, blend_mm: float) -> Float32Array:
    """Signed distance to the union of two solids, the joint rounded over `blend_mm`."""
    overlap = np.clip(0.5 + 0.5 * (b - a) / blend_mm, 0.0, 1.0)
    joined: Float32Array = (
        b * (1.0 - overlap) + a * overlap - blend_mm * overlap * (1.0 - overlap)
    ).astype(np.float32)
    return joined


def ball(nodes: Float64Array, centre: Sequence[float], radius_mm: float) -> Float32Array:
    """(z, y, x) signed distance of lattice nodes to a ball."""
    distance: Float32Array = (
        np.linalg.norm(nodes - np.asarray(centre), axis=-1) - radius_mm
    ).astype(np.float32)
    return distance


def half_space(
    nodes: Float64Array, point: Sequence[float], normal: Sequence[float]
) -> Float32Array:
    """(z, y, x) signed distance of lattice nodes to the half space on the far side of a plane.

    Negative where (x - point) . normal is positive.
    """
    unit = np.asarray(normal) / np.linalg.norm(normal)
    distance: Float32Array = -((nodes - np.asarray(point)) @ unit).astype(np.float32)
    return distance


def capsule(
    nodes: Float64Array, ends: tuple[Float64Array, Float64Array], radius_mm: float
) -> Float32Array:
    """(z, y, x) signed distance of lattice nodes to a capsule between two points."""
    first, last = ends
    axis = last - first
    along = np.clip((nodes - first) @ axis / (axis @ axis), 0.0, 1.0)
    gap = nodes - first - along[..., None] * axis
    distance: Float32Array = (np.linalg.norm(gap, axis=-1) - radius_mm).astype(np.float32)
    return distance


def _distance(sweep: Sweep, nodes: Float64Array) -> tuple[Float32Array, npt.NDArray[np.int64]]:
    """Signed distance to a sweep's surface and the sphere that gives it; clipped far outside."""
    reach = float(sweep.radius_mm.max()) + _FAR_MM
    flat = nodes.reshape(-1, 3)
    low = sweep.centres_lps_mm.min(axis=0) - reach
    high = sweep.centres_lps_mm.max(axis=0) + reach
    close = np.flatnonzero(((flat >= low) & (flat <= high)).all(axis=1))
    count = min(_NEIGHBOURS, len(sweep.radius_mm))
    gaps, which = cKDTree(sweep.centres_lps_mm).query(
        flat[close], k=list(range(1, count + 1)), distance_upper_bound=reach
    )
    radius = np.append(sweep.radius_mm, 0.0)
    signed = gaps - radius[which]
    best = signed.argmin(axis=1)[:, None]
    distance = np.full(len(flat), _FAR_MM, np.float32)
    nearest = np.zeros(len(flat), np.int64)
    found = np.take_along_axis(signed, best, axis=1)[:, 0]
    hit = np.isfinite(found)
    distance[close[hit]] = np.minimum(found[hit], _FAR_MM)
    nearest[close[hit]] = np.take_along_axis(which, best, axis=1)[hit, 0]
    return distance.reshape(nodes.shape[:-1]), nearest.reshape(nodes.shape[:-1])
