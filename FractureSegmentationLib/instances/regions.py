"""Regions of a bone and the contact areas between them: measured, kept as a graph, described.

A contact area is where the voxels of two regions meet; its support is how far the predicted contact
separates them there.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects

from FractureSegmentationLib.instances.result import Interface
from FractureSegmentationLib.types import Box, FloatArray, LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.distance import distance_to_mm
from FractureSegmentationLib.voxels.windows import another_label_near, window_maximum

Pair = tuple[int, int]
"""Two region labels, the smaller one first."""

_CORNER_SHARE = 0.25
"""Area of an edge or corner contact, as a share of the smallest voxel face."""


@dataclass(frozen=True, slots=True)
class ContactArea:
    """The area in which two regions meet; those of merged regions add up.

    Attributes:
        face_mm2: area of the voxel faces between them.
        contact_mm2: the part of it where separation has probability one half or more.
        area_mm2: the area weighted by how much its voxels count, see `contact_areas`.
        supported_mm2: weighted area times the separation probability beside each face.
    """

    face_mm2: float
    contact_mm2: float
    area_mm2: float
    supported_mm2: float

    def __add__(self, other: ContactArea) -> ContactArea:
        return ContactArea(
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

    def neck(self, smaller_mm3: float) -> float:
        """Unsupported area as a share of the smaller region's volume^(2/3)."""
        return self.unsupported_mm2 / float(np.cbrt(max(smaller_mm3, 1e-9))) ** 2


def contact_areas(
    regions: LabelArray, separation: FloatArray, weight: FloatArray, spacing_mm: Spacing
) -> dict[Pair, ContactArea]:
    """Measure the contact area of every two regions that touch.

    Regions that meet only across edges or corners of voxels, as in a plate one voxel thick, get a
    nominal area, so that they are neighbours all the same.

    Args:
        regions: (K, J, I) labels, 0 = background.
        separation: (K, J, I) how likely fragments meet beside the voxel, 0 to 1.
        weight: (K, J, I) how much a voxel counts, 0 to 1: how surely it is bone, less in marrow.
        spacing_mm: voxel size along (k, j, i), in mm.
    """
    box = _box_of_contacts(regions)
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
    faces: dict[Pair, ContactArea] = {}
    corners: dict[Pair, ContactArea] = {}
    voxel_mm3 = float(np.prod(spacing_mm))
    corner_mm2 = _CORNER_SHARE * float(np.prod(sorted(spacing_mm)[:2]))
    for offset in itertools.product((-1, 0, 1), repeat=3):
        if offset <= (0, 0, 0):
            continue
        is_face = sum(map(abs, offset)) == 1
        area_mm2 = voxel_mm3 / spacing_mm[offset.index(1)] if is_face else corner_mm2
        edge.measure(int(np.dot(offset, steps)), area_mm2, faces if is_face else corners)
    return {**corners, **faces}


class RegionGraph:
    """Regions, their volumes and their contact areas; merging two adds both up.

    Args:
        volumes_mm3: volume per region label.
        areas: contact area per pair of touching regions.
    """

    def __init__(self, volumes_mm3: Mapping[int, float], areas: Mapping[Pair, ContactArea]) -> None:
        self._volumes_mm3 = dict(volumes_mm3)
        self._areas: dict[int, dict[int, ContactArea]] = {label: {} for label in volumes_mm3}
        for (a, b), area in areas.items():
            self._areas[a][b] = area
            self._areas[b][a] = area
        self._absorbed_by: dict[int, int] = {}

    @property
    def labels(self) -> tuple[int, ...]:
        """The regions that are left."""
        return tuple(self._volumes_mm3)

    def volume_mm3(self, label: int) -> float:
        """Volume of a region with all it absorbed."""
        return self._volumes_mm3[label]

    def neighbours(self, label: int) -> Mapping[int, ContactArea]:
        """The contact areas of a region, by neighbour."""
        return self._areas[label]

    def merge(self, a: int, b: int) -> int:
        """Join two regions; the larger one keeps its label, which is returned."""
        keep, gone = (a, b) if self._volumes_mm3[a] >= self._volumes_mm3[b] else (b, a)
        self._volumes_mm3[keep] += self._volumes_mm3.pop(gone)
        for other, area in self._areas.pop(gone).items():
            del self._areas[other][gone]
            if other != keep:
                known = self._areas[keep].get(other)
                total = area if known is None else known + area
                self._areas[keep][other] = total
                self._areas[other][keep] = total
        self._absorbed_by[gone] = keep
        return keep

    def final_label(self, label: int) -> int:
        """The region that holds `label` now."""
        while label in self._absorbed_by:
            label = self._absorbed_by[label]
        return label


def describe_interfaces(
    labels: LabelArray,
    separation: FloatArray,
    contact: FloatArray,
    weight: FloatArray,
    spacing_mm: Spacing,
    reach_mm: float,
) -> tuple[Interface, ...]:
    """One entry per pair of touching fragments, in the order of their labels.

    Args:
        labels: (K, J, I) fragments 1..n of one bone, 0 outside.
        separation: (K, J, I) separation probability close to each voxel.
        contact: (K, J, I) contact probability.
        weight: (K, J, I) how much a voxel counts, 0 to 1, see `Evidence.weight`.
        spacing_mm: voxel size along (k, j, i), in mm.
        reach_mm: what counts as close to an interface.
    """
    if int(labels.max(initial=0)) < 2:
        return ()
    areas = contact_areas(labels, separation, weight, spacing_mm)
    sizes_mm3 = np.bincount(labels[labels != 0]) * float(np.prod(spacing_mm))
    boxes = find_objects(labels)
    margin = int(reach_mm / min(spacing_mm)) + 2
    return tuple(
        Interface(
            a=a,
            b=b,
            area_mm2=area.face_mm2,
            contact_area_mm2=area.contact_mm2,
            support=area.support,
            mean_contact=_mean_close_by(
                labels,
                (a, b),
                _meeting_box(labels, (a, b), (boxes[a - 1], boxes[b - 1]), margin),
                contact,
                spacing_mm,
                reach_mm,
            ),
            neck=area.neck(float(min(sizes_mm3[a], sizes_mm3[b]))),
        )
        for (a, b), area in sorted(areas.items())
    )


def _box_of_contacts(regions: LabelArray) -> Box | None:
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

    def measure(self, step: int, area_mm2: float, totals: dict[Pair, ContactArea]) -> None:
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
            area = ContactArea(*values)
            totals[pair] = totals[pair] + area if pair in totals else area


def _mean_close_by(
    labels: LabelArray,
    pair: Pair,
    box: Box,
    contact: FloatArray,
    spacing_mm: Spacing,
    reach_mm: float,
) -> float:
    """Mean over the voxels of both fragments at most `reach_mm` from one on the interface."""
    is_a, is_b = (labels[box] == label for label in pair)
    on_interface = (is_a & _beside(is_b)) | (is_b & _beside(is_a))
    distance_mm = distance_to_mm(on_interface, spacing_mm, reach_mm + max(spacing_mm))
    close = (is_a | is_b) & (distance_mm <= reach_mm)
    return float(contact[box][close].mean())


def _beside(mask: MaskArray) -> MaskArray:
    near: MaskArray = window_maximum(mask, 1)
    return near


def _meeting_box(labels: LabelArray, pair: Pair, boxes: tuple[Box, Box], margin: int) -> Box:
    """The box in which two touching fragments meet, with a margin within the grid.

    Only the overlap of their boxes is searched: a part of the bone, and for small fragments
    a small one.
    """
    overlap = tuple(
        slice(max(a.start, b.start, 1) - 1, min(a.stop, b.stop) + 1)
        for a, b in zip(*boxes, strict=True)
    )
    is_a, is_b = (labels[overlap] == label for label in pair)
    meeting = bounding_box(_beside(is_a) & is_b)
    if meeting is None:
        raise ValueError("the regions do not touch")
    k, j, i = (
        slice(max(at.start + side.start - margin, 0), min(at.start + side.stop + margin, count))
        for at, side, count in zip(overlap, meeting, labels.shape, strict=True)
    )
    return (k, j, i)
