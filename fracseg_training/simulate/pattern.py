"""Divide one bone into fragments: cuts planned on coarse cells, applied to the voxels.

Pieces that are too small join the neighbour they touch most.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, distance_transform_edt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from fracseg_training.simulate.bone_points import BonePoints
from fracseg_training.simulate.config import PatternConfig
from fracseg_training.simulate.contacts import Contact, find_contacts
from fracseg_training.simulate.noise import NoiseField, fractal_noise
from fracseg_training.simulate.sites import PlannedCut, draw_pattern
from fracseg_training.simulate.surfaces import (
    CellSplit,
    Float32Array,
    FractureSurface,
    Surface,
    draw_site,
    draw_surface,
    draw_wedge,
    true_distance,
    turned,
)

IntArray = npt.NDArray[np.int32]
_FAR_MM = 1e3
_MIN_CUT_MM3 = 150.0
_CRACK_REACH_MM = 5.0
_OWN_LABEL = 5
_FULL = np.ones((3, 3, 3), bool)


@dataclass(slots=True, kw_only=True, eq=False)
class FracturePattern:
    """A bone in pieces, before anything moves.

    Attributes:
        labels: (N,) piece of each voxel, from 1.
        crack_mm: (N,) distance to the nearest fracture surface drawn through the voxel's piece.
        fracture: (N,) which fracture that is, from 0.
        sites_mm: one (3,) point per fracture.
        contacts: the faces between two pieces.
        name: of the pattern that was drawn at a landmark; "" where there was none.
    """

    labels: IntArray
    crack_mm: Float32Array
    fracture: IntArray
    sites_mm: list[Float32Array] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    name: str = ""


def break_bone(
    bone: BonePoints, config: PatternConfig, rng: np.random.Generator, slug: str = ""
) -> FracturePattern:
    """Break one bone.

    Args:
        bone: the bone's points.
        config: pattern settings.
        rng: source of randomness.
        slug: of the bone; patterns of a bone that is known lie mostly at its landmarks.

    Returns:
        The pattern; a bone that cannot be broken (too small) stays one piece.
    """
    count = len(bone.index)
    pattern = FracturePattern(
        labels=np.ones(count, np.int32),
        crack_mm=np.full(count, _FAR_MM, np.float32),
        fracture=np.zeros(count, np.int32),
    )
    noise = fractal_noise(rng, longest_mm=40.0, shortest_mm=2.5, hurst=float(rng.uniform(0.4, 0.9)))
    weights = np.asarray(config.count_weights)
    wanted = 2 + int(rng.choice(len(weights), p=weights / weights.sum()))
    if slug and rng.random() < config.anatomical_share:
        _break_at_landmarks(bone, pattern, slug, noise, config, rng)
    made = int(pattern.labels.max())
    crowd = 0
    if wanted > 2 and rng.random() < config.comminution_probability:
        crowd = int(rng.integers(1, wanted - 1))
    for _ in range(wanted - made - crowd):
        _cut_once(bone, pattern, noise, config, rng)
    crowd = min(crowd, wanted - int(pattern.labels.max()))
    if crowd > 0 and pattern.sites_mm:
        _comminute(bone, pattern, crowd, noise, rng)
    grid = np.zeros(bone.shape, np.int32)
    grid[tuple(bone.index.T)] = pattern.labels
    smallest = max(1, round(config.min_fragment_mm3 / bone.voxel_mm3))
    grid = join_small_pieces(grid, smallest)
    pattern.labels = grid[tuple(bone.index.T)]
    pattern.contacts = find_contacts(grid, bone.spacing_mm)
    return pattern


def join_small_pieces(
    labels: npt.NDArray[np.integer], min_voxels: int, *, drops_lone: bool = False
) -> IntArray:
    """Relabel connected pieces that are too small, or torn off the rest of their label.

    A piece joins the label it touches most (corners included). Pieces that touch nothing keep their
    label, if it has a larger piece, or take the nearest label. What is no longer connected to the
    rest of its label becomes a label of its own if it is five times as large, unless it touches no
    other bone: then the bone itself came in several parts and nothing was broken there.

    Args:
        labels: (K, J, I) pieces, 0 outside the bone.
        min_voxels: smallest piece that may stand alone.
        drops_lone: remove small pieces that touch nothing instead of keeping them.

    Returns:
        (K, J, I) labels 1..n without gaps.
    """
    result = np.asarray(labels, np.int32).copy()
    pieces, count = cc3d.connected_components(result, connectivity=26, return_N=True)
    stats = cc3d.statistics(pieces)
    sizes = np.asarray(stats["voxel_counts"], np.int64)
    owner = np.zeros(count + 1, np.int32)
    owner[pieces.ravel()] = result.ravel()
    next_label = int(result.max()) + 1
    largest: dict[int, int] = {}
    for piece in range(1, count + 1):
        known = largest.get(int(owner[piece]))
        if known is None or sizes[piece] > sizes[known]:
            largest[int(owner[piece])] = piece
    for piece in np.argsort(sizes[1:], kind="stable") + 1:
        is_main = largest[int(owner[piece])] == piece
        if is_main and sizes[piece] >= min_voxels:
            continue
        box = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in stats["bounding_boxes"][piece])
        mask = pieces[box] == piece
        around = result[box][binary_dilation(mask, _FULL) & ~mask]
        around = around[(around > 0) & (around != owner[piece])]
        if sizes[piece] < _OWN_LABEL * min_voxels and len(around):
            result[box][mask] = np.bincount(around).argmax()
        elif len(around):
            result[box][mask] = next_label
            next_label += 1
        elif drops_lone and sizes[piece] < min(min_voxels, sizes[1:].max()):
            result[box][mask] = 0
    return _compact(_absorb_lone(result, min_voxels))


def by_volume(labels: npt.NDArray[np.integer]) -> IntArray:
    """(K, J, I) the same pieces numbered 1..n from the largest to the smallest."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")
    number = np.zeros(len(sizes), np.int32)
    number[order] = np.arange(1, len(sizes) + 1, dtype=np.int32)
    number[sizes == 0] = 0
    renumbered: IntArray = number[labels]
    return renumbered


def _cut_once(
    bone: BonePoints,
    pattern: FracturePattern,
    noise: NoiseField,
    config: PatternConfig,
    rng: np.random.Generator,
) -> None:
    """Divide one piece, chosen by volume, by the best of several candidate surfaces."""
    cell_label = np.zeros(len(bone.cell_mm3), np.int32)
    cell_label[bone.cell] = pattern.labels
    volumes = np.bincount(cell_label, bone.cell_mm3)
    piece = int(rng.choice(len(volumes), p=volumes / volumes.sum()))
    near = None
    is_wedge = bool(pattern.sites_mm) and rng.random() < config.wedge_probability
    if is_wedge or (pattern.sites_mm and rng.random() < 0.5):
        near = pattern.sites_mm[-1]
        piece = int(cell_label[((bone.cell_points_mm - near) ** 2).sum(axis=1).argmin()])
    cells = np.flatnonzero(cell_label == piece)
    best: tuple[float, Surface, IntArray] | None = None
    shares = (0.003, 0.08) if is_wedge else config.minor_share
    share = float(np.exp(rng.uniform(*np.log(shares))))
    for _ in range(config.candidates):
        site = draw_site(bone, cells, rng, near)
        draw = draw_wedge if is_wedge else draw_surface
        surface = draw(bone, cells, site, noise, config, rng)
        radius = float(np.exp(rng.uniform(*np.log(config.healing_radius_mm))))
        groups = _plan(bone, cells, surface, radius)
        parts = np.sort(np.bincount(groups, bone.cell_mm3[cells]))[::-1]
        if len(parts) < 2 or parts[1] < _MIN_CUT_MM3:
            continue
        miss = abs(float(np.log(parts[1] / parts.sum() / share)))
        if best is None or miss < best[0]:
            best = (miss, surface, groups)
    if best is not None:
        _divide(bone, pattern, piece, cells, best[1], best[2])


def _break_at_landmarks(
    bone: BonePoints,
    pattern: FracturePattern,
    slug: str,
    noise: NoiseField,
    config: PatternConfig,
    rng: np.random.Generator,
) -> None:
    """Break a bone in a named way; cuts that divide nothing are left out."""
    drawn = draw_pattern(slug, bone, rng)
    if drawn is None:
        return
    made = [_cut_at(bone, pattern, cut, noise, config, rng) for cut in drawn.cuts]
    if not any(made):
        return
    pattern.name = drawn.name
    if drawn.shatters_at_mm is not None:
        pattern.sites_mm.append(drawn.shatters_at_mm.astype(np.float32))
        _comminute(bone, pattern, int(rng.integers(1, 5)), noise, rng, at=-1)


def _cut_at(
    bone: BonePoints,
    pattern: FracturePattern,
    cut: PlannedCut,
    noise: NoiseField,
    config: PatternConfig,
    rng: np.random.Generator,
) -> bool:
    """Divide the piece at a planned place; whether a surface was found that does."""
    site = cut.site_mm.astype(np.float32)
    nearest = int(((bone.points_mm - site) ** 2).sum(axis=1).argmin())
    piece = int(pattern.labels[nearest])
    cell_label = np.zeros(len(bone.cell_mm3), np.int32)
    cell_label[bone.cell] = pattern.labels
    cells = np.flatnonzero(cell_label == piece)
    if not len(cells):
        return False
    for _ in range(config.candidates):
        draw = draw_wedge if cut.is_wedge else draw_surface
        surface = draw(bone, cells, site, noise, config, rng)
        if cut.normal is not None and isinstance(surface, FractureSurface):
            surface = turned(surface, cut.normal, cut.tilt_deg, rng)
        groups = _plan(bone, cells, surface, float(rng.uniform(*cut.reach_mm)))
        parts = np.sort(np.bincount(groups, bone.cell_mm3[cells]))[::-1]
        if len(parts) > 1 and parts[1] >= _MIN_CUT_MM3:
            _divide(bone, pattern, piece, cells, surface, groups)
            return True
    return False


def _plan(
    bone: BonePoints, cells: npt.NDArray[np.intp], surface: Surface, radius_mm: float
) -> IntArray:
    """(C,) the part each cell falls into if the surface breaks the bone only near its site."""
    points = bone.cell_points_mm[cells]
    number = np.full(len(bone.cell_mm3), -1, np.int32)
    number[cells] = np.arange(len(cells), dtype=np.int32)
    edges = number[bone.edges]
    edges = edges[(edges >= 0).all(axis=1)]
    side = surface.distance_mm(points) > 0
    crosses = side[edges[:, 0]] != side[edges[:, 1]]
    part = _components(edges[~crosses], len(cells))
    bridges = part[edges[crosses]]
    middle = points[edges[crosses, 0]]
    from_site = np.linalg.norm(middle - surface.site_mm, axis=1)
    # A pair of parts is divided where any of its common border lies near the site.
    key = bridges.min(axis=1).astype(np.int64) * len(cells) + bridges.max(axis=1)
    pairs, which = np.unique(key, return_inverse=True)
    nearest = np.full(len(pairs), np.inf)
    np.minimum.at(nearest, which, from_site)
    healed = pairs[nearest > radius_mm]
    ties = np.stack([healed // len(cells), healed % len(cells)], axis=1).astype(np.int32)
    return _components(ties, int(part.max()) + 1)[part]


def _components(edges: IntArray, count: int) -> IntArray:
    graph = coo_matrix(
        (np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count)
    )
    parts: IntArray = connected_components(graph, directed=False)[1].astype(np.int32)
    return parts


def _divide(
    bone: BonePoints,
    pattern: FracturePattern,
    piece: int,
    cells: npt.NDArray[np.intp],
    surface: Surface,
    groups: IntArray,
) -> None:
    """Carry a planned cut out: each connected region takes the part most of its cells have."""
    voxels = np.flatnonzero(pattern.labels == piece)
    distance = surface.distance_mm(bone.points_mm[voxels])
    index = bone.index[voxels]
    low = index.min(axis=0)
    grid = np.zeros(index.max(axis=0) - low + 1, np.uint8)
    place = tuple((index - low).T)
    grid[place] = 1 + (distance > 0)
    region = cc3d.connected_components(grid, connectivity=26)[place].astype(np.int64)
    group_of_cell = np.zeros(len(bone.cell_mm3), np.int64)
    group_of_cell[cells] = groups
    parts = int(groups.max()) + 1
    votes = np.bincount(
        region * parts + group_of_cell[bone.cell[voxels]],
        minlength=(int(region.max()) + 1) * parts,
    ).reshape(-1, parts)
    part = votes.argmax(axis=1)[region]
    order = np.argsort(-np.bincount(part, minlength=parts), kind="stable")
    rank = np.empty(parts, np.int32)
    rank[order] = np.arange(parts, dtype=np.int32)
    new = rank[part]
    pattern.labels[voxels[new > 0]] = pattern.labels.max() + new[new > 0]
    close = np.abs(distance) < _CRACK_REACH_MM
    near = voxels[close]
    true = true_distance(surface.distance_mm, bone.points_mm[near], distance[close])
    _record(pattern, near, true, surface.site_mm)


def _record(
    pattern: FracturePattern,
    voxels: npt.NDArray[np.intp],
    distance_mm: Float32Array,
    site_mm: Float32Array,
) -> None:
    """Note a fracture's distance in the voxels it divided, where it is the nearest one."""
    nearer = distance_mm < pattern.crack_mm[voxels]
    pattern.crack_mm[voxels[nearer]] = distance_mm[nearer]
    pattern.fracture[voxels[nearer]] = len(pattern.sites_mm)
    pattern.sites_mm.append(site_mm)


def _comminute(
    bone: BonePoints,
    pattern: FracturePattern,
    count: int,
    noise: NoiseField,
    rng: np.random.Generator,
    at: int | None = None,
) -> None:
    """Shatter the bone around the site of an earlier fracture into `count` small cells."""
    site = pattern.sites_mm[int(rng.integers(len(pattern.sites_mm))) if at is None else at]
    radius = float(np.exp(rng.uniform(np.log(7.0), np.log(24.0))))
    near = ((bone.cell_points_mm - site) ** 2).sum(axis=1) < radius**2
    candidates = bone.cell_points_mm[near]
    if len(candidates) < count:
        return
    seeds = candidates[rng.choice(len(candidates), count, replace=False)]
    stretch = np.diag(rng.uniform(0.75, 1.5, 3))
    split = CellSplit(
        centre_mm=site,
        radius_mm=radius,
        seeds_mm=seeds,
        stretch=stretch.astype(np.float32),
        warp=(noise.moved(rng), noise.moved(rng), noise.moved(rng)),
        warp_mm=float(rng.uniform(1.0, 2.5)),
    )
    reach = np.flatnonzero(((bone.points_mm - site) ** 2).sum(axis=1) < (2.0 * radius + 12.0) ** 2)
    cell, wall = split.cells(bone.points_mm[reach])
    pattern.labels[reach[cell > 0]] = pattern.labels.max() + cell[cell > 0]
    close = wall < _CRACK_REACH_MM
    near_wall = reach[close]
    true = true_distance(lambda p: split.cells(p)[1], bone.points_mm[near_wall], wall[close])
    _record(pattern, near_wall, true, site)


def _absorb_lone(labels: IntArray, min_voxels: int) -> IntArray:
    """Give labels that are too small altogether to the nearest other label."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    lone = np.flatnonzero((sizes > 0) & (sizes < min_voxels))
    if not len(lone) or len(lone) == np.count_nonzero(sizes):
        return labels
    is_lone = np.isin(labels, lone)
    others = np.where(is_lone, 0, labels)
    nearest = distance_transform_edt(others == 0, return_distances=False, return_indices=True)
    return np.where(is_lone, others[tuple(nearest)], labels).astype(np.int32)


def _compact(labels: IntArray) -> IntArray:
    occurs = np.bincount(labels.ravel()) > 0
    occurs[0] = False
    return np.where(occurs, np.cumsum(occurs), 0).astype(np.int32)[labels]
