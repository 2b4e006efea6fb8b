"""Names for the arrays and small tuples that travel through the library."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

LabelArray: TypeAlias = npt.NDArray[np.integer]
"""(K, J, I) integers, 0 = background."""
MaskArray: TypeAlias = npt.NDArray[np.bool_]
"""(K, J, I) True inside."""
FloatArray: TypeAlias = npt.NDArray[np.floating]
"""Floating-point array; the docstring of its user names the axes."""
HuArray: TypeAlias = npt.NDArray[np.generic]
"""(K, J, I) Hounsfield units, int16 or float32."""

Shape: TypeAlias = tuple[int, int, int]
"""Number of voxels along (k, j, i)."""
Spacing: TypeAlias = tuple[float, float, float]
"""Voxel size in mm along (k, j, i)."""
Box: TypeAlias = tuple[slice, slice, slice]
"""A sub-grid as slices with integer start and stop along (k, j, i)."""
PointLps: TypeAlias = tuple[float, float, float]
"""A position in patient coordinates: mm towards Left, Posterior, Superior."""
Direction: TypeAlias = tuple[PointLps, PointLps, PointLps]
"""Unit vectors in LPS of the k, j and i axes, one per row, in that order."""
