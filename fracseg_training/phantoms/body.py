"""The body around a pelvis: skin, fat, muscles, the pelvic cavity with bowel and bladder, air."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fracseg_training.phantoms.shapes import Float64Array, Lattice, smooth_union
from fracseg_training.phantoms.tissue import upsampled
from fracseg_training.simulate.noise import fractal_noise
from FractureSegmentationLib.geometry import Geometry

Float32Array = npt.NDArray[np.float32]
_STEP_MM = 3.0
_EDGE_MM = 1.2
AIR_HU, FAT_HU, MUSCLE_HU, SKIN_HU, BOWEL_HU, URINE_HU = -1000.0, -100.0, 55.0, 20.0, 35.0, 8.0


def soft_tissue(geometry: Geometry, rng: np.random.Generator) -> Float32Array:
    """HU of everything but bone.

    Args:
        geometry: the CT's grid, canonical, origin between the hip joints.
        rng: source of randomness.

    Returns:
        (K, J, I) HU.
    """
    low = np.asarray(geometry.origin_lps_mm) - _STEP_MM
    extent = np.asarray(geometry.extent_mm)
    shape = np.ceil(extent / _STEP_MM).astype(int) + 3
    lattice = Lattice(
        origin_lps_mm=low, shape=(int(shape[0]), int(shape[1]), int(shape[2])), step_mm=_STEP_MM
    )
    nodes = lattice.nodes_lps_mm()
    x, y, z = nodes[..., 0], nodes[..., 1], nodes[..., 2]
    wobble = fractal_noise(rng, longest_mm=90.0, shortest_mm=9.0, hurst=0.8)
    waves = wobble.at(nodes.reshape(-1, 3).astype(np.float32)).reshape(lattice.shape)
    body = _body(nodes) + 2.0 * waves
    fat_mm = rng.uniform(14.0, 30.0)
    muscle = body + fat_mm + 4.0 * waves
    cavity = _ellipsoid(nodes, (0.0, -22.0, 95.0), (92.0, 62.0, 115.0)) + 5.0 * waves
    pelvis = _ellipsoid(nodes, (0.0, 8.0, 5.0), (55.0, 50.0, 55.0)) + 4.0 * waves
    cavity = smooth_union(cavity, pelvis.astype(np.float32), 10.0)
    bowel = cavity + 12.0 - 16.0 * waves
    rectum = _ellipsoid(nodes, (4.0, 42.0, 5.0), (18.0, 16.0, 50.0))
    bladder = _ellipsoid(nodes, (0.0, -12.0, 0.0), tuple(rng.uniform((26, 22, 20), (38, 32, 32))))
    layers = (
        (body, SKIN_HU),
        (body + 2.5, FAT_HU),
        (muscle, MUSCLE_HU),
        (_planes_between_muscles(x, y, z, waves, muscle), FAT_HU),
        (cavity, FAT_HU),
        (bowel, BOWEL_HU),
        (rectum, BOWEL_HU),
        (bladder, URINE_HU),
    )
    hu = np.full(lattice.shape, AIR_HU, np.float32)
    for distance, value in layers:
        share = np.clip(0.5 - distance / (2.0 * _EDGE_MM), 0.0, 1.0).astype(np.float32)
        hu += share * np.float32(value + 6.0 * rng.standard_normal()) - share * hu
    hu += np.where(hu > -200, 7.0 * waves, 0.0)
    return upsampled(hu.astype(np.float32), lattice, geometry)


def _body(nodes: Float64Array) -> Float64Array:
    """Signed distance to the skin: a flattened trunk above, two thighs below."""
    x, y, z = nodes[..., 0], nodes[..., 1], nodes[..., 2]
    waist = np.clip((z - 40.0) / 120.0, 0.0, 1.0)
    wide, deep = 188.0 - 22.0 * waist, 112.0 - 8.0 * waist
    trunk = _superellipse(x / wide, (y - 8.0) / deep) * deep
    trunk = np.maximum(trunk, -95.0 - z)
    shift = 92.0 - 12.0 * np.clip(-(z + 40.0) / 150.0, 0.0, 1.0)
    thigh = np.minimum(
        _superellipse((x - shift) / 92.0, (y - 8.0) / 98.0),
        _superellipse((x + shift) / 92.0, (y - 8.0) / 98.0),
    )
    thighs = np.maximum(thigh * 92.0, z + 20.0)
    joined: Float64Array = smooth_union(
        trunk.astype(np.float32), thighs.astype(np.float32), 40.0
    ).astype(float)
    return joined


def _planes_between_muscles(
    x: Float64Array, y: Float64Array, z: Float64Array, waves: Float32Array, muscle: Float64Array
) -> Float64Array:
    """Signed distance to thin layers of fat inside the muscle mass."""
    angle = np.arctan2(y - 8.0, np.abs(x) - 60.0)
    sheets = 30.0 * np.abs(np.sin(2.0 * angle + 0.015 * z + 0.4 * waves)) - 2.8
    planes: Float64Array = np.maximum(sheets, muscle + 4.0)
    return planes


def _superellipse(u: Float64Array, v: Float64Array) -> Float64Array:
    """Relative distance to a rounded rectangle of half widths 1: negative inside."""
    value: Float64Array = (np.abs(u) ** 2.5 + np.abs(v) ** 2.5) ** 0.4 - 1.0
    return value


def _ellipsoid(
    nodes: Float64Array, centre: tuple[float, float, float], radii: tuple[float, ...]
) -> Float64Array:
    """Rough signed distance to an ellipsoid."""
    radius = np.asarray(radii)
    relative = np.linalg.norm((nodes - np.asarray(centre)) / radius, axis=-1) - 1.0
    distance: Float64Array = relative * float(radius.min())
    return distance
