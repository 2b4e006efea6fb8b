"""Random fields: the smooth variations that no two patients share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from FractureSegmentationLib.types import FloatArray, Shape, Spacing

Float32Array = npt.NDArray[np.float32]
"""float32 array; the docstring of its user names the axes."""


def smooth_field(
    shape: Shape, spacing_mm: Spacing, rng: np.random.Generator, wavelength_mm: float
) -> Float32Array:
    """A random field that changes over about `wavelength_mm`; mean about 0, deviation about 1.

    Args:
        shape: grid along (k, j, i).
        spacing_mm: voxel size along (k, j, i), in mm.
        rng: source of the draw.
        wavelength_mm: distance between two independent values, in mm.

    Returns:
        (K, J, I) float32.
    """
    cells = [
        max(2, int(np.ceil(n * s / wavelength_mm)) + 1)
        for n, s in zip(shape, spacing_mm, strict=True)
    ]
    coarse = rng.standard_normal(cells, dtype=np.float32)
    # Trilinear interpolation of independent values keeps (2/3)^(3/2) of their deviation.
    return enlarge(coarse * np.float32(1.8), shape)


def enlarge(coarse: FloatArray, shape: Shape) -> Float32Array:
    """Trilinear interpolation of a coarse grid over a finer one; corners meet corners.

    Args:
        coarse: (k, j, i) numbers.
        shape: the finer grid.

    Returns:
        (K, J, I) float32.
    """
    # One small matrix per axis, the longest axis last: several times faster than a general zoom.
    k, j, i = (_axis_weights(n, m) for n, m in zip(coarse.shape, shape, strict=True))
    planes = np.matmul(np.matmul(j, np.asarray(coarse, np.float32)), i.T)
    finer: Float32Array = (k @ planes.reshape(len(planes), -1)).reshape(shape)
    return finer


def _axis_weights(count: int, finer: int) -> Float32Array:
    """(finer, count) linear interpolation weights; the ends meet."""
    places = np.linspace(0.0, count - 1.0, finer)
    low = np.clip(places.astype(int), 0, max(count - 2, 0))
    weights = np.zeros((finer, count), np.float32)
    rows = np.arange(finer)
    weights[rows, low] = 1.0 - (places - low)
    if count > 1:
        weights[rows, low + 1] += (places - low).astype(np.float32)
    return weights
