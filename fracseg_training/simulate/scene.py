"""The grid on which fragments are put together again, and how it becomes an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]


@dataclass(slots=True, kw_only=True, eq=False)
class Scene:
    """The grid fragments are placed on, one after the other.

    Attributes:
        hu: (K, J, I) sum of coverage x HU of what is placed.
        coverage: (K, J, I) sum of the soft coverages.
        labels: (K, J, I) fragment of each voxel, 0 = none.
        member: (K, J, I) membership of that fragment, 0 to 1.
        nearest: (K, J, I) fragment with the highest membership, however low.
        crushed: (K, J, I) HU that bone driven into bone adds.
        origin: (3,) index of the source grid's voxel (0, 0, 0) in this grid.
    """

    hu: Float32Array
    coverage: Float32Array
    labels: IntArray
    member: Float32Array
    nearest: IntArray
    crushed: Float32Array
    origin: npt.NDArray[np.int64]

    def finished_hu(self, background: Float32Array, max_crushed_hu: float) -> Float32Array:
        """(K, J, I) HU of what is placed, before a background, crushed bone brightened."""
        hu: Float32Array = background.copy()
        placed = self.coverage > 0.0
        coverage = self.coverage[placed]
        seen = np.minimum(coverage, 1.0)
        hu[placed] = background[placed] * (1.0 - seen) + self.hu[placed] / np.maximum(coverage, 1.0)
        if self.crushed.any():
            extra = gaussian_filter(self.crushed, 0.7, truncate=3.0)
            where = extra > 1.0
            bright = np.minimum(hu[where] + extra[where], max_crushed_hu)
            hu[where] = np.maximum(hu[where], bright)
        return hu


def empty_scene(shape: tuple[int, int, int], origin: npt.NDArray[np.int64]) -> Scene:
    """A grid with nothing on it."""
    return Scene(
        hu=np.zeros(shape, np.float32),
        coverage=np.zeros(shape, np.float32),
        labels=np.zeros(shape, np.int32),
        member=np.zeros(shape, np.float32),
        nearest=np.zeros(shape, np.int32),
        crushed=np.zeros(shape, np.float32),
        origin=origin,
    )
