"""The body around the labelled structures: muscle wall, fat, skin; label maps name only organs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import (
    binary_closing,
    binary_fill_holes,
    distance_transform_edt,
    gaussian_filter,
)

from fracseg_training.synthesis.fields import Float32Array, enlarge, smooth_field

if TYPE_CHECKING:
    from fracseg_training.synthesis.config import SynthesisConfig
    from fracseg_training.synthesis.label_map import LabelMap
    from FractureSegmentationLib.types import MaskArray

AIR, SKIN, FAT, WALL, INNER, NAMED = range(6)
"""Layers from outside to inside; INNER lies between the organs, NAMED is a structure itself."""

_COARSE_MM = 6.0
_SKIN_MM = 2.0
_ARM_BONES = ("humerus_", "scapula_", "clavicula_")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Envelope:
    """The body's layers.

    Attributes:
        layers: (K, J, I) uint8, AIR to NAMED.
        depth_mm: (K, J, I) float32 distance from the organs' hull, negative inside it.
    """

    layers: npt.NDArray[np.uint8]
    depth_mm: Float32Array


def wrap_body(body: LabelMap, rng: np.random.Generator, config: SynthesisConfig) -> Envelope:
    """Put muscle wall, fat and skin around the labelled structures.

    Args:
        body: the labelled structures.
        rng: source of the draw.
        config: how thick the fat may be.

    Returns:
        The layers on the grid of `body`.
    """
    shape = body.labels.shape
    k, j, i = shape
    spacing = body.spacing_mm
    step = [max(1, round(_COARSE_MM / s)) for s in spacing]
    coarse_mm = [n * s for n, s in zip(step, spacing, strict=True)]
    hull = _hull(body, step, coarse_mm, rng)
    outside = distance_transform_edt(~hull, sampling=coarse_mm)
    inside = distance_transform_edt(hull, sampling=coarse_mm)
    coarse_depth = gaussian_filter((outside - inside).astype(np.float32), 1.0)
    depth = enlarge(coarse_depth, (k, j, i))

    wall_mm = 4.0 + 3.0 * np.abs(smooth_field((k, j, i), spacing, rng, 120.0))
    fat_mm = rng.uniform(*config.fat_mm)
    waviness = smooth_field((k, j, i), spacing, rng, 150.0)
    skin = wall_mm + fat_mm * np.clip(1.0 + 0.35 * waviness + _back_share(j, rng), 0.25, 2.5)
    layers = np.full(shape, AIR, np.uint8)
    layers[depth < skin] = SKIN
    layers[depth < skin - _SKIN_MM] = FAT
    layers[depth < wall_mm] = WALL
    layers[depth < 0.0] = INNER
    layers[body.labels > 0] = NAMED
    return Envelope(layers=layers, depth_mm=depth)


def _back_share(j: int, rng: np.random.Generator) -> Float32Array:
    """(1, J, 1) more fat in front or at the back."""
    tilt = rng.uniform(-0.4, 0.6)
    return np.linspace(-tilt, tilt, j, dtype=np.float32)[None, :, None]


def _hull(
    body: LabelMap, step: list[int], coarse_mm: list[float], rng: np.random.Generator
) -> MaskArray:
    """What the organs and the unnamed muscles between them fill, on a coarse grid."""
    arms = _shrink(body.mask_of(*_ARM_BONES), step)
    organs = _shrink(body.labels > 0, step) & ~arms
    femora = _shrink(body.mask_of("femur_"), step)
    thighs = _grow(femora, float(rng.uniform(28.0, 48.0)), coarse_mm)
    padding = 8
    padded = np.pad(organs | thighs, padding)
    radius = round(float(rng.uniform(24.0, 42.0)) / coarse_mm[1])
    disc = np.hypot(*np.ogrid[-radius : radius + 1, -radius : radius + 1]) <= radius
    closed = np.stack([binary_fill_holes(binary_closing(part, disc)) for part in padded])
    closed = closed[padding:-padding, padding:-padding, padding:-padding]
    around_arms = _grow(arms, float(rng.uniform(18.0, 30.0)), coarse_mm)
    hull: MaskArray = closed | around_arms
    return hull


def _shrink(mask: MaskArray, step: list[int]) -> MaskArray:
    """Coarser by whole factors: True where any voxel of a block is; the last block may be short."""
    short = [(0, -n % s) for n, s in zip(mask.shape, step, strict=True)]
    padded = np.pad(mask, short)
    k, j, i = (n // s for n, s in zip(padded.shape, step, strict=True))
    blocks = padded.reshape(k, step[0], j, step[1], i, step[2])
    return np.asarray(blocks.any(axis=(1, 3, 5)))


def _grow(mask: MaskArray, radius_mm: float, spacing_mm: list[float]) -> MaskArray:
    if not mask.any():
        return mask
    within: MaskArray = distance_transform_edt(~mask, sampling=spacing_mm) <= radius_mm
    return within
