"""Fracture surfaces as level sets: signed distance, in mm, of any point to the break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fracseg_training.simulate.noise import NoiseField
from FractureSegmentationLib.types import FloatArray

Float32Array = npt.NDArray[np.float32]


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


def _twisted(offset: Float32Array, axis: Float32Array, per_mm: float) -> Float32Array:
    """Offsets turned about `axis` by an angle that grows along it (Rodrigues' formula)."""
    along = offset @ axis
    angle = np.clip(per_mm * along, -np.pi, np.pi)[:, None]
    cosine, sine = np.cos(angle), np.sin(angle)
    spin = np.cross(axis, offset) * sine + axis * (along[:, None] * (1.0 - cosine))
    turned: Float32Array = (offset * cosine + spin).astype(np.float32)
    return turned
