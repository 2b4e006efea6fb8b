"""Growth of seeds until every reachable voxel of the bone belongs to one of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import FloatArray, LabelArray, MaskArray, Spacing

_TOLERANCE_MM = 1e-4

_Indices = npt.NDArray[np.int64]
_Flat = npt.NDArray[np.float32]


def grow_geodesic(
    seeds: LabelArray, bone: MaskArray, slowness: FloatArray, spacing_mm: Spacing
) -> npt.NDArray[np.uint32]:
    """Give every bone voxel the label of the seed whose front arrives first, inside the bone.

    All fronts run at once: the first-order eikonal equation is solved from all seeds together,
    then each voxel takes the label of the neighbour its front came from.

    Args:
        seeds: (K, J, I) one label per seed, 0 elsewhere.
        bone: (K, J, I) the bone to divide; fronts stay in it and move across faces of voxels.
        slowness: (K, J, I) time per mm, positive; high where a front should not pass.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) labels; 0 outside `bone` and where no front arrives.

    Raises:
        ValueError: the grids differ, or a slowness in the bone is not positive.
    """
    return _run_front(seeds, bone, slowness, spacing_mm).labels()


def arrival_times(
    seeds: MaskArray, bone: MaskArray, slowness: FloatArray, spacing_mm: Spacing
) -> _Flat:
    """When the front that starts from all seeds at once arrives at each bone voxel.

    Args:
        seeds: (K, J, I) where the front starts; what lies outside `bone` is not used.
        bone: (K, J, I) the bone; the front stays in it and moves across faces of voxels.
        slowness: (K, J, I) time per mm, positive.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) times; 0 at the seeds, infinite outside `bone` and where the front never arrives.

    Raises:
        ValueError: the grids differ, or a slowness in the bone is not positive.
    """
    front = _run_front(seeds.astype(np.uint32), bone, slowness, spacing_mm)
    return front.arrival.reshape(front.shape)[1:-1, 1:-1, 1:-1]


def _run_front(
    seeds: LabelArray, bone: MaskArray, slowness: FloatArray, spacing_mm: Spacing
) -> _Front:
    if not seeds.shape == bone.shape == slowness.shape:
        raise ValueError(
            f"seeds {seeds.shape}, bone {bone.shape}, slowness {slowness.shape}: one grid needed"
        )
    if bone.any() and not slowness[bone].min() > 0.0:
        raise ValueError("slowness must be positive inside the bone")
    front = _Front.start(seeds, bone, slowness, spacing_mm)
    front.run()
    return front


@dataclass(slots=True, eq=False)
class _Front:
    """Arrival times on a grid padded by one voxel, so that no index leaves the array."""

    arrival: _Flat
    slowness: _Flat
    seeds: npt.NDArray[np.uint32]
    is_open: MaskArray
    steps: tuple[int, int, int]
    spacing_mm: Spacing
    shape: tuple[int, ...]

    @classmethod
    def start(
        cls, seeds: LabelArray, bone: MaskArray, slowness: FloatArray, spacing_mm: Spacing
    ) -> _Front:
        padded = np.pad(np.where(bone, seeds, 0).astype(np.uint32), 1)
        is_seed = padded > 0
        return cls(
            arrival=np.where(is_seed, np.float32(0.0), np.float32(np.inf)).ravel(),
            slowness=np.pad(slowness.astype(np.float32, copy=False), 1).ravel(),
            seeds=padded.ravel(),
            is_open=(np.pad(bone, 1) & ~is_seed).ravel(),
            steps=(padded.shape[1] * padded.shape[2], padded.shape[2], 1),
            spacing_mm=spacing_mm,
            shape=padded.shape,
        )

    def run(self) -> None:
        """Update the voxels beside the last changes until nothing changes any more."""
        active = self._open_beside(np.flatnonzero(self.seeds))
        while active.size:
            times = self._times(active)
            is_earlier = times < self.arrival[active] - _TOLERANCE_MM
            changed = active[is_earlier]
            self.arrival[changed] = times[is_earlier]
            active = self._open_beside(changed)

    def labels(self) -> npt.NDArray[np.uint32]:
        """Follow each front back to its seed, all voxels at once, in doubling strides."""
        reached = np.flatnonzero(self.is_open & np.isfinite(self.arrival))
        place = np.full(self.arrival.size, -1, np.int32)
        place[reached] = np.arange(reached.size, dtype=np.int32)
        source = self._upwind(reached)
        parent = place[source]
        is_root = parent < 0
        root_label = np.where(is_root, self.seeds[source], 0)
        parent[is_root] = np.flatnonzero(is_root)
        while True:
            further = parent[parent]
            if np.array_equal(further, parent):
                break
            parent = further
        grown = self.seeds.copy()
        grown[reached] = root_label[parent]
        return np.ascontiguousarray(grown.reshape(self.shape)[1:-1, 1:-1, 1:-1])

    def _open_beside(self, voxels: _Indices) -> _Indices:
        """The open face neighbours of `voxels`, each once."""
        beside = np.concatenate([voxels + s for step in self.steps for s in (-step, step)])
        beside = beside[self.is_open[beside]]
        beside.sort()
        if beside.size:
            beside = beside[np.concatenate(([True], beside[1:] != beside[:-1]))]
        return np.asarray(beside)

    def _times(self, voxels: _Indices) -> _Flat:
        """Godunov's upwind solution of the eikonal equation at `voxels`."""
        times, sizes = [], []
        for step, size_mm in zip(self.steps, self.spacing_mm, strict=True):
            times.append(np.minimum(self.arrival[voxels - step], self.arrival[voxels + step]))
            sizes.append(np.full(voxels.size, size_mm, np.float32))
        for low, high in ((0, 1), (1, 2), (0, 1)):
            swap = times[low] > times[high]
            for pair in (times, sizes):
                pair[low], pair[high] = (
                    np.where(swap, pair[high], pair[low]),
                    np.where(swap, pair[low], pair[high]),
                )
        slow = self.slowness[voxels]
        solution = times[0] + sizes[0] * slow
        for count in (2, 3):
            late = np.flatnonzero(solution > times[count - 1])
            if late.size:
                solution[late] = _quadratic(
                    [t[late] for t in times[:count]], [s[late] for s in sizes[:count]], slow[late]
                )
        return np.asarray(solution)

    def _upwind(self, voxels: _Indices) -> _Indices:
        """The face neighbour each front came from: where arrival falls most steeply."""
        own = self.arrival[voxels]
        best_slope = np.zeros(voxels.size, np.float32)
        best = voxels.copy()
        for step, size_mm in zip(self.steps, self.spacing_mm, strict=True):
            for signed in (-step, step):
                slope = (own - self.arrival[voxels + signed]) / np.float32(size_mm)
                is_better = slope > best_slope
                best[is_better] = voxels[is_better] + signed
                best_slope[is_better] = slope[is_better]
        return best


def _quadratic(times: list[_Flat], sizes: list[_Flat], slow: _Flat) -> _Flat:
    """Larger root t of sum(((t - time) / size)²) = slow², measured from the earliest time."""
    weights = [1.0 / np.square(s) for s in sizes]
    delays = [t - times[0] for t in times]
    a = sum(weights[1:], start=weights[0])
    b = sum(w * d for w, d in zip(weights[1:], delays[1:], strict=True))
    c = sum(w * d * d for w, d in zip(weights[1:], delays[1:], strict=True)) - np.square(slow)
    root: _Flat = times[0] + (b + np.sqrt(np.maximum(b * b - a * c, 0.0))) / a
    return root
