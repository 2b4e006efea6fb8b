"""Put moved fragments together in one scene: HU by soft coverage, labels by membership."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import (
    binary_dilation,
    distance_transform_edt,
    gaussian_filter,
    map_coordinates,
    maximum_filter,
    spline_filter,
)

from fracseg_training.simulate.bone_points import voxels_by_label
from fracseg_training.simulate.pose import Pose
from FractureSegmentationLib.types import MaskArray, Spacing

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
_SHELL = 2
_EDGE_SIGMA = 0.5
_MARGIN = _SHELL + 3


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """The broken bone before anything moves.

    Attributes:
        hu: (K, J, I) HU with cracks drawn.
        labels: (K, J, I) fragments.
        shell: (K, J, I) the same grown by two voxels into the surroundings, which carry the
            partial volume of the bone's surface.
        shell_voxels: per label, the (n, 3) voxels of the shell.
        spacing_mm: voxel size along (k, j, i), in mm.
    """

    hu: Float32Array
    labels: IntArray
    shell: IntArray
    shell_voxels: list[npt.NDArray[np.int64]]
    spacing_mm: Spacing


def make_source(hu: Float32Array, labels: IntArray, spacing_mm: Spacing) -> Source:
    """A source with its shell."""
    grown = maximum_filter(labels.astype(np.uint8), size=2 * _SHELL + 1)
    shell = np.where(labels > 0, labels, grown).astype(np.int32)
    return Source(
        hu=hu,
        labels=labels,
        shell=shell,
        shell_voxels=voxels_by_label(shell),
        spacing_mm=spacing_mm,
    )


def assemble(source: Source, moved: dict[int, Pose], densify: float) -> Scene:
    """Place every fragment, those that stay first.

    Args:
        source: the broken bone.
        moved: pose of each fragment that moves.
        densify: share of the overlapping bone's HU that is added where bone meets bone.

    Returns:
        The scene, grown as far as the fragments reach.
    """
    spacing = np.asarray(source.spacing_mm)
    low = np.zeros(3)
    high = np.asarray(source.labels.shape, float)
    for label, pose in moved.items():
        index = pose.apply(source.shell_voxels[label] * spacing) / spacing
        low, high = np.minimum(low, index.min(axis=0)), np.maximum(high, index.max(axis=0))
    origin = np.ceil(-low).astype(np.int64) + (low < 0) * 2
    end = np.ceil(high).astype(np.int64) + (high > source.labels.shape) * 3
    size = origin + end
    scene = empty_scene((int(size[0]), int(size[1]), int(size[2])), origin)
    stays = [v for v in range(1, len(source.shell_voxels)) if v not in moved]
    _place_unmoved(scene, source, stays)
    for label, pose in moved.items():
        _place_moved(scene, source, label, pose, densify)
    return scene


def close_narrow_gaps(scene: Scene) -> IntArray:
    """(K, J, I) labels with gaps of about one voxel between two fragments given to the nearer."""
    labels = scene.labels.copy()
    gap = np.argwhere((labels == 0) & (scene.member > 0.02))
    inner = ((gap > 0) & (gap < np.asarray(labels.shape) - 1)).all(axis=1)
    gap = gap[inner]
    largest = np.zeros(len(gap), np.int32)
    smallest = np.full(len(gap), np.iinfo(np.int32).max, np.int32)
    for shift in np.ndindex(3, 3, 3):
        other = scene.labels[tuple((gap + np.array(shift) - 1).T)]
        largest = np.maximum(largest, other)
        smallest = np.where(other > 0, np.minimum(smallest, other), smallest)
    between = (largest > 0) & (smallest < largest)
    chosen = tuple(gap[between].T)
    labels[chosen] = scene.nearest[chosen]
    return labels


def _place_unmoved(scene: Scene, source: Source, labels: list[int]) -> None:
    """Place fragments that stay where they were; their fracture faces get a soft edge."""
    box = tuple(
        slice(int(o), int(o) + n) for o, n in zip(scene.origin, source.labels.shape, strict=True)
    )
    chosen = np.zeros(int(source.shell.max()) + 1, bool)
    chosen[labels] = True
    inside = chosen[source.shell].astype(np.float32)
    coverage = (
        gaussian_filter(inside, _EDGE_SIGMA, truncate=3.0) if not chosen[1:].all() else inside
    )
    kept = np.where(chosen[source.labels], source.labels, 0)
    scene.coverage[box] += coverage
    scene.hu[box] += coverage * source.hu
    scene.labels[box] = kept
    scene.nearest[box] = kept
    scene.member[box] = kept > 0


def _place_moved(scene: Scene, source: Source, label: int, pose: Pose, densify: float) -> None:
    """Resample one fragment at its pose and place it; where it meets bone the deeper one stays.

    Args:
        scene: changed in place.
        source: the bone before anything moved.
        label: the fragment.
        pose: its movement.
        densify: share of the overlapping bone's HU that is added where bone meets bone.
    """
    spacing = np.asarray(source.spacing_mm)
    own = source.shell_voxels[label]
    low, high = own.min(axis=0) - _MARGIN, own.max(axis=0) + _MARGIN + 1
    low, high = np.maximum(low, 0), np.minimum(high, source.shell.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    target = _target_voxels(pose.apply(own * spacing) / spacing + scene.origin, scene.labels.shape)
    at = pose.undo((target - scene.origin) * spacing) / spacing - low
    covered = _sample((source.shell[box] == label).astype(np.float32), at, order=1)
    member = _sample((source.labels[box] == label).astype(np.float32), at, order=1)
    hu = _sample(source.hu[box], at, order=3)
    place = tuple(target.T)
    collides = (member >= 0.5) & (scene.labels[place] > 0)
    if collides.any():
        _crush(scene, target, member, hu, label, densify)
    else:
        _take(scene, target[member >= 0.5], label)
    closer = member > scene.member[place]
    near = tuple(target[closer].T)
    scene.nearest[near] = label
    scene.member[near] = member[closer]
    scene.coverage[place] += covered
    scene.hu[place] += covered * hu


def _target_voxels(
    points: npt.NDArray[np.floating], shape: tuple[int, ...]
) -> npt.NDArray[np.int64]:
    """(T, 3) voxels within one or two steps of scattered positions."""
    index = np.round(points).astype(np.int64)
    low, high = index.min(axis=0) - 2, index.max(axis=0) + 3
    mask = np.zeros(high - low, bool)
    mask[tuple((index - low).T)] = True
    target = np.argwhere(binary_dilation(mask, np.ones((3, 3, 3), bool))) + low
    inside = ((target >= 0) & (target < np.asarray(shape))).all(axis=1)
    kept: npt.NDArray[np.int64] = target[inside]
    return kept


def _sample(array: Float32Array, at: npt.NDArray[np.floating], order: int) -> Float32Array:
    source = spline_filter(array, order=3, output=np.float32) if order == 3 else array
    values: Float32Array = map_coordinates(
        source, at.T, order=order, mode="nearest", prefilter=False, output=np.float32
    )
    return values


def _take(scene: Scene, voxels: npt.NDArray[np.int64], label: int) -> None:
    scene.labels[tuple(voxels.T)] = label


def _crush(
    scene: Scene,
    target: npt.NDArray[np.int64],
    member: Float32Array,
    hu: Float32Array,
    label: int,
    densify: float,
) -> None:
    """Settle an overlap: each voxel stays with the fragment it lies deeper in, and is brighter."""
    inside = member >= 0.5
    voxels, values = target[inside], hu[inside]
    taken = scene.labels[tuple(voxels.T)] > 0
    low = voxels[taken].min(axis=0) - 8
    high = voxels[taken].max(axis=0) + 9
    low, high = np.maximum(low, 0), np.minimum(high, scene.labels.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    new: MaskArray = np.zeros(high - low, bool)
    within = ((voxels >= low) & (voxels < high)).all(axis=1)
    new[tuple((voxels[within] - low).T)] = True
    wins = distance_transform_edt(new) > distance_transform_edt(scene.labels[box] > 0)
    place = tuple(voxels[taken].T)
    older = scene.hu[place] / np.maximum(scene.coverage[place], 1e-3)
    added = densify * np.clip(np.minimum(older, values[taken]), 0.0, None)
    scene.crushed[place] = np.maximum(scene.crushed[place], added)
    beaten = ~wins[tuple((voxels[taken] - low).T)]
    stays = np.zeros(len(voxels), bool)
    stays[np.flatnonzero(taken)[beaten]] = True
    _take(scene, voxels[~stays], label)
