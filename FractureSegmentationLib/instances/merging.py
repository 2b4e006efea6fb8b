"""Merging of neighbouring regions that no contact separates, and of small touching fragments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence, Probability
from FractureSegmentationLib.instances.merge_tree import Merge, MergeTree
from FractureSegmentationLib.instances.regions import ContactArea, RegionGraph, contact_areas
from FractureSegmentationLib.instances.result import JoinedPiece

Regions = npt.NDArray[np.uint32]
_EVEN = 0.5


def merged_regions(
    evidence: Evidence,
    separation: Probability,
    weight: Probability,
    regions: Regions,
    config: RecoveryConfig,
) -> tuple[Regions, tuple[JoinedPiece, ...], MergeTree]:
    """Merge regions that no contact separates, then join small ones that touch others.

    Args:
        evidence: of the bone.
        separation: (K, J, I) separation probability close to each voxel.
        weight: (K, J, I) how much a voxel counts, 0 to 1, see `Evidence.weight`.
        regions: (K, J, I) labels 1..n, 0 outside the bone.
        config: thresholds.

    Returns:
        The regions that are left; the small ones that were joined, `into` being a label of that
        array; and the tree of all merges: those made first, from 1 to one half in their order, then
        those that were not, by how little contact supports the border. These are no probabilities.
    """
    areas = contact_areas(regions, separation, weight, evidence.spacing_mm)
    sizes = np.bincount(regions.ravel())
    graph = RegionGraph(
        {label: float(sizes[label]) * evidence.voxel_mm3 for label in range(1, sizes.size)},
        areas,
    )
    done = list(merge_unsupported(graph, config))
    before = {label: graph.final_label(label) for label in range(1, sizes.size)}
    small = dict.fromkeys(join_small_fragments(graph, config))
    lookup = np.zeros(sizes.size, np.uint32)
    lookup[1:] = [graph.final_label(label) for label in range(1, sizes.size)]
    joined = []
    for fragment, _ in small:
        parts = np.isin(regions, [label for label, final in before.items() if final == fragment])
        k, j, i = (float(n.mean()) for n in np.nonzero(parts))
        joined.append(
            JoinedPiece(
                volume_mm3=float(parts.sum()) * evidence.voxel_mm3,
                centroid_kji=(k, j, i),
                into=graph.final_label(fragment),
            )
        )
    done += [(keep, gone) for gone, keep in small]
    return lookup[regions], tuple(joined), _tree(graph, done, sizes.size - 1)


def merge_unsupported(graph: RegionGraph, config: RecoveryConfig) -> tuple[tuple[int, int], ...]:
    """Merge neighbours whose interface contact does not support, the clearest case first, in place.

    Clear is a wide interface with much less contact than it needs. The order matters: parts of one
    fragment are put together before the interface that each shares with the fragment across the
    fracture is judged, so that it is judged as one, and as that of a large fragment.

    Returns:
        (region that stays, region that it absorbs) per merge, in their order.
    """
    done: list[tuple[int, int]] = []
    while True:
        best: tuple[float, int, int] | None = None
        for a in graph.labels:
            for b, area in graph.neighbours(a).items():
                if a < b and (lacking := _lacking_mm2(graph, a, b, area, config)) > 0.0:
                    candidate = (lacking, -a, -b)
                    best = candidate if best is None else max(best, candidate)
        if best is None:
            return tuple(done)
        a, b = -best[1], -best[2]
        keep = graph.merge(a, b)
        done.append((keep, b if keep == a else a))


def join_small_fragments(graph: RegionGraph, config: RecoveryConfig) -> tuple[tuple[int, int], ...]:
    """Join touching regions below `min_fragment_mm3` to the neighbour least separated, in place.

    Returns:
        (absorbed region, its new region) per join, smallest first.
    """
    joins: list[tuple[int, int]] = []
    while True:
        small = [
            (graph.volume_mm3(label), label)
            for label in graph.labels
            if graph.volume_mm3(label) < config.min_fragment_mm3 and graph.neighbours(label)
        ]
        if not small:
            return tuple(joins)
        _, fragment = min(small)
        areas = graph.neighbours(fragment)
        target = max(areas, key=lambda other: (areas[other].unsupported_mm2, -other))
        keep = graph.merge(fragment, target)
        joins.append((fragment if keep == target else target, keep))


def _tree(graph: RegionGraph, done: Sequence[tuple[int, int]], count: int) -> MergeTree:
    """The merges that were made, and those that would come next; merges what is left in place."""
    chances = np.linspace(1.0, _EVEN, len(done)) if done else np.zeros(0)
    merges = [
        Merge(a=keep, b=gone, probability=float(chance))
        for (keep, gone), chance in zip(done, chances, strict=True)
    ]
    least = np.nextafter(_EVEN, 0.0)
    while True:
        left = [
            (area.support, min(a, b), max(a, b))
            for a in graph.labels
            for b, area in graph.neighbours(a).items()
        ]
        if not left:
            return MergeTree(count=count, merges=tuple(merges))
        support, a, b = min(left)
        least = min(least, _EVEN * max(0.0, 1.0 - support))
        keep = graph.merge(a, b)
        merges.append(Merge(a=keep, b=b if keep == a else a, probability=float(least)))


def _lacking_mm2(
    graph: RegionGraph, a: int, b: int, area: ContactArea, config: RecoveryConfig
) -> float:
    """Area of contact that two neighbours lack to stay apart; 0 where they do."""
    smaller_mm3 = min(graph.volume_mm3(a), graph.volume_mm3(b))
    lacking = config.required_support(smaller_mm3) - area.support
    is_stray = smaller_mm3 > config.small_mm3 and area.neck(smaller_mm3) < config.min_neck
    return 0.0 if is_stray else max(0.0, lacking) * area.area_mm2
