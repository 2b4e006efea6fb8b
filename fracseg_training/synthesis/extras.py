"""What else a scanner sees: arms, hands, the table, implants. None of it is a bone to find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fracseg_training.synthesis.envelope import AIR, Envelope
from fracseg_training.synthesis.fields import Float32Array

if TYPE_CHECKING:
    from FractureSegmentationLib.types import Box, FloatArray, MaskArray, Spacing

_METAL_HU = 3000.0
_STREAK_REACH_MM = 55.0


@dataclass(frozen=True, slots=True, eq=False)
class Rod:
    """A line with a radius.

    Attributes:
        start_mm: (3,) one end, in mm from voxel (0, 0, 0) along (k, j, i).
        end_mm: (3,) the other end.
        radius_mm: the radius.
    """

    start_mm: FloatArray
    end_mm: FloatArray
    radius_mm: float

    def moved(self, offset_mm: FloatArray, radius_mm: float) -> Rod:
        """A parallel rod of another radius."""
        return Rod(self.start_mm + offset_mm, self.end_mm + offset_mm, radius_mm)


def voxels_of(rod: Rod, shape: tuple[int, ...], spacing_mm: Spacing) -> tuple[Box, MaskArray]:
    """The voxels of a grid that a rod covers.

    Args:
        rod: the rod.
        shape: grid along (k, j, i).
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        A box of the grid, empty where the rod misses it, and the mask within that box.
    """
    start_mm, end_mm, radius_mm = rod.start_mm, rod.end_mm, rod.radius_mm
    spacing = np.asarray(spacing_mm)
    low = np.floor((np.minimum(start_mm, end_mm) - radius_mm) / spacing).astype(int)
    high = np.ceil((np.maximum(start_mm, end_mm) + radius_mm) / spacing).astype(int) + 1
    k, j, i = (
        slice(min(max(int(a), 0), n), min(max(int(b), 0), n))
        for a, b, n in zip(low, high, shape, strict=True)
    )
    axis = np.asarray(end_mm, float) - start_mm
    length2 = max(float(axis @ axis), 1e-9)
    offsets = [
        np.arange(s.start, s.stop, dtype=np.float32) * np.float32(step) - np.float32(origin)
        for s, step, origin in zip((k, j, i), spacing_mm, start_mm, strict=True)
    ]
    dk, dj, di = np.meshgrid(*offsets, indexing="ij", sparse=True)
    along = np.clip((dk * axis[0] + dj * axis[1] + di * axis[2]) / length2, 0.0, 1.0)
    distance2 = sum((d - along * a) ** 2 for d, a in zip((dk, dj, di), axis, strict=True))
    return (k, j, i), np.asarray(distance2 <= radius_mm**2)


def add_arm(
    hu: Float32Array, envelope: Envelope, spacing_mm: Spacing, rng: np.random.Generator
) -> None:
    """Lay an arm beside the body or a forearm across it, in place; the body hides what it covers.

    Args:
        hu: (K, J, I) the CT in the making.
        envelope: where the body is.
        spacing_mm: voxel size along (k, j, i), in mm.
        rng: source of the draw.
    """
    is_air = envelope.layers == AIR
    ends = (
        _beside(is_air, spacing_mm, rng) if rng.random() < 0.6 else _across(is_air, spacing_mm, rng)
    )
    if ends is None:
        return
    start, end = ends
    arm = Rod(start, end, float(rng.uniform(25.0, 48.0)))
    rods = [(arm, float(rng.uniform(-60.0, 60.0)))]
    across = np.cross(end - start, rng.standard_normal(3))
    across *= arm.radius_mm * 0.35 / max(float(np.linalg.norm(across)), 1e-6)
    for side in (-1.0, 1.0):
        thick_mm = float(rng.uniform(6.0, 10.0))
        rods.append((arm.moved(side * across, thick_mm), float(rng.uniform(500.0, 1400.0))))
        rods.append((arm.moved(side * across, 0.55 * thick_mm), float(rng.uniform(-50.0, 300.0))))
    for rod, value in rods:
        box, inside = voxels_of(rod, hu.shape, spacing_mm)
        hu[box][inside & is_air[box]] = value


def _beside(
    is_air: MaskArray, spacing_mm: Spacing, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray] | None:
    """Ends of an arm that runs head to foot along one flank."""
    columns = np.flatnonzero(~is_air.all(axis=(0, 1)))
    if not len(columns):
        return None
    edge = columns[-1] + 1 if rng.random() < 0.5 else columns[0] - 1
    outwards = 1.0 if edge > is_air.shape[2] / 2 else -1.0
    k, j, _ = (n * s for n, s in zip(is_air.shape, spacing_mm, strict=True))
    i_mm = edge * spacing_mm[2] + outwards * rng.uniform(-25.0, 40.0)
    ends = [
        np.array([level, j * rng.uniform(0.3, 0.7), i_mm + rng.normal(0.0, 15.0)])
        for level in (rng.uniform(-0.3, 0.4) * k, rng.uniform(0.7, 1.3) * k)
    ]
    return ends[0], ends[1]


def _across(
    is_air: MaskArray, spacing_mm: Spacing, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray] | None:
    """Ends of a forearm that lies on the belly."""
    rows = np.flatnonzero(~is_air.all(axis=(0, 2)))
    if not len(rows):
        return None
    k, _, i = (n * s for n, s in zip(is_air.shape, spacing_mm, strict=True))
    j_mm = rows[0] * spacing_mm[1] + rng.uniform(-30.0, 25.0)
    level = rng.uniform(0.1, 0.8) * k
    ends = [
        np.array([level + rng.normal(0.0, 60.0), j_mm + rng.normal(0.0, 20.0), place * i])
        for place in (rng.uniform(-0.1, 0.3), rng.uniform(0.55, 1.1))
    ]
    return ends[0], ends[1]


def add_table(
    hu: Float32Array, envelope: Envelope, spacing_mm: Spacing, rng: np.random.Generator
) -> None:
    """Put a curved table of foam under a thin shell behind the body, in place."""
    is_air = envelope.layers == AIR
    rows = np.flatnonzero(~is_air.all(axis=(0, 2)))
    if not len(rows):
        return
    j = np.arange(hu.shape[1], dtype=np.float32)[:, None] * spacing_mm[1]
    i = np.arange(hu.shape[2], dtype=np.float32)[None, :] * spacing_mm[2]
    middle = i.max() / 2.0 + rng.normal(0.0, 15.0)
    bend = rng.uniform(0.0, 1.0) / 900.0
    top = rows[-1] * spacing_mm[1] + rng.uniform(-12.0, 15.0) - bend * (i - middle) ** 2
    thick = rng.uniform(15.0, 60.0)
    below = j - top
    half_width = rng.uniform(190.0, 260.0)
    section = (below > 0.0) & (below < thick) & (np.abs(i - middle) < half_width)
    shell = section & ((below < 2.5) | (below > thick - 2.5))
    hu[is_air & section[None]] = rng.uniform(-980.0, -850.0)
    hu[is_air & shell[None]] = rng.uniform(-400.0, 150.0)


def add_implant(
    hu: Float32Array, bones: MaskArray, spacing_mm: Spacing, rng: np.random.Generator
) -> None:
    """Drive one to three metal rods through a bone, with streaks in their slices, in place.

    Args:
        hu: (K, J, I) the CT in the making.
        bones: (K, J, I) the bone that carries the implant.
        spacing_mm: voxel size along (k, j, i), in mm.
        rng: source of the draw.
    """
    inside = np.argwhere(bones)
    if not len(inside):
        return
    metal = np.zeros(hu.shape, bool)
    points = inside * np.asarray(spacing_mm)
    for _ in range(int(rng.integers(1, 4))):
        start = points[rng.integers(len(points))]
        end = points[rng.integers(len(points))]
        reach = end + (end - start) * rng.uniform(0.0, 0.4)
        rod = Rod(start, reach, float(rng.uniform(2.5, 9.0)))
        box, inside_rod = voxels_of(rod, hu.shape, spacing_mm)
        metal[box] |= inside_rod
    _add_streaks(hu, metal, spacing_mm, rng)
    hu[metal] = _METAL_HU * rng.uniform(0.8, 1.2)


def _add_streaks(
    hu: Float32Array, metal: MaskArray, spacing_mm: Spacing, rng: np.random.Generator
) -> None:
    """Bright and dark rays around the metal of each slice."""
    amplitude = rng.uniform(50.0, 500.0)
    rays = rng.standard_normal(int(rng.integers(12, 40)))
    j = np.arange(hu.shape[1], dtype=np.float32)[:, None]
    i = np.arange(hu.shape[2], dtype=np.float32)[None, :]
    for k in np.flatnonzero(metal.any(axis=(1, 2))):
        rows, columns = np.nonzero(metal[k])
        dj = (j - rows.mean()) * spacing_mm[1]
        di = (i - columns.mean()) * spacing_mm[2]
        turns = (np.arctan2(dj, di) / (2.0 * np.pi) + 0.5) * len(rays)
        wobble = rays + 0.4 * rng.standard_normal(len(rays))
        ray = np.interp(turns, np.arange(len(rays)), wobble, period=len(rays))
        fade = np.exp(-np.hypot(dj, di) / _STREAK_REACH_MM)
        hu[k] += (amplitude * ray * fade * (hu[k] > -600.0)).astype(np.float32)
