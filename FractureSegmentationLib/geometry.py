"""Where voxels lie: grid size, spacing, origin and axes of a volume in the patient (LPS, mm)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from FractureSegmentationLib.types import Box, Direction, FloatArray, PointLps, Shape, Spacing

CANONICAL_DIRECTION: Direction = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Axes of an axial CT: k towards Superior, j towards Posterior, i towards Left."""

_ORTHOGONALITY_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The grid of a volume.

    Attributes:
        shape: number of voxels along (k, j, i).
        spacing_mm: voxel size along (k, j, i), in mm.
        origin_lps_mm: centre of voxel (0, 0, 0), as (x, y, z) in LPS.
        direction: LPS unit vectors of the k, j and i axes, one per row.

    Raises:
        ValueError: a size is not positive, or the axes are not orthonormal.
    """

    shape: Shape
    spacing_mm: Spacing
    origin_lps_mm: PointLps = (0.0, 0.0, 0.0)
    direction: Direction = CANONICAL_DIRECTION

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape must be three positive counts, got {self.shape}")
        if len(self.spacing_mm) != 3 or not all(0.0 < s < math.inf for s in self.spacing_mm):
            raise ValueError(f"spacing_mm must be three positive lengths, got {self.spacing_mm}")
        if not np.all(np.isfinite(self.origin_lps_mm)):
            raise ValueError(f"origin_lps_mm must be finite, got {self.origin_lps_mm}")
        axes = np.asarray(self.direction, float)
        if axes.shape != (3, 3) or not np.allclose(
            axes @ axes.T, np.eye(3), atol=_ORTHOGONALITY_TOLERANCE
        ):
            raise ValueError(f"direction must hold three orthonormal rows, got {self.direction}")

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, in mm³."""
        return math.prod(self.spacing_mm)

    @property
    def extent_mm(self) -> Spacing:
        """Physical size along (k, j, i), in mm, voxel borders included."""
        k, j, i = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        return (k, j, i)

    def to_lps(self, indices_kji: FloatArray) -> FloatArray:
        """Position in the patient of (fractional) voxel indices.

        Args:
            indices_kji: (..., 3) indices along (k, j, i).

        Returns:
            (..., 3) x, y, z in LPS, mm.
        """
        steps_mm = np.asarray(indices_kji, float) * np.asarray(self.spacing_mm)
        points: FloatArray = steps_mm @ np.asarray(self.direction) + np.asarray(self.origin_lps_mm)
        return points

    def to_index(self, points_lps_mm: FloatArray) -> FloatArray:
        """Fractional voxel indices of positions in the patient; the inverse of `to_lps`.

        Args:
            points_lps_mm: (..., 3) x, y, z in LPS, mm.

        Returns:
            (..., 3) indices along (k, j, i).
        """
        offsets = np.asarray(points_lps_mm, float) - np.asarray(self.origin_lps_mm)
        steps_mm = offsets @ np.linalg.inv(np.asarray(self.direction))
        indices: FloatArray = steps_mm / np.asarray(self.spacing_mm)
        return indices

    def cropped(self, box: Box) -> Geometry:
        """The geometry of the sub-grid `box`, whose slices have start and stop and no step."""
        start = np.array([s.start for s in box])
        k, j, i = (int(s.stop - s.start) for s in box)
        return replace(self, shape=(k, j, i), origin_lps_mm=_as_point(self.to_lps(start)))

    def resampled(self, spacing_mm: Spacing) -> Geometry:
        """A grid of another spacing over the same extent: outer borders stay where they are.

        The last voxel may reach past the border by less than one voxel.
        """
        new = np.asarray(spacing_mm, float)
        old = np.asarray(self.spacing_mm)
        k, j, i = (int(n) for n in np.ceil(np.asarray(self.shape) * old / new - 1e-6).clip(1))
        first = (new / old - 1.0) / 2.0
        return replace(
            self,
            shape=(k, j, i),
            spacing_mm=(float(new[0]), float(new[1]), float(new[2])),
            origin_lps_mm=_as_point(self.to_lps(first)),
        )

    def is_close_to(self, other: Geometry, tolerance_mm: float = 1e-2) -> bool:
        """Whether both grids have one shape and no corner further apart than `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        gap = np.linalg.norm(self.to_lps(corners) - other.to_lps(corners), axis=1)
        return bool(gap.max() <= tolerance_mm)


def _as_point(values: FloatArray) -> PointLps:
    x, y, z = (float(v) for v in values)
    return (x, y, z)
