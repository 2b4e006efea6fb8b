"""One body becomes another: size, proportions, posture, and femora that go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates

from fracseg_training.synthesis.fields import Float32Array, enlarge

if TYPE_CHECKING:
    from fracseg_training.synthesis.config import Range
    from fracseg_training.synthesis.label_map import LabelMap
    from FractureSegmentationLib.types import FloatArray, LabelArray, Shape, Spacing

_SLAB = 16
_LEAN_PER_MM = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class DeformConfig:
    """How far a body may be changed.

    Attributes:
        scale: zoom of the whole body.
        stretch: further zoom, drawn per axis.
        rotation_deg: largest turn about each axis.
        elastic_mm: largest standard deviation of the elastic displacement.
        elastic_wavelength_mm: distance over which the displacement changes.
    """

    scale: Range = (0.85, 1.18)
    stretch: Range = (0.92, 1.09)
    rotation_deg: float = 8.0
    elastic_mm: float = 6.0
    elastic_wavelength_mm: Range = (40.0, 110.0)


def rotation(angles_deg: FloatArray) -> FloatArray:
    """(3, 3) rotation by the given angles about the k, j and i axes."""
    turned = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(angles_deg)):
        a, b = (n for n in range(3) if n != axis)
        step = np.eye(3)
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        turned = turned @ step
    return turned


def deform_body(
    body: LabelMap,
    rng: np.random.Generator,
    config: DeformConfig,
    spacing_mm: Spacing | None = None,
) -> LabelMap:
    """A body of another size, shape and posture on a grid that just holds it.

    Args:
        body: the body.
        rng: source of the draw.
        config: how far it may go.
        spacing_mm: voxel size of the result; that of `body` if not given.

    Returns:
        The deformed body.
    """
    spacing = np.asarray(spacing_mm or body.spacing_mm, float)
    zoom = rng.uniform(*config.scale) * rng.uniform(*config.stretch, 3)
    turn = rotation(rng.uniform(-1.0, 1.0, 3) * config.rotation_deg)
    extent = np.asarray(body.labels.shape) * np.asarray(body.spacing_mm) * zoom
    k, j, i = (int(n) for n in np.ceil(extent / spacing))
    shape = (k, j, i)
    elastic = rng.uniform(0.3, 1.0) * config.elastic_mm
    wavelength = rng.uniform(*config.elastic_wavelength_mm)
    cells = [max(3, int(np.ceil(length / wavelength)) + 1) for length in extent]
    displacement = rng.standard_normal((3, *cells)) * elastic
    matrix = turn / zoom[:, None]
    labels = _warp(body, shape, spacing, matrix, displacement)
    return replace(body, labels=labels, spacing_mm=(spacing[0], spacing[1], spacing[2]))


def warp_labels(
    body: LabelMap, shape: Shape, spacing_mm: Spacing, matrix: FloatArray, offset_mm: FloatArray
) -> LabelArray:
    """Labels of a body on another grid under an affine map, by nearest neighbour.

    Args:
        body: the body.
        shape: the new grid.
        spacing_mm: its voxel size along (k, j, i), in mm.
        matrix: (3, 3), and
        offset_mm: (3,): a point p (mm from the centre of voxel 0 of the new grid, along k, j, i)
            shows what lies at matrix @ p + offset_mm in the body.

    Returns:
        (K, J, I) labels, 0 outside the body's own grid.
    """
    to_voxels = 1.0 / np.asarray(body.spacing_mm)
    step = matrix * np.asarray(spacing_mm)[None, :] * to_voxels[:, None]
    start = np.asarray(offset_mm) * to_voxels
    return _sample(body.labels, shape, step, start, None)


def _warp(
    body: LabelMap,
    shape: Shape,
    spacing: FloatArray,
    matrix: FloatArray,
    displacement_mm: FloatArray,
) -> LabelArray:
    """As `warp_labels`, about the centres of both grids, with an elastic displacement."""
    to_voxels = 1.0 / np.asarray(body.spacing_mm)
    step = matrix * spacing[None, :] * to_voxels[:, None]
    old_centre = (np.asarray(body.labels.shape) - 1.0) / 2.0
    start = old_centre - step @ ((np.asarray(shape) - 1.0) / 2.0)
    fields = [
        enlarge(part * scale, shape) for part, scale in zip(displacement_mm, to_voxels, strict=True)
    ]
    return _sample(body.labels, shape, step, start, fields)


def _sample(
    labels: LabelArray,
    shape: Shape,
    step: FloatArray,
    start: FloatArray,
    fields: list[Float32Array] | None,
) -> LabelArray:
    """Nearest neighbour, slab by slab so that no coordinate array of the whole grid exists."""
    result = np.empty(shape, labels.dtype)
    rows, columns = np.meshgrid(
        np.arange(shape[1], dtype=np.float32),
        np.arange(shape[2], dtype=np.float32),
        indexing="ij",
    )
    for first in range(0, shape[0], _SLAB):
        last = min(first + _SLAB, shape[0])
        k = np.arange(first, last, dtype=np.float32)[:, None, None]
        coordinates = np.empty((3, last - first, *shape[1:]), np.float32)
        for axis in range(3):
            a, b, c = step[axis].astype(np.float32)
            coordinates[axis] = a * k + (b * rows + c * columns + np.float32(start[axis]))
            if fields is not None:
                coordinates[axis] += fields[axis][first:last]
        map_coordinates(labels, coordinates, order=0, output=result[first:last], prefilter=False)
    return result


def extend_legs(body: LabelMap, length_mm: float) -> LabelMap:
    """A body whose femora go on below the end of its label map, as a leaning, even shaft.

    Args:
        body: a body that ends in the upper femora, as pelvic label maps do.
        length_mm: how far the shafts go on.

    Returns:
        The taller body; the same one if it has no femur at its lowest slice.
    """
    count = round(length_mm / body.spacing_mm[0])
    lowest = np.where(body.mask_of("femur_")[:1], body.labels[:1], 0)
    if count < 1 or not lowest.any():
        return body
    added = np.zeros((count, *body.labels.shape[1:]), body.labels.dtype)
    middle = body.labels.shape[2] / 2.0
    for value in body.values_of("femur_"):
        _, rows, columns = np.nonzero(lowest == value)
        if not len(rows):
            continue
        lean = _LEAN_PER_MM * body.spacing_mm[0] / body.spacing_mm[2]
        towards = np.sign(middle - columns.mean())
        for depth in range(1, count + 1):
            moved = columns + round(float(towards) * lean * depth)
            added[count - depth, rows, np.clip(moved, 0, added.shape[2] - 1)] = value
    return replace(body, labels=np.concatenate([added, body.labels]))
