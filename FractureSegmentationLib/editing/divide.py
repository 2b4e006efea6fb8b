"""Dividing a fragment between clicked points: two ways to a rough cut, and the exact one.

One way are fronts from the points, see `fronts`; the other the regions that recovery would start
from, see `regions`. The cut that lacks less contact is taken, corrected around points that it left
in the wrong piece, and in the end cut once more from both of its sides, so that it lies where
separation is likeliest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.editing.coarse import coarsened
from FractureSegmentationLib.editing.fronts import LeadConfig, led_pieces
from FractureSegmentationLib.editing.regions import CutSupport, joined_regions, sure_regions
from FractureSegmentationLib.types import FloatArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.components import label_components
from FractureSegmentationLib.voxels.geodesic import arrival_times, grow_geodesic
from FractureSegmentationLib.voxels.nearest import grow_nearest
from FractureSegmentationLib.voxels.windows import another_label_near

_Labels = npt.NDArray[np.uint32]

_Seeds = tuple[tuple[tuple[int, int, int], ...], ...]

_Voxel = tuple[int, int, int]

_OVERREACH = 1.5
"""How far the surroundings of a point reach, as a share of the way back to its own piece."""

_OWN_SHARE = 0.5
"""And at most: a share of the way to points of other pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DivideConfig:
    """How a fragment is divided between points.

    Attributes:
        contact_cost: how much longer crossing certain contact takes than crossing bone, as a factor
            on top of 1.
        crack_cost: the same for a crack seen in the CT, which is weaker evidence.
        leads: how the leads of fronts are compared.
        recut_mm: how far on either side of the rough cut the final one is looked for.
        fine_voxels: fragments of more voxels are cut roughly on a grid of half the resolution; the
            final cut is always computed on the fragment's own.

    Raises:
        ValueError: a number is out of its range.
    """

    contact_cost: float = 40.0
    crack_cost: float = 20.0
    leads: LeadConfig = field(default_factory=LeadConfig)
    recut_mm: float = 4.0
    fine_voxels: int = 60_000

    def __post_init__(self) -> None:
        for name in ("contact_cost", "crack_cost", "recut_mm", "fine_voxels"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be finite and >= 0, got {getattr(self, name)}")


_DEFAULT = DivideConfig()


def divide(
    mask: MaskArray,
    seeds: Sequence[Sequence[tuple[int, int, int]]],
    separation: FloatArray,
    spacing_mm: Spacing,
    *,
    is_map: bool,
    config: DivideConfig = _DEFAULT,
) -> _Labels:
    """Divide a fragment so that every piece holds its points.

    Args:
        mask: (K, J, I) the fragment.
        seeds: voxels of the mask, all different, at least one per piece.
        separation: (K, J, I) how likely fragments part at each voxel, 0 to 1.
        spacing_mm: voxel size along (k, j, i), in mm.
        is_map: whether that is contact from a map; else it is cracks seen in the CT, in which no
            regions are looked for.
        config: see there.

    Returns:
        (K, J, I) piece 1..n of every voxel of the fragment, 0 elsewhere.
    """
    fine = _Fragment(
        mask=mask,
        seeds=tuple(map(tuple, seeds)),
        separation=separation.astype(np.float32),
        spacing_mm=spacing_mm,
        cost=config.contact_cost if is_map else config.crack_cost,
        config=config,
    )
    points = fine.points(fine.seeds)
    coarse = coarsened(mask, points, separation, spacing_mm)
    if np.count_nonzero(mask) <= config.fine_voxels or coarse is None:
        return fine.recut(fine.rough_cut(is_map), fine.seeds)
    blocks = replace(
        fine,
        mask=coarse.mask,
        seeds=coarse.seeds(fine.seeds),
        separation=coarse.separation,
        spacing_mm=coarse.spacing_mm,
    )
    rough = coarse.on_fine_grid(blocks.rough_cut(is_map))
    return fine.recut(np.where(points > 0, points, np.where(mask, rough, 0)), fine.seeds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fragment:
    """A fragment on one grid, and how it is divided.

    Attributes:
        mask: where it is.
        seeds: the points of each piece, in the order in which they were clicked.
        separation: how likely fragments part at each voxel, 0 to 1.
        spacing_mm: voxel size along (k, j, i), in mm.
        cost: slowness of fronts where separation is certain, on top of 1.
        config: see there.
    """

    mask: MaskArray
    seeds: _Seeds
    separation: npt.NDArray[np.float32]
    spacing_mm: Spacing
    cost: float
    config: DivideConfig

    @property
    def slowness(self) -> npt.NDArray[np.float32]:
        """Time per mm that fronts take."""
        return np.float32(1.0) + np.float32(self.cost) * self.separation

    def points(self, seeds: _Seeds) -> _Labels:
        """(K, J, I) piece of each point, 0 elsewhere."""
        points = np.zeros(self.mask.shape, np.uint32)
        for piece, clicked in enumerate(seeds, start=1):
            points[tuple(np.transpose(clicked))] = piece
        return points

    def rough_cut(self, is_map: bool) -> _Labels:
        """The pieces, nearly.

        The first points of all pieces make a cut. Where points were added because it went wrong,
        it is mended around those it got wrong if contact speaks for it; if not, or if all points
        together make a better one, that is taken.
        """
        if not is_map:
            return self._led(self.points(self.seeds))
        regions = sure_regions(self.mask, self.separation, self.spacing_mm)
        every, supported = self._cut(regions, self.seeds)
        if max(map(len, self.seeds)) == 1:
            return every
        first, support = self._cut(regions, tuple(clicked[:1] for clicked in self.seeds))
        if not support.is_enough or supported.is_better_than(support):
            return every
        return mended(first, self.seeds, self.slowness, self.spacing_mm)

    def _cut(self, regions: _Labels, seeds: _Seeds) -> tuple[_Labels, CutSupport]:
        """By fronts, unless that by regions is better; exact on this grid."""
        points = self.points(seeds)
        joined = joined_regions(
            regions,
            points,
            self.separation,
            self.spacing_mm,
            cost=self.cost,
            leads=self.config.leads,
        )
        by_fronts, by_regions = (
            self.recut(pieces, seeds) for pieces in (self._led(points), joined)
        )
        support, supported = (
            CutSupport.of(cut, self.separation, self.spacing_mm) for cut in (by_fronts, by_regions)
        )
        if supported.is_better_than(support):
            return by_regions, supported
        return by_fronts, support

    def _led(self, points: _Labels) -> _Labels:
        return led_pieces(
            self.mask, points, self.separation, self.spacing_mm, self.cost, self.config.leads
        )

    def recut(self, pieces: _Labels, seeds: _Seeds) -> _Labels:
        """Cut again from what lies clear of the cut on both sides, and from the points."""
        pieces = join_unreached(pieces, self.mask, self.spacing_mm)
        k, j, i = (round(self.config.recut_mm / size) for size in self.spacing_mm)
        near = another_label_near(pieces, (k, j, i))
        sources = np.where(near, self.points(seeds), pieces)
        grown = grow_geodesic(sources, self.mask, self.slowness, self.spacing_mm)
        return np.where(self.mask & (grown == 0), pieces, grown)


def mended(
    pieces: _Labels,
    seeds: Sequence[Sequence[_Voxel]],
    slowness: FloatArray,
    spacing_mm: Spacing,
) -> _Labels:
    """Give every point's surroundings to its piece, where they belong to another.

    A point in the wrong piece was clicked somewhere in the part that went wrong: that part reaches
    about as far beyond the point as the point is away from its own piece.

    Args:
        pieces: (K, J, I) pieces 1..n of a fragment, 0 elsewhere.
        seeds: the points of each piece, in the order in which they were clicked.
        slowness: (K, J, I) time per mm, 1 where nothing speaks for a cut.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        (K, J, I) the pieces, all of which hold their points.
    """
    changed = pieces.copy()
    longest = max(map(len, seeds))
    for turn in range(longest):
        for piece, clicked in enumerate(seeds, start=1):
            if turn < len(clicked) and changed[clicked[turn]] != piece:
                _give(changed, clicked[turn], piece, seeds, slowness, spacing_mm)
    return changed


def join_unreached(
    pieces: npt.NDArray[np.uint32], mask: MaskArray, spacing_mm: Spacing
) -> npt.NDArray[np.uint32]:
    """Give parts of a fragment that no piece has reached, each as a whole, to the nearest piece.

    Args:
        pieces: (K, J, I) pieces 1..n, 0 where none is.
        mask: (K, J, I) the fragment.
        spacing_mm: voxel size along (k, j, i), in mm.
    """
    unreached = mask & (pieces == 0)
    if not unreached.any():
        return pieces
    nearest = grow_nearest(pieces, mask, spacing_mm)[unreached].astype(np.int64)
    part = label_components(unreached, 26)[unreached].astype(np.int64)
    # Most voxels of the part decide: it stays whole.
    width = int(nearest.max()) + 1
    votes = np.bincount(part * width + nearest, minlength=(int(part.max()) + 1) * width)
    winner = votes.reshape(-1, width).argmax(axis=1)
    complete = pieces.copy()
    complete[unreached] = winner[part]
    return complete


def _give(
    pieces: _Labels,
    point: _Voxel,
    piece: int,
    seeds: Sequence[Sequence[_Voxel]],
    slowness: FloatArray,
    spacing_mm: Spacing,
) -> None:
    """Give the surroundings of a point to a piece, in place."""
    start = np.zeros(pieces.shape, bool)
    start[point] = True
    own = pieces == pieces[point]
    plain_mm = arrival_times(
        start, own | (pieces == piece), np.ones(pieces.shape, np.float32), spacing_mm
    )
    times = arrival_times(start, own, slowness, spacing_mm)
    reach = _OVERREACH * float(plain_mm[pieces == piece].min(initial=np.inf))
    for number, clicked in enumerate(seeds, start=1):
        if number != piece:
            others = times[tuple(np.transpose(clicked))]
            reach = min(reach, _OWN_SHARE * float(others.min()))
    # Without a way to its own piece or to another's points, the whole part it lies in is meant.
    pieces[own & np.isfinite(times) & (times <= reach)] = piece
