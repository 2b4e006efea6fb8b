"""What fractures look like in CT: cracks, what fills a gap, and the scanner's blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from fracseg_training.simulate.bone_points import BonePoints
from fracseg_training.simulate.config import AppearanceConfig
from fracseg_training.simulate.noise import NoiseField, fractal_noise
from fracseg_training.simulate.pattern import FracturePattern
from FractureSegmentationLib.types import FloatArray, Spacing

Float32Array = npt.NDArray[np.float32]
_NEAR_CONTACT_MM = 2.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filling:
    """What lies between fragments: blood or fatty marrow, with bone debris in places.

    Attributes:
        mean_hu: HU without debris.
        debris_hu: HU the densest debris adds.
        texture: noise that varies both.
    """

    mean_hu: float
    debris_hu: float
    texture: NoiseField

    def at(self, points_mm: FloatArray) -> Float32Array:
        """(N,) HU at (N, 3) positions in mm."""
        texture = self.texture.at(points_mm)
        debris = np.clip(texture - 0.3, 0.0, 1.0) * np.float32(self.debris_hu)
        filled: Float32Array = np.float32(self.mean_hu) + 8.0 * texture + debris
        return filled


def draw_filling(config: AppearanceConfig, rng: np.random.Generator) -> Filling:
    """What fills the gaps of one bone."""
    is_fat = rng.random() < config.fat_probability
    mean = rng.normal(-80.0, 15.0) if is_fat else rng.uniform(*config.haematoma_hu)
    return Filling(
        mean_hu=float(mean),
        debris_hu=float(rng.uniform(*config.debris_hu)),
        texture=fractal_noise(rng, longest_mm=15.0, shortest_mm=2.0, hurst=0.3),
    )


def darken_cracks(
    hu: Float32Array,
    bone: BonePoints,
    pattern: FracturePattern,
    filling: Filling,
    config: AppearanceConfig,
    rng: np.random.Generator,
) -> Float32Array:
    """Draw the partial volume of closed cracks: dark in the cortex, patchy, faint in the depth.

    Args:
        hu: (K, J, I) the intact bone.
        bone: the bone's points on that grid.
        pattern: where it is broken; away from its contacts, where a drawn surface divides nothing,
            no crack appears.
        filling: what the cracks hold.
        config: appearance settings.
        rng: source of randomness.

    Returns:
        (K, J, I) HU with cracks.
    """
    result = hu.copy()
    if not pattern.contacts:
        return result
    fractures = max(len(pattern.sites_mm), 1)
    sigma = rng.uniform(*config.crack_sigma_mm, fractures).astype(np.float32)
    contrast = rng.uniform(*config.crack_contrast, fractures).astype(np.float32)
    deep = rng.uniform(*config.deep_contrast, fractures).astype(np.float32)
    close = np.flatnonzero(pattern.crack_mm < 3.0 * sigma[pattern.fracture])
    tree = cKDTree(np.concatenate([c.points_mm for c in pattern.contacts]))
    reach, _ = tree.query(bone.points_mm[close], distance_upper_bound=_NEAR_CONTACT_MM)
    close = close[np.isfinite(reach)]
    which = pattern.fracture[close]
    profile = np.exp(-0.5 * (pattern.crack_mm[close] / sigma[which]) ** 2)
    cortical = 1.0 / (1.0 + np.exp((bone.depth_mm[close] - rng.uniform(*config.cortex_mm)) / 0.5))
    patches = fractal_noise(rng, longest_mm=20.0, shortest_mm=3.0, hurst=0.5)
    patchy = np.clip(0.75 + 0.5 * patches.at(bone.points_mm[close]), 0.15, 1.0)
    strength = contrast[which] * (deep[which] + (1.0 - deep[which]) * cortical) * patchy
    place = tuple(bone.index[close].T)
    above = hu[place] - filling.at(bone.points_mm[close])
    result[place] -= (profile * strength * np.maximum(above, 0.0)).astype(np.float32)
    return result


def scan(
    hu: Float32Array, spacing_mm: Spacing, config: AppearanceConfig, rng: np.random.Generator
) -> Float32Array:
    """The scanner's part: a little more blur, then correlated noise.

    Args:
        hu: (K, J, I) the scene.
        spacing_mm: voxel size along (k, j, i), in mm.
        config: appearance settings.
        rng: source of randomness.

    Returns:
        (K, J, I) HU as imaged.
    """
    spacing = np.asarray(spacing_mm)
    result = hu
    blur_mm = rng.uniform(*config.blur_sigma_mm)
    if blur_mm > 0.15:  # below that a Gaussian does nothing on these grids
        result = gaussian_filter(hu, blur_mm / spacing, truncate=3.0)
    noise_hu = rng.uniform(*config.noise_hu)
    if noise_hu <= 0.0:
        return result
    sigma = rng.uniform(*config.noise_sigma_mm) / spacing
    white = rng.standard_normal(hu.shape, dtype=np.float32)
    noise = gaussian_filter(white, sigma, mode="wrap", truncate=3.0)
    scaled: Float32Array = result + noise * np.float32(noise_hu / max(float(noise.std()), 1e-6))
    return scaled
