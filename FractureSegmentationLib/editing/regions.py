"""Pieces put together from the regions that recovery would start from.

Recovery finds parts of a bone that surely belong to one fragment each, at several distances from
contact, which closes holes in it. Here they are put together again until only the pieces that were
clicked are left: always the two next that lack most contact between them, never two pieces.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.editing.fronts import LeadConfig, led_pieces
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence
from FractureSegmentationLib.instances.pieces import label_unreached
from FractureSegmentationLib.instances.regions import ContactArea, RegionGraph, contact_areas
from FractureSegmentationLib.instances.seeds import hierarchical_seeds
from FractureSegmentationLib.types import FloatArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.geodesic import grow_geodesic

_RECOVERY = RecoveryConfig()

_TOLERANCE = 0.05
"""Cuts may lack this share of their area and still count as supported."""

_CLEARLY_LESS = 0.7
"""Of two cuts without enough support, the better one lacks less than this share of the other."""

_Labels = npt.NDArray[np.uint32]


def sure_regions(mask: MaskArray, contact: FloatArray, spacing_mm: Spacing) -> _Labels:
    """Divide a fragment into regions that contact parts, without merging any.

    Args:
        mask: (K, J, I) the fragment.
        contact: (K, J, I) contact probability, 0 to 1.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) regions 1..n of every voxel of the fragment, 0 elsewhere.
    """
    contact = contact.astype(np.float32)
    # A result keeps the contact of its map alone: bone that is none counts as interior.
    evidence = Evidence.of(
        np.zeros_like(contact), np.float32(1.0) - contact, contact, mask, spacing_mm
    )
    slowness = np.float32(1.0) + np.float32(_RECOVERY.contact_cost) * evidence.contact
    seeds = hierarchical_seeds(evidence, _RECOVERY)
    grown = grow_geodesic(seeds, mask, slowness, spacing_mm)
    return label_unreached(grown, mask, spacing_mm)


def joined_regions(
    regions: _Labels,
    points: _Labels,
    contact: FloatArray,
    spacing_mm: Spacing,
    *,
    cost: float,
    leads: LeadConfig,
) -> _Labels:
    """Put regions together to one piece per click.

    A region with points of several pieces is divided between them by fronts first.

    Args:
        regions: (K, J, I) regions 1..n, 0 outside the fragment.
        points: (K, J, I) piece of each point, 0 elsewhere.
        contact: (K, J, I) contact probability, 0 to 1.
        spacing_mm: voxel size along (k, j, i), in mm.
        cost: of fronts, slowness in certain contact on top of 1.
        leads: of fronts.

    Returns:
        (K, J, I) pieces; 0 outside, and in parts of the fragment that touch no piece.
    """
    regions = _divided_where_shared(regions, points, contact, spacing_mm, cost=cost, leads=leads)
    clicked = np.flatnonzero(points)
    owner = dict(
        zip(
            regions.reshape(-1)[clicked].tolist(), points.reshape(-1)[clicked].tolist(), strict=True
        )
    )
    sizes = np.bincount(regions.ravel())
    graph = RegionGraph(
        {
            label: float(sizes[label] * np.prod(spacing_mm))
            for label in range(1, sizes.size)
            if sizes[label]
        },
        contact_areas(regions, contact, np.ones(contact.shape, np.float32), spacing_mm),
    )
    labels = graph.labels
    owner = _join(graph, owner)
    lookup = np.zeros(sizes.size, np.uint32)
    for label in labels:
        lookup[label] = owner.get(graph.final_label(label), 0)
    pieces: _Labels = lookup[regions]
    return pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class CutSupport:
    """How well contact supports the cuts between pieces.

    Attributes:
        support: mean contact probability over their area.
        area_mm2: their area.
        lacking_mm2: area of contact by which they fall short of what recovery asks for: it keeps
            two neighbours apart if a share of their interface is supported, a larger one for
            small fragments. Negative where there is more.
    """

    support: float
    area_mm2: float
    lacking_mm2: float

    @classmethod
    def of(cls, pieces: _Labels, contact: FloatArray, spacing_mm: Spacing) -> CutSupport:
        """Measure the cuts.

        Args:
            pieces: (K, J, I) pieces 1..n, 0 elsewhere.
            contact: (K, J, I) contact probability, 0 to 1.
            spacing_mm: voxel size along (k, j, i), in mm.
        """
        volumes_mm3 = np.bincount(pieces.ravel()) * float(np.prod(spacing_mm))
        areas = contact_areas(pieces, contact, np.ones(contact.shape, np.float32), spacing_mm)
        whole = sum(areas.values(), start=ContactArea(0.0, 0.0, 0.0, 0.0))
        lacking_mm2 = sum(
            _lacking(area, float(min(volumes_mm3[a], volumes_mm3[b])))
            for (a, b), area in areas.items()
        )
        return cls(support=whole.support, area_mm2=whole.area_mm2, lacking_mm2=lacking_mm2)

    @property
    def is_enough(self) -> bool:
        """Whether recovery would keep such cuts, or nearly so."""
        return self.lacking_mm2 <= _TOLERANCE * self.area_mm2

    def is_better_than(self, other: CutSupport) -> bool:
        """Whether to prefer these cuts.

        If only one of both has enough support, it is better; if both have, the one with more; if
        neither has, the one that lacks clearly less.
        """
        if self.is_enough != other.is_enough:
            return self.is_enough
        if self.is_enough:
            return self.support > other.support
        return self.lacking_mm2 < _CLEARLY_LESS * other.lacking_mm2


def _lacking(area: ContactArea, smaller_mm3: float) -> float:
    return (_RECOVERY.required_support(smaller_mm3) - area.support) * area.area_mm2


def _join(graph: RegionGraph, owner: Mapping[int, int]) -> dict[int, int]:
    """Merge in place, most lacking first, until only pieces touch; the piece of what is left."""
    owner = dict(owner)
    queue = [_queued(graph, a, b) for a in graph.labels for b in graph.neighbours(a) if a < b]
    heapq.heapify(queue)
    while queue:
        entry = heapq.heappop(queue)
        _, a, b = entry
        alive = graph.final_label(a) == a and graph.final_label(b) == b
        is_cut = a in owner and b in owner and owner[a] != owner[b]
        # What has grown since has been queued again with what it lacks now.
        if not alive or is_cut or entry != _queued(graph, a, b):
            continue
        pieces = [owner.pop(label) for label in (a, b) if label in owner]
        keep = graph.merge(a, b)
        if pieces:
            owner[keep] = pieces[0]
        for other in graph.neighbours(keep):
            heapq.heappush(queue, _queued(graph, min(keep, other), max(keep, other)))
    return owner


def _queued(graph: RegionGraph, a: int, b: int) -> tuple[float, int, int]:
    smaller_mm3 = min(graph.volume_mm3(a), graph.volume_mm3(b))
    return (-_lacking(graph.neighbours(a)[b], smaller_mm3), a, b)


def _divided_where_shared(
    regions: _Labels,
    points: _Labels,
    contact: FloatArray,
    spacing_mm: Spacing,
    *,
    cost: float,
    leads: LeadConfig,
) -> _Labels:
    """The regions, those with points of several pieces divided between these."""
    divided = regions.copy()
    clicked = np.flatnonzero(points)
    held: dict[int, set[int]] = {}
    for region, piece in zip(
        regions.reshape(-1)[clicked].tolist(), points.reshape(-1)[clicked].tolist(), strict=True
    ):
        held.setdefault(region, set()).add(piece)
    for region in sorted(label for label, pieces in held.items() if len(pieces) > 1):
        box = bounding_box(regions == region, margin=1)
        if box is None:
            raise ValueError(f"there is no region {region}")
        own = regions[box] == region
        here = np.where(own, points[box], 0)
        numbers = np.zeros(int(points.max()) + 1, np.uint32)
        numbers[sorted(held[region])] = np.arange(1, len(held[region]) + 1)
        parts = led_pieces(own, numbers[here], contact[box], spacing_mm, cost, leads)
        part = divided[box]
        first = int(divided.max())
        part[own & (parts > 0)] = first + parts[own & (parts > 0)]
    return divided
