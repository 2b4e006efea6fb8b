"""From implicit bones to HU on a CT grid: cortex, spongy bone, marrow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fracseg_training.phantoms.shapes import Field, Lattice
from fracseg_training.simulate.noise import NoiseField
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import Box

Float32Array = npt.NDArray[np.float32]
_CORTEX_BLEND_MM = 0.45


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneOnGrid:
    """One bone on a part of a CT grid.

    Attributes:
        box: that part.
        distance_mm: (k, j, i) signed distance to the bone's surface, negative inside.
        hu: (k, j, i) HU the bone has, or would have outside of it.
    """

    box: Box
    distance_mm: Float32Array
    hu: Float32Array


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneQuality:
    """How dense one person's bones are.

    Attributes:
        cortex_hu: HU of compact bone.
        cortex_scale: factor on the thickness of the cortex.
        marrow_scale: factor on the HU of spongy bone.
        texture_hu: standard deviation of the trabecular texture.
    """

    cortex_hu: float = 1350.0
    cortex_scale: float = 1.0
    marrow_scale: float = 1.0
    texture_hu: float = 45.0


def on_grid(
    field: Field, geometry: Geometry, quality: BoneQuality, texture: NoiseField
) -> BoneOnGrid:
    """Evaluate a bone on a CT grid in the canonical orientation.

    Args:
        field: the bone on its lattice.
        geometry: the CT's grid; its axes run towards Superior, Posterior and Left.
        quality: how dense it is.
        texture: trabecular noise.

    Returns:
        The bone on the part of the grid that its lattice covers.

    Raises:
        ValueError: the lattice lies outside the grid.
    """
    box, nodes = _covered(field.lattice, geometry)
    distance = _interpolated(field.distance_mm, nodes)
    cortex = _interpolated(field.cortex_mm, nodes) * np.float32(quality.cortex_scale)
    marrow = _interpolated(field.marrow_hu, nodes)
    hu = np.where(marrow > 0, marrow * np.float32(quality.marrow_scale), marrow)
    inside = distance < 2.0
    points = np.argwhere(inside) + np.array([s.start for s in box])
    rough = texture.at((points * np.asarray(geometry.spacing_mm)).astype(np.float32))
    hu[inside] += np.float32(quality.texture_hu) * rough
    depth = -distance[inside]
    blend = 1.0 / (1.0 + np.exp((depth - cortex[inside]) / np.float32(_CORTEX_BLEND_MM)))
    compact = np.float32(quality.cortex_hu) * (1.0 + 0.06 * rough)
    hu[inside] += blend * (compact - hu[inside])
    return BoneOnGrid(box=box, distance_mm=distance, hu=hu.astype(np.float32))


def coverage(distance_mm: Float32Array, voxel_mm: float) -> Float32Array:
    """Share of each voxel that a solid fills, to first order from its signed distance."""
    share: Float32Array = np.clip(0.5 - distance_mm / np.float32(voxel_mm), 0.0, 1.0)
    return share


def upsampled(values: Float32Array, lattice: Lattice, geometry: Geometry) -> Float32Array:
    """A smooth function from a lattice that covers the whole grid, on that grid, linearly."""
    first = np.asarray(lattice.origin_lps_mm)[::-1]
    start = np.asarray(geometry.origin_lps_mm)[::-1]
    result = values
    for axis in range(3):
        at = start[axis] + np.arange(geometry.shape[axis]) * geometry.spacing_mm[axis]
        at = np.clip((at - first[axis]) / lattice.step_mm, 0, lattice.shape[axis] - 1.000001)
        low = at.astype(int)
        part = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        below, above = np.take(result, low, axis=axis), np.take(result, low + 1, axis=axis)
        result = below + part * (above - below)
    return result.astype(np.float32)


def _covered(lattice: Lattice, geometry: Geometry) -> tuple[Box, list[Float32Array]]:
    """The part of the grid inside the lattice, and its fractional lattice index per axis."""
    first = np.asarray(lattice.origin_lps_mm)[::-1]
    start = np.asarray(geometry.origin_lps_mm)[::-1]
    box, nodes = [], []
    for axis in range(3):
        position = start[axis] + np.arange(geometry.shape[axis]) * geometry.spacing_mm[axis]
        at = (position - first[axis]) / lattice.step_mm
        inside = np.flatnonzero((at >= 0) & (at <= lattice.shape[axis] - 1))
        if not len(inside):
            raise ValueError("the bone lies outside the grid")
        box.append(slice(int(inside[0]), int(inside[-1]) + 1))
        nodes.append(at[inside].astype(np.float32))
    return (box[0], box[1], box[2]), nodes


def _interpolated(values: Float32Array, nodes: list[Float32Array]) -> Float32Array:
    """Separable Catmull-Rom interpolation, one matrix product per axis."""
    result = values
    for axis, at in enumerate(nodes):
        weights = _catmull_rom(at, values.shape[axis])
        result = np.moveaxis(np.tensordot(weights, result, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(result, np.float32)


def _catmull_rom(at: Float32Array, count: int) -> Float32Array:
    """(A, count) weights that interpolate `count` samples at fractional positions."""
    base = np.clip(np.floor(at).astype(int), 0, count - 2)
    t = at - base
    taps = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1.0 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2.0 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    weights = np.zeros((len(at), count), np.float32)
    for shift, tap in enumerate(taps):
        column = np.clip(base + shift - 1, 0, count - 1)
        np.add.at(weights, (np.arange(len(at)), column), tap)
    return weights
