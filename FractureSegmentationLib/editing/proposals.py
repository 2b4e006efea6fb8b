"""Points that part a fragment at a place: what "split here" clicks for the user."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from FractureSegmentationLib.editing.evidence import contact_on
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import Box, FloatArray, LabelArray, MaskArray, PointLps
from FractureSegmentationLib.volume import Volume
from FractureSegmentationLib.voxels.windows import window_maximum

_REACH_MM = 15.0
_CLEAR_MM = 2.0
_LIKELY = 0.5
_FEWEST_VOXELS = 10

Points = tuple[PointLps, PointLps]


def interface_place(fragments: Fragments, a: int, b: int) -> PointLps | None:
    """The place in the middle of where two fragments touch: a voxel centre of the first.

    Returns:
        The place; None where they do not touch.

    Raises:
        ValueError: a label belongs to no fragment.
    """
    boxes = (fragments.record(a).box, fragments.record(b).box)
    low = [max(x.start, y.start, 1) - 1 for x, y in zip(*boxes, strict=True)]
    high = [min(x.stop, y.stop) + 1 for x, y in zip(*boxes, strict=True)]
    if any(stop <= start for start, stop in zip(low, high, strict=True)):
        return None
    k, j, i = (slice(start, stop) for start, stop in zip(low, high, strict=True))
    part = fragments.labels.voxels[k, j, i]
    touching = np.argwhere((part == a) & window_maximum(part == b, 1))
    if not len(touching):
        return None
    spacing = np.asarray(fragments.labels.geometry.spacing_mm)
    gaps = np.square((touching - touching.mean(axis=0)) * spacing).sum(axis=1)
    return _point(fragments.labels.geometry, touching[int(gaps.argmin())] + low)


def points_beside_interface(
    fragments: Fragments, pair: tuple[int, int], place_lps_mm: PointLps
) -> Points | None:
    """The deepest point of each of two fragments close to a place between them."""
    near = _Near.of(fragments, place_lps_mm)
    return _both([near.deepest(near.labels == label) for label in pair])


def points_beside_fracture(
    fragments: Fragments, label: int, place_lps_mm: PointLps, contact: Volume | None
) -> Points | None:
    """A deep point on either side of a sheet of contact through a place within one fragment.

    Without a map, or where it shows no contact there, the fragment is taken to be broken across
    the direction in which it extends most.

    Args:
        fragments: all fragments.
        label: the fragment.
        place_lps_mm: a place on the sheet.
        contact: contact probability, if there is any.

    Returns:
        One point on each side; None where a side holds no bone of the fragment close by.
    """
    near = _Near.of(fragments, place_lps_mm)
    own = near.labels == label
    if np.count_nonzero(own) < _FEWEST_VOXELS:
        return None
    normal = _main_directions(near, own)[0]
    if contact is not None:
        sheet = own & (contact_on(contact, near.geometry) >= _LIKELY)
        if np.count_nonzero(sheet) >= _FEWEST_VOXELS:
            normal = _main_directions(near, sheet)[2]
    height_mm = near.offsets_mm @ normal
    return _both([near.deepest(own & (side * height_mm >= _CLEAR_MM)) for side in (-1.0, 1.0)])


class _Near:
    """What lies around a place.

    Attributes:
        labels: (K, J, I) labels of the box around it.
        geometry: the grid of the box.
        offsets_mm: (K, J, I, 3) where each voxel lies, seen from the place, along (k, j, i).
        is_close: (K, J, I) what lies within reach.
    """

    def __init__(self, labels: LabelArray, geometry: Geometry, offsets_mm: FloatArray) -> None:
        self.labels, self.geometry, self.offsets_mm = labels, geometry, offsets_mm
        self.is_close = np.square(offsets_mm).sum(axis=-1) <= _REACH_MM**2

    @classmethod
    def of(cls, fragments: Fragments, place_lps_mm: PointLps) -> _Near:
        whole = fragments.labels.geometry
        at = whole.to_index(np.asarray(place_lps_mm, float))
        box = _box_around(at, whole)
        start = np.array([side.start for side in box])
        indices = np.moveaxis(np.indices([s.stop - s.start for s in box]), 0, -1)
        offsets_mm = (indices + start - at) * np.asarray(whole.spacing_mm)
        return cls(fragments.labels.voxels[box], whole.cropped(box), offsets_mm)

    def deepest(self, mask: MaskArray) -> PointLps | None:
        """The voxel of a mask, within reach of the place, that lies deepest in it."""
        depth_mm = distance_transform_edt(np.pad(mask, 1), sampling=self.geometry.spacing_mm)[
            1:-1, 1:-1, 1:-1
        ]
        depth_mm = np.where(self.is_close, depth_mm, 0.0)
        if not depth_mm.any():
            return None
        best = np.unravel_index(int(depth_mm.argmax()), mask.shape)
        return _point(self.geometry, np.array(best))


def _box_around(at: FloatArray, geometry: Geometry) -> Box:
    k, j, i = (
        slice(
            int(np.clip(np.floor(centre - _REACH_MM / size), 0, count - 1)),
            int(np.clip(np.ceil(centre + _REACH_MM / size) + 1, 1, count)),
        )
        for centre, size, count in zip(at, geometry.spacing_mm, geometry.shape, strict=True)
    )
    return (k, j, i)


def _main_directions(near: _Near, mask: MaskArray) -> FloatArray:
    """(3, 3) unit vectors along (k, j, i), from the widest extent of a mask to the narrowest."""
    offsets = near.offsets_mm[mask & near.is_close]
    if len(offsets) < _FEWEST_VOXELS:
        offsets = near.offsets_mm[mask]
    _, axes = np.linalg.eigh(np.cov(offsets.T))
    directions: FloatArray = axes.T[::-1]
    return directions


def _both(points: list[PointLps | None]) -> Points | None:
    first, second = points
    return None if first is None or second is None else (first, second)


def _point(geometry: Geometry, index: FloatArray) -> PointLps:
    x, y, z = (float(v) for v in geometry.to_lps(index))
    return (x, y, z)
