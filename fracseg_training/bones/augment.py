"""Cutting and varying patches of a synthetic CT. Torch, because it resamples fastest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fracseg_training.synthesis.deform import rotation
from fracseg_training.training.augment import blur

if TYPE_CHECKING:
    from fracseg_training.bones.config import BoneAugmentConfig
    from FractureSegmentationLib.types import FloatArray, Shape

AIR_HU = -1024.0
_MIRRORED = (0, 1, 3, 2, 5, 4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatchFrame:
    """How a patch lies in its volume.

    Attributes:
        matrix: (3, 3) from patch to volume offsets, in voxels along (k, j, i).
        displacement: (3, K, J, I) elastic part, in voxels of the volume.
        is_mirrored: whether left and right change places.
    """

    matrix: FloatArray
    displacement: Tensor
    is_mirrored: bool


def draw_frame(
    rng: np.random.Generator, config: BoneAugmentConfig, size: Shape, spacing_mm: float
) -> PatchFrame:
    """A random frame.

    Args:
        rng: source of the draw.
        config: how far it may go.
        size: voxels of the patch along (k, j, i).
        spacing_mm: voxel size of volume and patch.
    """
    zoom = rng.uniform(*config.scale) * rng.uniform(*config.stretch, 3)
    matrix = rotation(rng.uniform(-1.0, 1.0, 3) * config.rotation_deg) / zoom[None, :]
    is_mirrored = bool(rng.random() < config.mirror_share)
    if is_mirrored:
        matrix = matrix * np.array([1.0, 1.0, -1.0])
    cells = int(rng.integers(3, config.elastic_cells + 1))
    amplitude = rng.uniform(0.0, config.elastic_mm) / spacing_mm
    coarse = rng.standard_normal((3, cells, cells, cells), dtype=np.float32) * np.float32(amplitude)
    displacement = functional.interpolate(
        torch.from_numpy(coarse)[None], size=size, mode="trilinear", align_corners=True
    )[0]
    return PatchFrame(matrix=matrix, displacement=displacement, is_mirrored=is_mirrored)


def cut_patch(
    hu: Tensor, bones: Tensor, centre_kji: FloatArray, frame: PatchFrame
) -> tuple[Tensor, Tensor]:
    """A patch of a volume and of its labels along the axes of a frame.

    Args:
        hu: (K, J, I) int16; air lies around it.
        bones: (K, J, I) uint8 mask values.
        centre_kji: voxel of the volume that the patch is centred on.
        frame: how the patch lies.

    Returns:
        float32 HU and int64 labels, both of the patch's size; labels follow a mirrored frame.
    """
    places = _places(centre_kji, frame)
    box = [
        slice(min(max(int(place.min()) - 1, 0), n - 1), min(max(int(place.max()) + 3, 1), n))
        for place, n in zip(places, hu.shape, strict=True)
    ]
    # grid_sample speaks (x, y, z) = (i, j, k), -1 to 1 between the outer borders of the voxels.
    grid = torch.stack(
        [
            (2.0 * (place - s.start) + 1.0) / (s.stop - s.start) - 1.0
            for place, s in zip(reversed(places), reversed(box), strict=True)
        ],
        dim=-1,
    )[None]
    local = hu[tuple(box)].float()[None, None] - AIR_HU
    labels = bones[tuple(box)].float()[None, None]
    values = functional.grid_sample(local, grid, mode="bilinear", align_corners=False)
    found = functional.grid_sample(labels, grid, mode="nearest", align_corners=False)
    classes = found[0, 0].long()
    if frame.is_mirrored:
        classes = torch.tensor(_MIRRORED)[classes]
    return values[0, 0] + AIR_HU, classes


def _places(centre_kji: FloatArray, frame: PatchFrame) -> list[Tensor]:
    """Where each voxel of the patch lies in the volume: k, j and i, each of the patch's size."""
    size = frame.displacement.shape[1:]
    steps = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2.0 for n in size]
    k, j, i = torch.meshgrid(*steps, indexing="ij")
    places = []
    for axis in range(3):
        a, b, c = (float(v) for v in frame.matrix[axis])
        places.append(frame.displacement[axis] + (a * k + b * j + c * i) + float(centre_kji[axis]))
    return places


def cut_borders(
    hu: Tensor, classes: Tensor, rng: np.random.Generator, share: float
) -> tuple[Tensor, Tensor]:
    """Sometimes let the CT end inside the patch: air and no bone beyond, mostly above or below.

    Args:
        hu: (K, J, I) HU.
        classes: (K, J, I) labels.
        rng: source of the draw.
        share: how often.
    """
    if rng.random() >= share:
        return hu, classes
    hu, classes = hu.clone(), classes.clone()
    axis = 0 if rng.random() < 0.75 else int(rng.integers(1, 3))
    count = hu.shape[axis]
    width = round(rng.uniform(0.05, 0.6) * count)
    start = 0 if rng.random() < 0.6 else count - width
    hu.narrow(axis, start, width).fill_(AIR_HU)
    classes.narrow(axis, start, width).fill_(0)
    return hu, classes


def change_photometry(hu: Tensor, rng: np.random.Generator, config: BoneAugmentConfig) -> Tensor:
    """HU under another scanner: resolution, blur, contrast, offset, noise.

    Args:
        hu: (K, J, I) HU.
        rng: source of the draw.
        config: how far it may go.
    """
    if rng.random() < 0.3:
        hu = _thick(hu, rng, config)
    if rng.random() < 0.3:
        hu = blur(hu, float(rng.uniform(0.3, config.blur_voxels)))
    low, high = np.log(config.contrast)
    factor = float(np.exp(rng.uniform(low, high)))
    hu = torch.where(hu > 0.0, hu * factor, hu) + float(rng.uniform(-1.0, 1.0)) * config.shift_hu
    if rng.random() < 0.5:
        noise = torch.from_numpy(rng.standard_normal(tuple(hu.shape), dtype=np.float32))
        if rng.random() < 0.4:
            noise = blur(noise, 0.6) * 2.0
        hu = hu + noise * float(rng.uniform(0.0, config.noise_hu))
    return hu


def _thick(hu: Tensor, rng: np.random.Generator, config: BoneAugmentConfig) -> Tensor:
    factor = rng.uniform(1.3, config.thick_factor)
    axes = [0]
    if rng.random() < config.coarse_share / 0.3:
        axes, factor = [0, 1, 2], min(factor, 2.2)
    shape = [max(4, round(n / factor)) if a in axes else n for a, n in enumerate(hu.shape)]
    thick = functional.interpolate(hu[None, None], size=shape, mode="area")
    return functional.interpolate(thick, size=tuple(hu.shape), mode="trilinear")[0, 0]
