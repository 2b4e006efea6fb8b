"""Fronts that start from the points of each piece, some of them earlier than others.

Fronts are slow where fragments part. Were they to start together, they would meet halfway where
evidence is weak, so one may be given a lead: the one with which the cut has the least unsupported
area for the size of what it cuts off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import FloatArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.geodesic import arrival_times

_LEADS = 400
"""How many leads are compared per piece."""

_SEED_MARGIN = 0.98
"""A lead is at most this share of the time between two points: each piece must keep its own."""

_Flat = npt.NDArray[np.float32]
_Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadConfig:
    """How leads are compared.

    Attributes:
        support: the share of a cut's area that certain evidence takes off.
        lead_share: a lead of this share of the time between two points doubles what a cut costs.

    Raises:
        ValueError: a number is out of its range.
    """

    support: float = 0.95
    lead_share: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.support <= 1.0:
            raise ValueError(f"support must lie in [0, 1], got {self.support}")
        if not self.lead_share > 0.0:
            raise ValueError(f"lead_share must be positive, got {self.lead_share}")


def led_pieces(
    mask: MaskArray,
    points: npt.NDArray[np.uint32],
    separation: FloatArray,
    spacing_mm: Spacing,
    cost: float,
    config: LeadConfig,
) -> npt.NDArray[np.uint32]:
    """Divide a fragment by fronts that run from its points, each with the lead that suits it best.

    Args:
        mask: (K, J, I) the fragment.
        points: (K, J, I) piece 1..n of each point, 0 elsewhere.
        separation: (K, J, I) how likely fragments part at each voxel, 0 to 1.
        spacing_mm: voxel size along (k, j, i), in mm.
        cost: slowness where contact is certain, on top of 1.
        config: weights.

    Returns:
        (K, J, I) pieces; 0 outside the fragment and where no front arrives.
    """
    slowness = np.float32(1.0) + np.float32(cost) * separation.astype(np.float32)
    voxels = np.flatnonzero(mask)
    times = np.stack(
        [
            arrival_times(points == piece, mask, slowness, spacing_mm).reshape(-1)[voxels]
            for piece in range(1, int(points.max()) + 1)
        ]
    )
    owner = points.reshape(-1)[voxels]
    cuts = _Cuts.of(mask, 1.0 - config.support * separation, spacing_mm)
    leads = _balanced_leads(times, owner, cuts, config)
    pieces = np.zeros(mask.shape, np.uint32)
    winner = (times - leads[:, None]).argmin(axis=0) + 1
    is_reached = np.isfinite(times).any(axis=0)
    pieces.reshape(-1)[voxels] = np.where(owner > 0, owner, winner * is_reached)
    return pieces


@dataclass(frozen=True, slots=True, eq=False)
class _Cuts:
    """The faces between a fragment's voxels, as pairs of numbers counted along its mask.

    Attributes:
        first: one voxel of each face.
        second: the other one.
        cost: unsupported area of the face, in mm².
        voxel_mm3: volume of a voxel.
    """

    first: _Places
    second: _Places
    cost: _Flat
    voxel_mm3: float

    @classmethod
    def of(cls, mask: MaskArray, weight: FloatArray, spacing_mm: Spacing) -> _Cuts:
        number = np.full(mask.shape, -1, np.int32)
        number[mask] = np.arange(np.count_nonzero(mask), dtype=np.int32)
        voxel_mm3 = float(np.prod(spacing_mm))
        firsts, seconds, costs = [], [], []
        for axis, size_mm in enumerate(spacing_mm):
            low, high = np.moveaxis(number, axis, 0)[:-1], np.moveaxis(number, axis, 0)[1:]
            near, far = np.moveaxis(weight, axis, 0)[:-1], np.moveaxis(weight, axis, 0)[1:]
            is_face = (low >= 0) & (high >= 0)
            firsts.append(low[is_face])
            seconds.append(high[is_face])
            least = np.minimum(near[is_face], far[is_face])
            costs.append(least.astype(np.float32) * np.float32(voxel_mm3 / size_mm))
        return cls(
            first=np.concatenate(firsts).astype(np.int64),
            second=np.concatenate(seconds).astype(np.int64),
            cost=np.concatenate(costs),
            voxel_mm3=voxel_mm3,
        )


def _balanced_leads(
    times: _Flat, owner: npt.NDArray[np.uint32], cuts: _Cuts, config: LeadConfig
) -> _Flat:
    """The lead of each piece's front; one piece after the other against all others."""
    leads = np.zeros(len(times), np.float32)
    # With two pieces only the difference of their leads counts.
    for piece in range(1 if len(times) == 2 else len(times)):
        ahead = times - leads[:, None]
        ahead[piece] = np.inf
        rival = ahead.min(axis=0)
        own = times[piece]
        is_open = np.isfinite(own) & np.isfinite(rival)
        if is_open.any():
            gap = np.where(is_open, own, 0.0) - np.where(is_open, rival, 0.0)
            bounds = _bounds(gap, is_open & (owner > 0), owner == piece + 1)
            leads[piece] = _best_lead(gap, is_open, bounds, cuts, config.lead_share)
    return leads


def _bounds(gap: _Flat, is_seed: MaskArray, is_own: MaskArray) -> tuple[float, float]:
    """Between which leads every piece keeps its points."""
    own, others = gap[is_seed & is_own], gap[is_seed & ~is_own]
    low = float(own.max()) * _SEED_MARGIN if own.size else 0.0
    high = float(others.min()) * _SEED_MARGIN if others.size else 0.0
    return low, high


def _best_lead(
    gap: _Flat, is_open: MaskArray, bounds: tuple[float, float], cuts: _Cuts, lead_share: float
) -> float:
    """The lead whose cut costs least for the size of the smaller part.

    A lead c gives the piece all voxels whose gap is below c, so one pass over the faces gives the
    cost of every cut: a face is cut by the leads between the gaps of its two voxels.
    """
    low, high = bounds
    if not low < 0.0 < high:
        return 0.0
    leads = np.linspace(low, high, _LEADS)
    place = np.searchsorted(leads, gap).astype(np.int32)
    a, b = place[cuts.first], place[cuts.second]
    is_cut = (a != b) & is_open[cuts.first] & is_open[cuts.second]
    a, b, cost = a[is_cut], b[is_cut], cuts.cost[is_cut]
    starts = np.bincount(np.minimum(a, b), cost, _LEADS + 1)
    stops = np.bincount(np.maximum(a, b), cost, _LEADS + 1)
    area_mm2 = np.cumsum(starts - stops)[:_LEADS]
    inside = np.cumsum(np.bincount(place[is_open], minlength=_LEADS + 1))
    smaller_mm3 = np.minimum(inside, inside[-1] - inside)[:_LEADS] * cuts.voxel_mm3
    span = np.where(leads < 0.0, -low, high) * lead_share
    price = (1.0 + np.square(leads / span)) * np.maximum(area_mm2, 0.0)
    ratio = np.where(smaller_mm3 > 0.0, price / np.maximum(smaller_mm3, 1e-6) ** (2 / 3), np.inf)
    best = int(ratio.argmin())
    return float(leads[best]) if np.isfinite(ratio[best]) else 0.0
