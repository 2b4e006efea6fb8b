"""Fractal noise as a periodic tile that can be sampled at any point, cheaply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from FractureSegmentationLib.types import FloatArray

_TILE = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseField:
    """A smooth random function of position with mean 0 and standard deviation 1.

    Attributes:
        tile: (64, 64, 64) one period.
        step_mm: distance of the tile's samples.
        rotation: (3, 3) turns the tile, so that its period follows no axis of the grid.
        offset: (3,) shifts it, in samples.
    """

    tile: npt.NDArray[np.float32]
    step_mm: float
    rotation: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]

    def at(self, points_mm: FloatArray) -> npt.NDArray[np.float32]:
        """(N,) values at (N, 3) positions in mm."""
        samples = points_mm @ self.rotation.T / self.step_mm + self.offset
        values: npt.NDArray[np.float32] = map_coordinates(
            self.tile, samples.T, order=1, mode="grid-wrap", output=np.float32
        )
        return values

    def moved(self, rng: np.random.Generator) -> NoiseField:
        """Another, practically independent part of the same noise."""
        return NoiseField(
            tile=self.tile, step_mm=self.step_mm, rotation=_turn(rng), offset=_shift(rng)
        )


def fractal_noise(
    rng: np.random.Generator, *, longest_mm: float, shortest_mm: float, hurst: float
) -> NoiseField:
    """Noise whose spectrum falls as of a fractal surface between two wavelengths.

    Args:
        rng: source of randomness.
        longest_mm: longest wavelength.
        shortest_mm: shortest wavelength; the tile is sampled twice as finely.
        hurst: 0 (rough) to 1 (smooth).

    Returns:
        The noise.

    Raises:
        ValueError: the wavelengths are not positive and ascending.
    """
    if not 0.0 < shortest_mm < longest_mm:
        raise ValueError(f"wavelengths must ascend, got {shortest_mm} and {longest_mm} mm")
    step_mm = max(shortest_mm / 2.0, longest_mm / _TILE)
    along = np.fft.fftfreq(_TILE, step_mm)
    frequency = np.sqrt(
        along[:, None, None] ** 2
        + along[None, :, None] ** 2
        + np.fft.rfftfreq(_TILE, step_mm)[None, None, :] ** 2
    )
    inside = (frequency >= 0.99 / longest_mm) & (frequency <= 1.0 / shortest_mm)
    gain = np.zeros_like(frequency)
    gain[inside] = frequency[inside] ** -(hurst + 1.5)
    white = np.fft.rfftn(rng.standard_normal((_TILE, _TILE, _TILE)))
    tile = np.fft.irfftn(white * gain, s=(_TILE, _TILE, _TILE), axes=(0, 1, 2))
    tile = (tile - tile.mean()) / tile.std()
    return NoiseField(
        tile=tile.astype(np.float32), step_mm=step_mm, rotation=_turn(rng), offset=_shift(rng)
    )


def _turn(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    turn: npt.NDArray[np.float32] = (
        Rotation.from_quat(rng.standard_normal(4)).as_matrix().astype(np.float32)
    )
    return turn


def _shift(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    return rng.uniform(0.0, _TILE, 3).astype(np.float32)
