"""Which fragments a plan moves, and the label maps after it, resampled on the grid they were on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform, find_objects

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.planning.pose import Pose
from FractureSegmentationLib.results.layers import LayeredLabels, LayeredSegment
from FractureSegmentationLib.types import Box, LabelArray, MaskArray
from FractureSegmentationLib.voxels.boxes import box_between

_Index = npt.NDArray[np.float64]
_LONGEST_LIST = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MovedLabels:
    """A segmentation after a plan.

    Attributes:
        labels: on the same grid; fragments that overlap now lie in layers of their own.
        warnings: what overlaps and what has left the grid, one sentence each.
    """

    labels: LayeredLabels
    warnings: tuple[str, ...] = ()


def move_labels(labels: LayeredLabels, poses: Mapping[str, Pose]) -> MovedLabels:
    """Move the voxels of some segments: every voxel takes the nearest one of where it came from.

    Args:
        labels: the segmentation.
        poses: (4, 4) in LPS, mm by segment id; a segment without one is not touched.
    """
    moving = [one for one in labels.filled() if one.segment.id in poses]
    if not moving:
        return MovedLabels(labels=labels)
    stack = _Stack.without(labels, moving)
    warnings: list[str] = []
    for one in moving:
        part, lost = _moved_part(labels, one, poses[one.segment.id])
        if lost > 0.0:
            warnings.append(
                f"{one.segment.name}: {100 * lost:.0f} % of it leave the grid of the CT in the "
                "plan and are cut off."
            )
        for other, count in stack.under(part):
            volume_mm3 = count * labels.geometry.voxel_volume_mm3
            warnings.append(
                f"{other.name} and {one.segment.name} overlap by {volume_mm3:.0f} mm³ in the plan."
            )
        stack.add(one, part)
    return MovedLabels(labels=stack.as_labels(labels), warnings=tuple(warnings))


def moving_poses(poses: Mapping[str, Pose], known: Iterable[str]) -> dict[str, Pose]:
    """The poses that move something.

    Args:
        poses: a pose per fragment id.
        known: ids of the fragments there are.

    Raises:
        InputError: a fragment is not among them; the message names it.
    """
    ids = list(known)
    strange = [repr(fragment) for fragment in poses if fragment not in set(ids)]
    if strange:
        raise InputError(
            f"The plan moves fragments that the segmentation does not hold: {_listed(strange)}.",
            f"It holds: {_listed(ids)}.",
        )
    return {name: pose for name, pose in poses.items() if not np.array_equal(pose, np.eye(4))}


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Voxels of one segment: a box of the grid, and a mask in it."""

    box: Box
    mask: MaskArray


@dataclass(slots=True)
class _Stack:
    """Layers that are being filled.

    Attributes:
        layers: (K, J, I) labels.
        owners: the segments of every layer by label value.
    """

    layers: list[LabelArray]
    owners: list[dict[int, Segment]]
    placed: dict[str, int] = field(default_factory=dict)

    @classmethod
    def without(cls, labels: LayeredLabels, moving: list[LayeredSegment]) -> _Stack:
        """The layers without the segments that move."""
        layers, owners = [], []
        for index, layer in enumerate(labels.layers):
            values = [one.segment.label_value for one in moving if one.layer == index]
            layers.append(np.where(np.isin(layer.voxels, values), 0, layer.voxels))
            owners.append(
                {
                    one.segment.label_value: one.segment
                    for one in labels.segments
                    if one.layer == index and one not in moving
                }
            )
        return cls(layers=layers, owners=owners)

    def under(self, part: _Part) -> Iterator[tuple[Segment, int]]:
        """The segments that have voxels of `part`, and how many."""
        for layer, owners in zip(self.layers, self.owners, strict=True):
            values, counts = np.unique(layer[part.box][part.mask], return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                if value in owners:
                    yield owners[value], count

    def add(self, one: LayeredSegment, part: _Part) -> None:
        """Put a segment into its own layer, or else into the first one where it overlaps nothing.

        Others of its layer may have taken its place meanwhile; a new layer is always free.
        """
        value = one.segment.label_value
        others = [index for index in range(len(self.layers)) if index != one.layer]
        for index in (one.layer, *others):
            is_free = not self.layers[index][part.box][part.mask].any()
            if is_free and value not in self.owners[index]:
                break
        else:
            index = len(self.layers)
            self.layers.append(np.zeros_like(self.layers[0]))
            self.owners.append({})
        self.layers[index][part.box][part.mask] = value
        self.owners[index][value] = one.segment
        self.placed[one.segment.id] = index

    def as_labels(self, before: LayeredLabels) -> LayeredLabels:
        """The finished segmentation, its segments in the order they had."""
        return LayeredLabels(
            layers=tuple(before.layers[0].with_voxels(layer) for layer in self.layers),
            segments=tuple(
                replace(one, layer=self.placed.get(one.segment.id, one.layer))
                for one in before.segments
            ),
        )


def _moved_part(labels: LayeredLabels, one: LayeredSegment, pose: Pose) -> tuple[_Part, float]:
    """Where a segment is after its pose, and which share of it has left the grid."""
    mask, first = _cut_out(labels.mask(one))
    geometry = labels.geometry
    low, high = _reach(mask, first, geometry, pose)
    matrix, offset = _index_map(geometry, np.linalg.inv(pose).astype(np.float64))
    # Outside the mask there is nothing; the mask has a border, for scipy takes none past its edge.
    whole = affine_transform(
        mask.astype(np.uint8),
        matrix,
        offset=matrix @ low + offset - first,
        output_shape=tuple((high - low).tolist()),
        order=0,
    ).astype(bool)
    begin = np.clip(low, 0, geometry.shape)
    end = np.maximum(np.clip(high, 0, geometry.shape), begin)
    inside = whole[box_between(begin - low, end - low)]
    total = np.count_nonzero(whole)
    lost = 1.0 - np.count_nonzero(inside) / total if total else 0.0
    return _Part(box_between(begin, end), inside), lost


def _cut_out(mask: MaskArray) -> tuple[MaskArray, npt.NDArray[np.int64]]:
    """The mask's box with a border of one empty voxel, and the index of its first voxel."""
    (box,) = find_objects(mask.astype(np.uint8))
    return np.pad(mask[box], 1), np.array([side.start for side in box]) - 1


def _reach(
    mask: MaskArray, first: npt.NDArray[np.int64], geometry: Geometry, pose: Pose
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and last + 1 index of a box that holds the moved mask; it may lie off the grid."""
    matrix, offset = _index_map(geometry, pose)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in mask.shape])).reshape(3, -1).T + first
    moved = corners @ matrix.T + offset
    low = np.floor(moved.min(axis=0)).astype(np.int64)
    return low, np.ceil(moved.max(axis=0)).astype(np.int64) + 1


def _index_map(geometry: Geometry, pose: Pose) -> tuple[_Index, _Index]:
    """A motion in LPS, mm as matrix and offset on (k, j, i) indices."""
    steps = np.vstack([np.zeros((1, 3)), np.eye(3)])
    points = geometry.to_lps(steps) @ pose[:3, :3].T + pose[:3, 3]
    images = geometry.to_index(points)
    return (images[1:] - images[0]).T, images[0]


def _listed(names: list[str]) -> str:
    more = len(names) - _LONGEST_LIST
    return ", ".join(names[:_LONGEST_LIST]) + (f" and {more} more" if more > 0 else "")
