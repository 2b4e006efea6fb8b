"""The voxel faces between the regions of a bone, and what is seen at each of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from FractureSegmentationLib.instances.evidence import Evidence, Probability
from FractureSegmentationLib.types import HuArray, LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.distance import distance_to_mm
from FractureSegmentationLib.voxels.windows import (
    another_label_near,
    window_maximum,
    window_minimum,
)

Pair = tuple[int, int]
"""Two region labels, the smaller one first."""
Values = npt.NDArray[np.float32]

_CORNER_SHARE = 0.25
"""Area of an edge or corner contact, as a share of the smallest voxel face."""
_WIDE_MM = 2.0
_SMOOTH_MM = 1.5
_DEEPEST_MM = 12.0
_CRACK_MM = 2.5
_NOISE_MM = 0.7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceFields:
    """What is known at every voxel of a bone, all (K, J, I) float32, 0 outside it.

    Attributes:
        contact: contact probability.
        wide: the greatest of it within 2 mm.
        smooth: its mean around the voxel, within the bone (Gaussian of 1.5 mm).
        boundary: boundary probability.
        foreground: probability of bone.
        depth_mm: distance to the bone's surface, at most 12 mm.
        dark: how much darker the voxel is than the brighter bone on both sides of it, in standard
            deviations of the bone's HU; 0 without a CT.
    """

    contact: Probability
    wide: Probability
    smooth: Probability
    boundary: Probability
    foreground: Probability
    depth_mm: Values
    dark: Values

    @classmethod
    def of(cls, evidence: Evidence, hu: HuArray | None) -> FaceFields:
        """Look at a bone.

        Args:
            evidence: its map.
            hu: (K, J, I) the CT on the same grid; None where it is not known.
        """
        bone, spacing_mm = evidence.bone, evidence.spacing_mm
        reach = [round(_WIDE_MM / s) for s in spacing_mm]
        outside = np.pad(~bone, 1, constant_values=True)
        depth_mm = distance_to_mm(outside, spacing_mm, _DEEPEST_MM)[1:-1, 1:-1, 1:-1]
        inside = bone.astype(np.float32)
        return cls(
            contact=evidence.contact,
            wide=window_maximum(evidence.contact, (reach[0], reach[1], reach[2])) * inside,
            smooth=mean_within(evidence.contact, bone, spacing_mm, _SMOOTH_MM),
            boundary=evidence.boundary,
            foreground=evidence.foreground,
            depth_mm=np.minimum(depth_mm, _DEEPEST_MM).astype(np.float32) * inside,
            dark=np.zeros(bone.shape, np.float32)
            if hu is None
            else crack_darkness(hu, bone, spacing_mm),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Faces:
    """The faces where two regions meet, one row each; those of merged regions are put together.

    Attributes:
        area_mm2: (N,) area.
        point_mm: (N, 3) position along (k, j, i).
        contact, wide, smooth, boundary: (N,) the greater value of the two voxels.
        foreground, depth_mm: (N,) the smaller value of the two.
        dark: (N,) the greater value of the two.
    """

    area_mm2: Values
    point_mm: Values
    contact: Values
    wide: Values
    smooth: Values
    boundary: Values
    foreground: Values
    depth_mm: Values
    dark: Values

    def __add__(self, other: Faces) -> Faces:
        return Faces(
            **{
                name: np.concatenate([getattr(self, name), getattr(other, name)])
                for name in _FIELDS
            }
        )


_GREATER = ("contact", "wide", "smooth", "boundary", "dark")
_SMALLER = ("foreground", "depth_mm")
_FIELDS = ("area_mm2", "point_mm", *_GREATER, *_SMALLER)


def faces_between(
    regions: LabelArray, fields: FaceFields, spacing_mm: Spacing
) -> Mapping[Pair, Faces]:
    """The faces between every two regions that touch.

    Regions that meet only across edges or corners of voxels, as in a plate one voxel thick, get
    these as faces of a nominal area, so that they are neighbours all the same.

    Args:
        regions: (K, J, I) labels, 0 = background.
        fields: what is known at every voxel.
        spacing_mm: voxel size along (k, j, i), in mm.
    """
    padded = np.pad(regions, 1)
    here = np.flatnonzero(another_label_near(padded, 1))
    flat = {name: np.pad(getattr(fields, name), 1).reshape(-1) for name in (*_GREATER, *_SMALLER)}
    grid = _Grid(labels=padded.reshape(-1), shape=padded.shape, flat=flat, spacing_mm=spacing_mm)
    voxel_mm3 = float(np.prod(spacing_mm))
    corner_mm2 = _CORNER_SHARE * float(np.prod(sorted(spacing_mm)[:2]))
    touching: dict[Pair, list[Faces]] = {}
    corners: dict[Pair, list[Faces]] = {}
    for offset in itertools.product((-1, 0, 1), repeat=3):
        if offset <= (0, 0, 0):
            continue
        is_face = sum(map(abs, offset)) == 1
        area_mm2 = voxel_mm3 / spacing_mm[offset.index(1)] if is_face else corner_mm2
        for pair, faces in grid.faces_along(here, offset, area_mm2):
            (touching if is_face else corners).setdefault(pair, []).append(faces)
    return {pair: _together(parts) for pair, parts in {**corners, **touching}.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Grid:
    """Flat arrays of a padded grid."""

    labels: npt.NDArray[np.integer]
    shape: tuple[int, ...]
    flat: Mapping[str, Values]
    spacing_mm: Spacing

    def faces_along(
        self, here: npt.NDArray[np.intp], offset: tuple[int, ...], area_mm2: float
    ) -> list[tuple[Pair, Faces]]:
        """Faces between the voxels `here` and those one offset further on, pair by pair."""
        step = int(np.dot(offset, [self.shape[1] * self.shape[2], self.shape[2], 1]))
        a, b = self.labels[here], self.labels[here + step]
        differ = (a != 0) & (b != 0) & (a != b)
        here, a, b = here[differ], a[differ].astype(np.int64), b[differ].astype(np.int64)
        if not here.size:
            return []
        base = int(max(a.max(), b.max())) + 1
        keys = np.minimum(a, b) * base + np.maximum(a, b)
        order = np.argsort(keys, kind="stable")
        found, starts = np.unique(keys[order], return_index=True)
        return [
            ((int(key) // base, int(key) % base), self._described(here[rows], offset, area_mm2))
            for key, rows in zip(found, np.split(order, starts[1:]), strict=True)
        ]

    def _described(
        self, here: npt.NDArray[np.intp], offset: tuple[int, ...], area_mm2: float
    ) -> Faces:
        step = int(np.dot(offset, [self.shape[1] * self.shape[2], self.shape[2], 1]))
        index = np.stack(np.unravel_index(here, self.shape), axis=1) - 1 + np.asarray(offset) / 2.0
        there = here + step
        greater = {n: np.maximum(self.flat[n][here], self.flat[n][there]) for n in _GREATER}
        smaller = {n: np.minimum(self.flat[n][here], self.flat[n][there]) for n in _SMALLER}
        return Faces(
            area_mm2=np.full(here.size, area_mm2, np.float32),
            point_mm=(index * np.asarray(self.spacing_mm)).astype(np.float32),
            **greater,
            **smaller,
        )


def _together(parts: list[Faces]) -> Faces:
    return Faces(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS}
    )


def mean_within(
    values: Values, mask: MaskArray, spacing_mm: Spacing, sigma_mm: float
) -> Probability:
    """Gaussian mean over the voxels of a mask alone.

    Args:
        values: (K, J, I) any values.
        mask: (K, J, I) whose values count.
        spacing_mm: voxel size along (k, j, i), in mm.
        sigma_mm: standard deviation of the Gaussian.

    Returns:
        (K, J, I) float32, 0 outside the mask.
    """
    sigma = [sigma_mm / s for s in spacing_mm]
    weight = gaussian_filter(mask.astype(np.float32), sigma, truncate=2.5)
    total = gaussian_filter(np.where(mask, values, np.float32(0.0)), sigma, truncate=2.5)
    mean: Probability = np.where(mask, total / np.maximum(weight, 1e-3), np.float32(0.0))
    return mean.astype(np.float32)


def crack_darkness(hu: HuArray, bone: MaskArray, spacing_mm: Spacing) -> Values:
    """How much darker each voxel is than the brighter bone on both sides of it.

    Args:
        hu: (K, J, I) the CT; what lies outside the bone is not looked at.
        bone: (K, J, I) where to look.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) what a grey closing of 2.5 mm adds, in standard deviations of the bone's HU; 0
        outside the bone.
    """
    smooth = mean_within(np.asarray(hu, np.float32), bone, spacing_mm, _NOISE_MM)
    k, j, i = (max(1, round(_CRACK_MM / s)) for s in spacing_mm)
    bright = np.where(bone, smooth, np.float32(-1000.0))
    closed = window_minimum(window_maximum(bright, (k, j, i)), (k, j, i))
    deviation = max(float(smooth[bone].std()), 1.0) if bone.any() else 1.0
    dark = np.where(bone, np.maximum(closed - smooth, 0.0) / deviation, 0.0)
    return dark.astype(np.float32)
