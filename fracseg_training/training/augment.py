"""Random views of a volume: pose, scanner, borders of the CT and imperfect bone masks.

Every function draws from the generator it is given and changes nothing of its input, so a batch
is a function of the seed and the step alone. Torch, because it resamples fastest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fracseg_training.synthesis.deform import rotation

if TYPE_CHECKING:
    from FractureSegmentationLib.types import FloatArray, Shape

AIR_HU = -1024.0
_BLUR_FROM_MM = 0.2
_THICK_FROM_MM = 1.2
_MOST_LOSS_ALONG_ALL_AXES = 2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Ranges of the random changes; physical units. The defaults are those of the fragment network.

    Attributes:
        rotation_deg: largest rotation about each axis.
        scale: smallest and largest zoom.
        stretch: smallest and largest further zoom, drawn per axis.
        flip: whether patches are mirrored along any axis, for labels that know no side.
        mirror_share: share of patches mirrored left to right, for labels that follow.
        elastic_mm: largest standard deviation of the elastic displacement; 0 switches it off.
        elastic_cells: control points of the displacement along an edge, at most.
        noise_hu: largest standard deviation of added noise.
        blur_mm: largest standard deviation of added blur.
        contrast: smallest and largest factor on HU.
        contrast_from_hu: the factor is applied to what is denser; None: to everything.
        shift_hu: largest offset.
        thick_share: share of patches with thick slices.
        thick_slice_mm: thickest slice that is imitated.
        thick_axis: along which axis slices are thick.
        coarse_share: share of those patches that lose resolution along all axes.
        cut_share: share of patches that a border of the CT crosses.
        mask_share: share of patches whose mask is perturbed.
        mask_mm: largest erosion or dilation of the mask.
        found_mask_mm: the same of a mask that was predicted by the bone networks.
        found_mask_share: share of the patches of predicted bones that show the predicted mask; the
            others show the true bone.
    """

    rotation_deg: float = 25.0
    scale: tuple[float, float] = (0.85, 1.2)
    stretch: tuple[float, float] = (1.0, 1.0)
    flip: bool = True
    mirror_share: float = 0.0
    elastic_mm: float = 0.0
    elastic_cells: int = 6
    noise_hu: float = 50.0
    blur_mm: float = 0.9
    contrast: tuple[float, float] = (0.8, 1.2)
    contrast_from_hu: float | None = None
    shift_hu: float = 40.0
    thick_share: float = 0.25
    thick_slice_mm: float = 3.0
    thick_axis: Literal["any", "k"] = "any"
    coarse_share: float = 0.0
    cut_share: float = 0.0
    mask_share: float = 0.6
    mask_mm: float = 2.0
    found_mask_mm: float = 1.0
    found_mask_share: float = 0.75


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatchFrame:
    """How a patch lies in its volume.

    Attributes:
        matrix: (3, 3) from patch to volume offsets, in voxels along (k, j, i).
        size: voxels of the patch along (k, j, i).
        displacement: (3, K, J, I) elastic part, in voxels of the volume; None for none.
        is_mirrored: whether left and right change places and labels have to follow.
    """

    matrix: FloatArray
    size: Shape
    displacement: Tensor | None = None
    is_mirrored: bool = False


def draw_frame(
    rng: np.random.Generator,
    config: AugmentConfig,
    size: Shape,
    patch_mm: float,
    volume_mm: tuple[float, float, float],
) -> PatchFrame:
    """A random frame.

    Args:
        rng: source of the draw.
        config: how far it may go.
        size: voxels of the patch along (k, j, i).
        patch_mm: isotropic voxel size of the patch.
        volume_mm: voxel size of the volume along (k, j, i).
    """
    zoom = rng.uniform(*config.scale) * rng.uniform(*config.stretch, 3)
    in_mm = rotation(rng.uniform(-1.0, 1.0, 3) * config.rotation_deg) / zoom[None, :]
    if config.flip:
        in_mm = in_mm * rng.choice([-1.0, 1.0], 3)
    is_mirrored = bool(rng.random() < config.mirror_share)
    if is_mirrored:
        in_mm = in_mm * np.array([1.0, 1.0, -1.0])
    spacing = np.asarray(volume_mm)
    displacement = None
    if config.elastic_mm > 0.0:
        cells = int(rng.integers(3, config.elastic_cells + 1))
        amplitude = rng.uniform(0.0, config.elastic_mm)
        coarse = rng.standard_normal((3, cells, cells, cells)) * (amplitude / spacing).reshape(
            3, 1, 1, 1
        )
        displacement = functional.interpolate(
            torch.from_numpy(coarse.astype(np.float32))[None],
            size=size,
            mode="trilinear",
            align_corners=True,
        )[0]
    return PatchFrame(
        matrix=in_mm * patch_mm / spacing[:, None],
        size=size,
        displacement=displacement,
        is_mirrored=is_mirrored,
    )


def cut_patch(
    volume: Tensor,
    centre_kji: FloatArray,
    frame: PatchFrame,
    *,
    mode: Literal["bilinear", "nearest"],
    outside: float = 0.0,
) -> Tensor:
    """A patch of a volume along the axes of a frame.

    Args:
        volume: (K, J, I), any number type; only what the patch needs of it becomes float32.
        centre_kji: voxel of the volume that the patch is centred on.
        frame: how the patch lies.
        mode: "bilinear" (trilinear) or "nearest".
        outside: value of what lies outside the volume.

    Returns:
        float32 of the patch's size.
    """
    places = _places(centre_kji, frame)
    box = tuple(
        slice(min(max(int(place.min()) - 1, 0), n - 1), min(max(int(place.max()) + 3, 1), n))
        for place, n in zip(places, volume.shape, strict=True)
    )
    # grid_sample speaks (x, y, z) = (i, j, k), -1 to 1 between the outer borders of the voxels.
    grid = torch.stack(
        [
            (2.0 * (place - s.start) + 1.0) / (s.stop - s.start) - 1.0
            for place, s in zip(reversed(places), reversed(box), strict=True)
        ],
        dim=-1,
    )[None]
    local = volume[box].float()[None, None] - outside
    values = functional.grid_sample(local, grid, mode=mode, align_corners=False)
    return values[0, 0] + outside


def cut_labels(volume: Tensor, centre_kji: FloatArray, frame: PatchFrame) -> Tensor:
    """A patch of a label volume, int64; 0 lies around it."""
    return cut_patch(volume, centre_kji, frame, mode="nearest").round().long()


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
    """HU under another scanner: slice thickness, blur, contrast, offset, noise.

    Args:
        hu: (K, J, I) HU.
        rng: source of the draw.
        config: how far it may go.
        spacing_mm: voxel size of the patch.
    """
    if rng.random() < config.thick_share:
        hu = _thick_slices(hu, rng, config, spacing_mm)
    if rng.random() < 0.35:
        hu = blur(hu, float(rng.uniform(_BLUR_FROM_MM, config.blur_mm)) / spacing_mm)
    low, high = np.log(config.contrast)
    factor = float(np.exp(rng.uniform(low, high)))
    changed = hu * factor
    if config.contrast_from_hu is not None:
        changed = torch.where(hu > config.contrast_from_hu, changed, hu)
    hu = changed + float(rng.uniform(-1.0, 1.0)) * config.shift_hu
    if rng.random() < 0.55:
        noise = _noise(hu.shape, rng)
        if rng.random() < 0.45:
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


def _places(centre_kji: FloatArray, frame: PatchFrame) -> list[Tensor]:
    """Where each voxel of the patch lies in the volume: k, j and i, each of the patch's size."""
    steps = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2.0 for n in frame.size]
    k, j, i = torch.meshgrid(*steps, indexing="ij")
    places = []
    for axis in range(3):
        a, b, c = (float(v) for v in frame.matrix[axis])
        place = a * k + b * j + c * i
        if frame.displacement is not None:
            place = place + frame.displacement[axis]
        places.append(place + float(centre_kji[axis]))
    return places


def _thick_slices(
    hu: Tensor, rng: np.random.Generator, config: AugmentConfig, spacing_mm: float
) -> Tensor:
    thickest = max(config.thick_slice_mm, 1.3 * spacing_mm)
    factor = rng.uniform(max(_THICK_FROM_MM / spacing_mm, 1.2), thickest / spacing_mm)
    axes = [int(rng.integers(3)) if config.thick_axis == "any" else 0]
    if rng.random() < config.coarse_share:
        axes, factor = [0, 1, 2], min(factor, _MOST_LOSS_ALONG_ALL_AXES)
    shape = [max(4, round(n / factor)) if a in axes else n for a, n in enumerate(hu.shape)]
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
