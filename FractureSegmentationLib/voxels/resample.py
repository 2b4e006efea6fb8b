"""From one grid to another with parallel axes: CT, masks and labels, there and back.

Along parallel axes a resampling is a product with one small matrix per axis, so a cubic spline
costs three matrix products and no full-size copy of the CT in floating point is ever made.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline
from scipy.ndimage import affine_transform

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import FloatArray, LabelArray, MaskArray
from FractureSegmentationLib.volume import LabelVolume, Volume

Order: TypeAlias = Literal[1, 3]
Float32Array: TypeAlias = npt.NDArray[np.float32]

_SLAB_VOXELS = 4_000_000
_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_PARALLEL_TOLERANCE = 1e-3


def resample_volume(volume: Volume, target: Geometry, *, order: Order = 3) -> Volume:
    """Interpolate a scalar volume on another grid with the same axes.

    Where the new grid is coarser, the volume is first blurred by a Gaussian that makes a point as
    wide as the new voxel, so that thin cortex fades instead of flickering. Beyond the outermost
    voxels their value continues.

    Args:
        volume: (K, J, I) numbers.
        target: the new grid; its axes are parallel to the old ones.
        order: 1 linear, 3 cubic spline.

    Returns:
        float32 volume on `target`.

    Raises:
        ValueError: the axes are not parallel.
    """
    weights = _axis_weights(volume.geometry, target, order, blurs=True)
    return Volume(voxels=_apply(volume.voxels, weights), geometry=target)


def resample_mask(mask: MaskArray, source: Geometry, target: Geometry) -> MaskArray:
    """A mask on another parallel grid: True where at least half of the surroundings is inside.

    A mask too thin to survive that keeps the voxels that its own voxels fall into.

    Args:
        mask: (K, J, I) on `source`.
        source: the grid of the mask.
        target: the new grid.

    Returns:
        (K, J, I) mask on `target`; empty only if `mask` is, or lies outside.
    """
    weights = _axis_weights(source, target, 1, blurs=True)
    resampled: MaskArray = _apply(mask, weights) >= 0.5
    if not resampled.any() and mask.any():
        indices = target.to_index(source.to_lps(np.argwhere(mask).astype(float)))
        nearest = np.rint(indices).astype(int)
        is_inside = np.all((nearest >= 0) & (nearest < target.shape), axis=1)
        resampled[tuple(nearest[is_inside].T)] = True
    return resampled


def resample_probability(values: FloatArray, source: Geometry, target: Geometry) -> Float32Array:
    """(K, J, I) probabilities of one channel, linearly interpolated on another parallel grid."""
    return _apply(values, _axis_weights(source, target, 1, blurs=False))


def nearest_labels(labels: LabelVolume, target: Geometry) -> LabelVolume:
    """Labels on any other grid: each new voxel takes the label of the voxel it lies in.

    Args:
        labels: the labels.
        target: the new grid; any direction.

    Returns:
        Labels on `target`, 0 where the old grid does not reach.
    """
    if labels.geometry.is_close_to(target):
        return LabelVolume(voxels=labels.voxels, geometry=target)
    corners = labels.geometry.to_index(target.to_lps(np.vstack([np.zeros(3), np.eye(3)])))
    offset = corners[0]
    matrix = (corners[1:] - offset).T
    if np.allclose(matrix, np.diag(np.diag(matrix)), atol=1e-5):
        voxels = _nearest_along_axes(labels.voxels, target, offset, np.diag(matrix))
    else:
        voxels = affine_transform(
            labels.voxels, matrix, offset, output_shape=target.shape, order=0, prefilter=False
        )
    return LabelVolume(voxels=voxels, geometry=target)


def _nearest_along_axes(
    voxels: LabelArray, target: Geometry, offset: FloatArray, step: FloatArray
) -> LabelArray:
    resampled = np.zeros(target.shape, voxels.dtype)
    indices, kept = [], []
    for axis in range(3):
        near = np.rint(offset[axis] + step[axis] * np.arange(target.shape[axis])).astype(int)
        is_inside = (near >= 0) & (near < voxels.shape[axis])
        indices.append(near[is_inside])
        kept.append(np.flatnonzero(is_inside))
    resampled[np.ix_(*kept)] = voxels[np.ix_(*indices)]
    return resampled


def _axis_weights(
    source: Geometry, target: Geometry, order: Order, *, blurs: bool
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """One (new count, old count) matrix per axis."""
    if not np.allclose(source.direction, target.direction, atol=_PARALLEL_TOLERANCE):
        raise ValueError("the axes of the two grids are not parallel")
    first = source.to_index(np.asarray(target.origin_lps_mm))
    k, j, i = (
        axis_weights(
            source.shape[axis],
            float(first[axis])
            + target.spacing_mm[axis] / source.spacing_mm[axis] * np.arange(target.shape[axis]),
            order,
            blurs=blurs,
        )
        for axis in range(3)
    )
    return (k, j, i)


def axis_weights(
    count: int, positions: FloatArray, order: Order, *, blurs: bool = False
) -> Float32Array:
    """What every old sample contributes to every new one along one axis.

    Args:
        count: number of old samples.
        positions: (N,) where the new samples lie, in old samples; beyond the ends, the end counts.
        order: 1 linear, 3 cubic spline.
        blurs: whether to blur before a coarser sampling.

    Returns:
        (N, count) float32 weights; every row sums to 1.
    """
    inside = np.clip(positions, 0.0, count - 1.0)
    if count == 1:
        return np.ones((len(inside), 1), np.float32)
    if order == 3:
        weights = CubicSpline(np.arange(count), np.eye(count), axis=0)(inside)
    else:
        low = np.minimum(inside.astype(int), count - 2)
        share = inside - low
        weights = np.zeros((len(inside), count))
        rows = np.arange(len(inside))
        weights[rows, low] = 1.0 - share
        weights[rows, low + 1] = share
    step = float(positions[1] - positions[0]) if len(positions) > 1 else 1.0
    if blurs and step > 1.0 + 1e-6:
        weights = weights @ _blur(count, math.sqrt(step**2 - 1.0) / _FWHM_PER_SIGMA)
    return np.asarray(weights, np.float32)


def _blur(count: int, sigma: float) -> FloatArray:
    """(count, count) Gaussian blur; samples beyond the ends take the value of the end."""
    reach = math.ceil(4.0 * sigma)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps /= taps.sum()
    blur = np.zeros((count, count))
    rows = np.arange(count)
    for offset, tap in zip(range(-reach, reach + 1), taps, strict=True):
        blur[rows, np.clip(rows + offset, 0, count - 1)] += tap
    return blur


def _apply(
    voxels: npt.NDArray[np.generic], weights: tuple[Float32Array, Float32Array, Float32Array]
) -> Float32Array:
    """Multiply along every axis; slab by slab, so that the input is never converted whole."""
    along_k, along_j, along_i = weights
    rows = np.empty((len(voxels), len(along_j), len(along_i)), np.float32)
    slab = max(1, _SLAB_VOXELS // math.prod(voxels.shape[1:]))
    for start in range(0, len(voxels), slab):
        part = np.ascontiguousarray(voxels[start : start + slab], np.float32)
        rows[start : start + slab] = np.matmul(np.matmul(along_j, part), along_i.T)
    flat = along_k @ rows.reshape(len(rows), -1)
    return flat.reshape(len(along_k), len(along_j), len(along_i))
