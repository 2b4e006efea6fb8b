"""Which regions of a bone touch, over what area, and how well contact supports the parting."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import Box, FloatArray, LabelArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.windows import another_label_near

Pair = tuple[int, int]
"""Two region labels, the smaller one first."""

_CORNER_SHARE = 0.25
"""Area of an edge or corner contact, as a share of the smallest voxel face."""


@dataclass(frozen=True, slots=True)
class Touch:
    """The parting between two regions; touches of merged regions add up.

    Attributes:
        face_mm2: area of the voxel faces between them.
        contact_mm2: the part of it where separation has probability one half or more.
        area_mm2: the area weighted by how much its voxels count, see `touches`.
        supported_mm2: weighted area times the separation probability beside each face.
    """

    face_mm2: float
    contact_mm2: float
    area_mm2: float
    supported_mm2: float

    def __add__(self, other: Touch) -> Touch:
        return Touch(
            self.face_mm2 + other.face_mm2,
            self.contact_mm2 + other.contact_mm2,
            self.area_mm2 + other.area_mm2,
            self.supported_mm2 + other.supported_mm2,
        )

    @property
    def support(self) -> float:
        """Mean separation probability over the area; 1 where there is no area to speak of."""
        return self.supported_mm2 / self.area_mm2 if self.area_mm2 > 0.0 else 1.0

    @property
    def unsupported_mm2(self) -> float:
        """Area through which bone seems to continue."""
        return self.area_mm2 - self.supported_mm2


def touches(
    regions: LabelArray, separation: FloatArray, weight: FloatArray, spacing_mm: Spacing
) -> dict[Pair, Touch]:
    """Measure the parting of every two regions that touch.

    Regions that meet only across edges or corners of voxels, as in a plate one voxel thick, get a
    nominal area, so that they are neighbours all the same.

    Args:
        regions: (K, J, I) labels, 0 = background.
        separation: (K, J, I) how likely fragments part beside the voxel, 0 to 1.
        weight: (K, J, I) how much a voxel counts, 0 to 1: how surely it is bone, less in marrow.
        spacing_mm: voxel size along (k, j, i), in mm.
    """
    box = _box_of_partings(regions)
    if box is None:
        return {}
    padded = np.pad(regions[box], 1)
    here = np.flatnonzero(another_label_near(padded, 1))
    # Voxels beside another region are a small part of the bone; only they are looked at.
    edge = _Edge(
        labels=padded.ravel(),
        separation=np.pad(separation[box], 1).ravel(),
        weight=np.pad(weight[box], 1).ravel(),
        here=here,
    )
    steps = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    faces: dict[Pair, Touch] = {}
    corners: dict[Pair, Touch] = {}
    voxel_mm3 = float(np.prod(spacing_mm))
    corner_mm2 = _CORNER_SHARE * float(np.prod(sorted(spacing_mm)[:2]))
    for offset in itertools.product((-1, 0, 1), repeat=3):
        if offset <= (0, 0, 0):
            continue
        is_face = sum(map(abs, offset)) == 1
        area_mm2 = voxel_mm3 / spacing_mm[offset.index(1)] if is_face else corner_mm2
        edge.measure(int(np.dot(offset, steps)), area_mm2, faces if is_face else corners)
    return {**corners, **faces}


def _box_of_partings(regions: LabelArray) -> Box | None:
    """Where regions can touch: beside all but the largest, one of two is always among those."""
    sizes = np.bincount(regions[regions != 0])
    if np.count_nonzero(sizes) < 2:
        return None
    return bounding_box((regions != 0) & (regions != sizes.argmax()), margin=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    """Flat arrays of a padded grid, and the voxels `here` that lie beside another region."""

    labels: npt.NDArray[np.integer]
    separation: FloatArray
    weight: FloatArray
    here: npt.NDArray[np.intp]

    def measure(self, step: int, area_mm2: float, totals: dict[Pair, Touch]) -> None:
        """Add what lies between each voxel and the one `step` further on to `totals`."""
        a, b = self.labels[self.here], self.labels[self.here + step]
        differ = (b != 0) & (a != b)
        here, a, b = self.here[differ], a[differ].astype(np.int64), b[differ].astype(np.int64)
        if not here.size:
            return
        there = here + step
        base = int(max(a.max(), b.max())) + 1
        keys, inverse = np.unique(np.minimum(a, b) * base + np.maximum(a, b), return_inverse=True)
        areas = np.full(here.size, area_mm2)
        sure = areas * np.minimum(self.weight[here], self.weight[there])
        likely = np.maximum(self.separation[here], self.separation[there])
        columns = (areas, areas * (likely >= 0.5), sure, sure * likely)
        sums = np.stack([np.bincount(inverse, weights=c) for c in columns], axis=1)
        for key, values in zip(keys.tolist(), sums.tolist(), strict=True):
            pair = (key // base, key % base)
            touch = Touch(*values)
            totals[pair] = totals[pair] + touch if pair in totals else touch
