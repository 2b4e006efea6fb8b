"""Merging of neighbours that nothing parts, and of touching crumbs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from FractureSegmentationLib.instances.adjacency import Pair, Touch
from FractureSegmentationLib.instances.config import RecoveryConfig


class RegionGraph:
    """Regions, their volumes and their partings; merging two adds both up.

    Args:
        volumes_mm3: volume per region label.
        partings: parting per pair of touching regions.
    """

    def __init__(self, volumes_mm3: Mapping[int, float], partings: Mapping[Pair, Touch]) -> None:
        self._volumes_mm3 = dict(volumes_mm3)
        self._partings: dict[int, dict[int, Touch]] = {label: {} for label in volumes_mm3}
        for (a, b), touch in partings.items():
            self._partings[a][b] = touch
            self._partings[b][a] = touch
        self._absorbed_by: dict[int, int] = {}

    @property
    def labels(self) -> tuple[int, ...]:
        """The regions that are left."""
        return tuple(self._volumes_mm3)

    def volume_mm3(self, label: int) -> float:
        """Volume of a region with all it absorbed."""
        return self._volumes_mm3[label]

    def neighbours(self, label: int) -> Mapping[int, Touch]:
        """The partings of a region, by neighbour."""
        return self._partings[label]

    def merge(self, a: int, b: int) -> int:
        """Join two regions; the larger one keeps its label, which is returned."""
        keep, gone = (a, b) if self._volumes_mm3[a] >= self._volumes_mm3[b] else (b, a)
        self._volumes_mm3[keep] += self._volumes_mm3.pop(gone)
        for other, touch in self._partings.pop(gone).items():
            del self._partings[other][gone]
            if other != keep:
                known = self._partings[keep].get(other)
                total = touch if known is None else known + touch
                self._partings[keep][other] = total
                self._partings[other][keep] = total
        self._absorbed_by[gone] = keep
        return keep

    def final_label(self, label: int) -> int:
        """The region that holds `label` now."""
        while label in self._absorbed_by:
            label = self._absorbed_by[label]
        return label


def merge_unsupported(graph: RegionGraph, config: RecoveryConfig) -> None:
    """Merge neighbours whose interface contact does not support, the clearest case first, in place.

    Clear is a wide interface with much less contact than it needs. The order matters: parts of one
    fragment are put together before the interface that each shares with the fragment across the
    fracture is judged, so that it is judged as one, and as that of a large fragment.
    """
    while True:
        best: tuple[float, int, int] | None = None
        for a in graph.labels:
            for b, touch in graph.neighbours(a).items():
                if a < b and (lacking := _lacking_mm2(graph, a, b, touch, config)) > 0.0:
                    candidate = (lacking, -a, -b)
                    best = candidate if best is None else max(best, candidate)
        if best is None:
            return
        graph.merge(-best[1], -best[2])


def join_touching_crumbs(graph: RegionGraph, config: RecoveryConfig) -> tuple[tuple[int, int], ...]:
    """Join touching regions below `min_fragment_mm3` to the neighbour least parted, in place.

    Returns:
        (absorbed region, its new region) per join, smallest first.
    """
    joins: list[tuple[int, int]] = []
    while True:
        crumbs = [
            (graph.volume_mm3(label), label)
            for label in graph.labels
            if graph.volume_mm3(label) < config.min_fragment_mm3 and graph.neighbours(label)
        ]
        if not crumbs:
            return tuple(joins)
        _, crumb = min(crumbs)
        partings = graph.neighbours(crumb)
        target = max(partings, key=lambda other: (partings[other].unsupported_mm2, -other))
        keep = graph.merge(crumb, target)
        joins.append((crumb if keep == target else target, keep))


def neck(touch: Touch, smaller_mm3: float) -> float:
    """Unsupported area as a share of the smaller region's volume^(2/3)."""
    return touch.unsupported_mm2 / float(np.cbrt(max(smaller_mm3, 1e-9))) ** 2


def _lacking_mm2(graph: RegionGraph, a: int, b: int, touch: Touch, config: RecoveryConfig) -> float:
    """Area of contact that two neighbours lack to stay apart; 0 where they do."""
    smaller_mm3 = min(graph.volume_mm3(a), graph.volume_mm3(b))
    lacking = config.required_support(smaller_mm3) - touch.support
    is_stray = smaller_mm3 > config.small_mm3 and neck(touch, smaller_mm3) < config.min_neck
    return 0.0 if is_stray else max(0.0, lacking) * touch.area_mm2
