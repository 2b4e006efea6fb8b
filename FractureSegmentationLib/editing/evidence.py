"""Where a cut should run: contact probability, or CT intensity where there is no map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform, gaussian_filter

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import MaskArray, Spacing
from FractureSegmentationLib.volume import Volume
from FractureSegmentationLib.voxels.windows import window_maximum, window_minimum

_CERTAIN = 255.0
_LIKELY = 0.5
_NOISE_MM = 0.7
_CRACK_MM = 2.5
_DEEPEST_SHARE = 0.98
_OUTSIDE_HU = -500.0
_GRID_TOLERANCE_VOXELS = 1e-3

Probability = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutEvidence:
    """What is known of a CT's fractures; either part may be absent.

    Attributes:
        contact: contact probability, 0 to 1, or 0 to 255 as `contact.nrrd` of a result holds it
            (integers); on any grid, 0 beyond it.
        ct: the CT, in HU.
    """

    contact: Volume | None = None
    ct: Volume | None = None

    def separation(self, fragment: MaskArray, geometry: Geometry) -> tuple[Probability, bool]:
        """How likely two fragments part at each voxel of a fragment.

        The map is asked first. Where it sees no likely contact in the whole fragment, or there is
        none, cracks are looked for in the CT: dark lines between brighter bone. Without either,
        every voxel counts alike.

        Args:
            fragment: (K, J, I) the fragment.
            geometry: its grid.

        Returns:
            (K, J, I) values from 0 to 1, 0 outside the fragment; and whether they come from a map.
        """
        if self.contact is not None:
            values = np.where(fragment, contact_on(self.contact, geometry), np.float32(0.0))
            if values.max() >= _LIKELY:
                return values, True
        if self.ct is not None:
            return crack_likelihood(
                sampled(self.ct, geometry), fragment, geometry.spacing_mm
            ), False
        return np.zeros(fragment.shape, np.float32), False


def contact_on(contact: Volume, geometry: Geometry) -> Probability:
    """Contact probability, 0 to 1, on another grid; integers count up to 255."""
    values = sampled(contact, geometry)
    if np.issubdtype(contact.voxels.dtype, np.integer):
        values /= np.float32(_CERTAIN)
    return np.clip(values, 0.0, 1.0, out=values)


def crack_likelihood(hu: Probability, bone: MaskArray, spacing_mm: Spacing) -> Probability:
    """How much darker each voxel is than the brighter bone on both sides of it, from 0 to 1.

    Args:
        hu: (K, J, I) the CT; what lies outside the bone is not looked at.
        bone: (K, J, I) where to look.
        spacing_mm: voxel size along (k, j, i), in mm.
    """
    sigma = [_NOISE_MM / s for s in spacing_mm]
    weight = gaussian_filter(bone.astype(np.float32), sigma, truncate=3.0)
    smooth = gaussian_filter(np.where(bone, hu, np.float32(0.0)), sigma, truncate=3.0)
    smooth /= np.maximum(weight, np.float32(1e-3))
    smooth[~bone] = _OUTSIDE_HU
    k, j, i = (max(1, round(_CRACK_MM / s)) for s in spacing_mm)
    closed = window_minimum(window_maximum(smooth, (k, j, i)), (k, j, i))
    depth: Probability = np.where(bone, closed - smooth, np.float32(0.0))
    deepest = float(np.quantile(depth[bone], _DEEPEST_SHARE)) if bone.any() else 0.0
    return np.clip(depth / np.float32(deepest), 0.0, 1.0) if deepest > 0.0 else depth


def sampled(volume: Volume, geometry: Geometry) -> Probability:
    """Values of a volume on another grid of any direction, linear in between, 0 beyond it."""
    own = volume.geometry
    corners = own.to_index(geometry.to_lps(np.vstack([np.zeros(3), np.eye(3)])))
    offset = corners[0]
    matrix = (corners[1:] - offset).T
    start = np.rint(offset).astype(int)
    far = np.asarray(geometry.shape) - 1
    drift = np.abs(matrix @ far + offset - (start + far)).max()
    is_aligned = drift + np.abs(offset - start).max() < _GRID_TOLERANCE_VOXELS
    if is_aligned and np.abs(matrix - np.eye(3)).max() < _GRID_TOLERANCE_VOXELS:
        return _part(volume, start, geometry)
    return np.asarray(
        affine_transform(
            volume.voxels.astype(np.float32),
            matrix,
            offset,
            output_shape=geometry.shape,
            order=1,
            mode="constant",
        )
    )


def _part(volume: Volume, start: npt.NDArray[np.int64], geometry: Geometry) -> Probability:
    part = np.zeros(geometry.shape, np.float32)
    stop = start + geometry.shape
    low = np.clip(start, 0, volume.geometry.shape)
    high = np.clip(stop, low, volume.geometry.shape)
    here = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
    part[here] = volume.voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return part
