"""Random views of a case: geometry, photometry and imperfect bone masks.

Every function draws from the generator it is given and changes nothing of its input, so a batch
is a function of the seed and the step alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from FractureSegmentationLib.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Ranges of the random changes; physical units.

    Attributes:
        rotation_deg: largest rotation about each axis.
        scale: smallest and largest zoom.
        flip: whether patches are mirrored on all three axes.
        noise_hu: largest standard deviation of added white noise.
        blur_mm: largest standard deviation of added blur.
        contrast: smallest and largest factor on HU.
        shift_hu: largest offset.
        thick_slice_mm: thickest slice that is imitated along a random axis.
        mask_share: share of patches whose mask is perturbed.
        mask_mm: largest erosion or dilation of the mask.
        found_mask_mm: the same of the mask of a bone that was found.
        found_mask_share: share of the patches of found bones that show what was found; the others
            show the true bone.
    """

    rotation_deg: float = 25.0
    scale: tuple[float, float] = (0.85, 1.2)
    flip: bool = True
    noise_hu: float = 50.0
    blur_mm: float = 0.9
    contrast: tuple[float, float] = (0.8, 1.2)
    shift_hu: float = 40.0
    thick_slice_mm: float = 3.0
    mask_share: float = 0.6
    mask_mm: float = 2.0
    found_mask_mm: float = 1.0
    found_mask_share: float = 0.75


def random_affine(rng: np.random.Generator, config: AugmentConfig) -> FloatArray:
    """(3, 3) matrix from patch offsets to case offsets, both in mm along (k, j, i)."""
    angles = np.deg2rad(rng.uniform(-1.0, 1.0, 3) * config.rotation_deg)
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = (n for n in range(3) if n != axis)
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    matrix = matrix / rng.uniform(*config.scale)
    if config.flip:
        matrix = matrix * rng.choice([-1.0, 1.0], 3)
    return matrix


def sample_patch(
    volume: Tensor,
    matrix: FloatArray,
    centre_kji: FloatArray,
    size: int,
    *,
    mode: str,
    outside: float,
) -> Tensor:
    """A cube of `size` voxels cut from a volume along transformed axes.

    Args:
        volume: (K, J, I), any number type.
        matrix: (3, 3) patch offset to volume offset, in voxels along (k, j, i).
        centre_kji: voxel of the volume that the patch is centred on.
        size: voxels along each edge.
        mode: "bilinear" (trilinear) or "nearest".
        outside: value of what lies outside the volume.

    Returns:
        (size, size, size) float32.
    """
    reach = np.abs(matrix).sum(axis=1) * size / 2.0 + 2.0
    start = np.floor(np.asarray(centre_kji) - reach).astype(int)
    stop = np.ceil(np.asarray(centre_kji) + reach).astype(int) + 1
    total = stop - start
    low = np.clip(-start, 0, total)
    inner = [
        slice(min(max(int(a), 0), n), min(max(int(b), 0), n))
        for a, b, n in zip(start, stop, volume.shape, strict=True)
    ]
    padding: list[int] = []
    for axis in (2, 1, 0):
        have = inner[axis].stop - inner[axis].start
        padding += [int(low[axis]), int(total[axis] - low[axis]) - have]
    local = functional.pad(volume[tuple(inner)].float(), padding, value=outside)
    shape = np.asarray(local.shape)
    # grid_sample speaks (x, y, z) = (i, j, k) and -1 to 1 between the centres of the end voxels.
    to_unit = 2.0 / (shape - 1.0)
    theta = (matrix * ((size - 1) / 2.0) * to_unit[:, None])[::-1, ::-1]
    shift = ((np.asarray(centre_kji) - start) * to_unit - 1.0)[::-1]
    affine = np.concatenate([theta, shift[:, None]], axis=1)
    grid = functional.affine_grid(
        torch.from_numpy(np.ascontiguousarray(affine, np.float32))[None],
        [1, 1, size, size, size],
        align_corners=True,
    )
    return functional.grid_sample(
        local[None, None], grid, mode=mode, padding_mode="border", align_corners=True
    )[0, 0]


def perturb_mask(
    mask: Tensor, rng: np.random.Generator, largest_mm: float, spacing_mm: float
) -> Tensor:
    """A mask as an imperfect bone extraction gives it: in places too wide, in others too narrow.

    Args:
        mask: (K, J, I) bool.
        rng: source of the draw.
        largest_mm: how far the border moves, at most.
        spacing_mm: voxel size of the patch.

    Returns:
        (K, J, I) bool.
    """
    steps = int(rng.integers(1, max(1, round(largest_mm / spacing_mm)) + 1))
    wide = _grown(mask, steps)
    if rng.random() < 0.4:
        return wide
    narrow = ~_grown(~mask, 1)
    if not narrow.any():
        return wide
    field = _smooth_field(mask.shape, rng, cells=4)
    low, high = np.sort(rng.normal(0.0, 0.7, 2))
    return torch.where(field > high, wide, torch.where(field < low, narrow, mask))


def soft_tissue(shape: torch.Size, rng: np.random.Generator) -> Tensor:
    """(K, J, I) HU of what surrounds a bone: muscle, fat and fluid in patches, with noise."""
    base = rng.uniform(-60.0, 90.0) + _smooth_field(shape, rng, cells=6) * rng.uniform(10.0, 70.0)
    return base + _noise(shape, rng) * float(rng.uniform(5.0, 35.0))


def change_photometry(
    hu: Tensor, rng: np.random.Generator, config: AugmentConfig, spacing_mm: float
) -> Tensor:
    """HU under another scanner: slice thickness, blur, contrast, offset, noise."""
    if rng.random() < 0.25:
        hu = _thick_slices(hu, rng, config.thick_slice_mm / spacing_mm)
    if rng.random() < 0.4:
        hu = blur(hu, float(rng.uniform(0.2, config.blur_mm)) / spacing_mm)
    hu = hu * float(rng.uniform(*config.contrast)) + float(rng.uniform(-1, 1)) * config.shift_hu
    if rng.random() < 0.6:
        noise = _noise(hu.shape, rng)
        if rng.random() < 0.5:
            noise = blur(noise, 0.6) * 2.0
        hu = hu + noise * float(rng.uniform(0.0, config.noise_hu))
    return hu


def blur(volume: Tensor, sigma_voxels: float) -> Tensor:
    """Gaussian blur of a (K, J, I) volume, the border repeated."""
    radius = max(1, round(3.0 * sigma_voxels))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / max(sigma_voxels, 1e-3)) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(volume[None, None], [radius] * 6, mode="replicate")
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = len(kernel)
        padded = functional.conv3d(padded, kernel.reshape(shape))
    return padded[0, 0]


def _thick_slices(hu: Tensor, rng: np.random.Generator, largest_factor: float) -> Tensor:
    axis = int(rng.integers(3))
    shape = list(hu.shape)
    shape[axis] = max(4, round(shape[axis] / rng.uniform(1.2, max(1.3, largest_factor))))
    thick = functional.interpolate(hu[None, None], size=shape, mode="area")
    return functional.interpolate(thick, size=tuple(hu.shape), mode="trilinear")[0, 0]


def _grown(mask: Tensor, steps: int) -> Tensor:
    grown = mask[None, None].float()
    for _ in range(steps):
        # A cross per step keeps the growth round: the faces, then nothing over the corners.
        along_k = functional.max_pool3d(grown, (3, 1, 1), 1, (1, 0, 0))
        along_j = functional.max_pool3d(grown, (1, 3, 1), 1, (0, 1, 0))
        along_i = functional.max_pool3d(grown, (1, 1, 3), 1, (0, 0, 1))
        grown = torch.maximum(torch.maximum(along_k, along_j), along_i)
    return grown[0, 0] > 0.5


def _smooth_field(shape: torch.Size, rng: np.random.Generator, cells: int) -> Tensor:
    coarse = torch.from_numpy(rng.standard_normal((1, 1, cells, cells, cells), dtype=np.float32))
    return functional.interpolate(coarse, size=tuple(shape), mode="trilinear")[0, 0]


def _noise(shape: torch.Size, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))
