"""From tissue to image: point spread, noise, field of view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from fracseg_training.synthesis.fields import Float32Array

if TYPE_CHECKING:
    from fracseg_training.synthesis.config import SynthesisConfig
    from FractureSegmentationLib.types import Spacing

LOWEST_HU = -1024
HIGHEST_HU = 3071


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan protocol.

    Attributes:
        psf_mm: standard deviation of the point spread function.
        noise_hu: standard deviation of the noise of the finished image.
        streak_mm: how far the noise is drawn out from side to side.
        gain: factor on bone brightness: tube voltage and calibration.
        view_mm: radius of the round field of view, infinite if it holds the whole body.
    """

    psf_mm: float
    noise_hu: float
    streak_mm: float
    gain: float
    view_mm: float


def draw_scan(rng: np.random.Generator, config: SynthesisConfig) -> Scan:
    """One scan protocol."""
    low, high = np.log(config.noise_hu)
    is_streaky = rng.random() < config.streak_share
    is_narrow = rng.random() < config.narrow_view_share
    return Scan(
        psf_mm=float(rng.uniform(*config.psf_mm)),
        noise_hu=float(np.exp(rng.uniform(low, high))),
        streak_mm=float(rng.uniform(2.0, 8.0)) if is_streaky else 0.0,
        gain=float(rng.uniform(0.85, 1.15)),
        view_mm=float(rng.uniform(150.0, 210.0)) if is_narrow else np.inf,
    )


def scan_body(
    hu: Float32Array, spacing_mm: Spacing, rng: np.random.Generator, scan: Scan
) -> npt.NDArray[np.int16]:
    """The image a scanner makes of a body.

    Args:
        hu: (K, J, I) HU of the body without blur and noise.
        spacing_mm: voxel size along (k, j, i), in mm.
        rng: source of the noise.
        scan: the protocol.

    Returns:
        (K, J, I) int16 HU.
    """
    sigma = [scan.psf_mm / s for s in spacing_mm]
    image = gaussian_filter(hu, sigma, truncate=3.0)
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    wide = [0.8 * scan.psf_mm / spacing_mm[0], sigma[1], sigma[2] + scan.streak_mm / spacing_mm[2]]
    noise = gaussian_filter(noise, wide, truncate=3.0)
    noise *= np.float32(scan.noise_hu / max(float(noise[:8].std()), 1e-6))
    image += noise
    np.multiply(image, scan.gain, out=image, where=image > 0.0)
    if np.isfinite(scan.view_mm):
        _cut_view(image, spacing_mm, rng, scan.view_mm)
    np.clip(image, LOWEST_HU, HIGHEST_HU, out=image)
    finished: npt.NDArray[np.int16] = image.astype(np.int16)
    return finished


def _cut_view(
    image: Float32Array, spacing_mm: Spacing, rng: np.random.Generator, radius_mm: float
) -> None:
    """Blank what lies outside a round field of view, in place."""
    _, j, i = image.shape
    centre_j, centre_i = (n / 2.0 + rng.normal(0.0, 0.03) * n for n in (j, i))
    dj = (np.arange(j)[:, None] - centre_j) * spacing_mm[1]
    di = (np.arange(i)[None, :] - centre_i) * spacing_mm[2]
    image[:, np.hypot(dj, di) > radius_mm] = LOWEST_HU
