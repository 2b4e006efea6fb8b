"""The plane that mirrors a pelvis, estimated from its bones themselves.

Each bone is mirrored and laid over its counterpart: the left hip bone over the right one and the
other way round, the sacrum over itself. Of all points those that fit worst are left out, round by
round: they lie on displaced fragments, on fracture surfaces, or where the CT ends.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import cKDTree

from FractureSegmentationLib.planning.pose import Pose
from FractureSegmentationLib.types import PointLps
from FractureSegmentationLib.volume import LabelVolume

_Array = npt.NDArray[np.float64]
_LEFT = np.array([1.0, 0.0, 0.0])
_ARM_MM = 100.0  # so far from the middle a tilt is felt: about half a pelvis
Points = npt.NDArray[np.float64]
"""(N, 3) x, y, z in LPS, mm."""

_NEIGHBOURS = 12
"""Points of a patch of surface that is taken as flat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorConfig:
    """How bones are laid over each other.

    Attributes:
        share: the part of the points that counts: those that fit best.
        points: of every bone that are moved, at most.
        target_points: of every bone that they are laid over, at most.
        rounds: at most.
        settled_mm: rounds end when nothing moves by more, in mm.

    Raises:
        ValueError: the share is not in (0, 1], or a number is not positive.
    """

    share: float = 0.7
    points: int = 2000
    target_points: int = 20_000
    rounds: int = 60
    settled_mm: float = 0.02

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"share must lie in (0, 1], got {self.share}")
        if min(self.points, self.target_points, self.rounds, self.settled_mm) <= 0:
            raise ValueError(f"counts and lengths must be positive, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPlane:
    """A plane, and how well it mirrors the bones it was estimated from.

    Attributes:
        point_lps_mm: on the plane, near the middle of the bones.
        normal_lps: unit vector; its Left part is not negative.
        residual_mm: median distance of all mirrored points from the bone they lie over.
    """

    point_lps_mm: PointLps
    normal_lps: PointLps
    residual_mm: float

    @property
    def reflection(self) -> Pose:
        """(4, 4) takes (x, y, z, 1) in LPS, mm to its mirror image; its determinant is -1."""
        normal = np.asarray(self.normal_lps)
        matrix = np.eye(4)
        matrix[:3, :3] -= 2.0 * np.outer(normal, normal)
        matrix[:3, 3] = 2.0 * float(normal @ self.point_lps_mm) * normal
        return matrix


@dataclass(frozen=True, slots=True, eq=False)
class MirrorPair:
    """A bone and its counterpart as points on their surfaces; an unpaired bone twice."""

    one: Points
    other: Points


def estimate_mirror_plane(
    pairs: Sequence[MirrorPair], config: MirrorConfig | None = None
) -> MirrorPlane:
    """Find the plane that mirrors all pairs best.

    Args:
        pairs: at least one.
        config: how bones are laid over each other.

    Raises:
        ValueError: there is no pair, or a bone has too few points.
    """
    if not pairs:
        raise ValueError("a mirror plane needs a pair of bones")
    config = config or MirrorConfig()
    legs = [leg for pair in pairs for leg in _legs(pair, config)]
    planes = (_settled(legs, normal, config) for normal in _starts(pairs))
    return min(planes, key=lambda plane: plane.residual_mm)


@dataclass(frozen=True, slots=True, eq=False)
class _Leg:
    """Points that are mirrored, and the bone that they come to lie over."""

    points: Points
    target: BoneSurface


def surface_points(labels: LabelVolume, wanted: Collection[int]) -> Points:
    """The outermost voxels of some labels taken as one bone.

    Where two of them touch, there is no surface: a fracture line is no part of the bone's shape.

    Args:
        labels: fragment or bone labels.
        wanted: labels of the bone.

    Returns:
        The centres of those voxels; none if no voxel has a wanted label.
    """
    boxes_by_label = find_objects(labels.voxels)
    boxes = [
        box for n, box in enumerate(boxes_by_label, start=1) if n in wanted and box is not None
    ]
    if not boxes:
        return np.zeros((0, 3))
    box = tuple(
        slice(min(one[axis].start for one in boxes), max(one[axis].stop for one in boxes))
        for axis in range(3)
    )
    mask = np.pad(np.isin(labels.voxels[box], list(wanted)), 1)
    first = np.array([side.start for side in box]) - 1
    outermost = np.argwhere(mask & ~binary_erosion(mask)) + first
    return labels.geometry.to_lps(outermost).astype(np.float64)


def thinned(points: Points, most: int) -> Points:
    """At most `most` of the points, spread over all of them and always the same ones."""
    if len(points) <= most:
        return points
    return points[np.random.default_rng(0).permutation(len(points))[:most]]


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Where points lie against a bone; one row per point.

    Attributes:
        distances_mm: (N,) to the nearest point of its surface.
        normals: (N, 3) unit normals of the surface there; inwards or outwards.
        slice_positions_mm: (N,) how far the points lie above the surface, along those normals.
        reach_mm: the surface is taken as flat so far around its points.
    """

    distances_mm: npt.NDArray[np.float64]
    normals: Points
    slice_positions_mm: npt.NDArray[np.float64]
    reach_mm: float

    @property
    def gaps_mm(self) -> npt.NDArray[np.float64]:
        """(N,) how far the points are from the surface, which is denser than its points."""
        is_near = self.distances_mm <= self.reach_mm
        return np.where(is_near, np.abs(self.slice_positions_mm), self.distances_mm)


class BoneSurface:
    """A bone that others are laid over: flat patches around points of its surface.

    Args:
        points: (N, 3) on the surface.
        most: so many of them are used at most.

    Raises:
        ValueError: there are too few points for a patch.
    """

    def __init__(self, points: Points, most: int) -> None:
        if min(len(points), most) < _NEIGHBOURS:
            raise ValueError(f"a surface has at least {_NEIGHBOURS} points, got {len(points)}")
        self._points = thinned(points, most)
        self._tree = cKDTree(self._points)
        distances, patches = self._tree.query(self._points, k=_NEIGHBOURS)
        self._reach_mm = float(np.median(distances[:, -1]))
        patch = self._points[patches]
        patch = patch - patch.mean(axis=1, keepdims=True)
        # The direction in which a patch extends least is its normal.
        _, vectors = np.linalg.eigh(np.einsum("npi,npj->nij", patch, patch))
        self._normals: Points = vectors[:, :, 0]

    def match(self, points: Points) -> Match:
        """Measure (N, 3) points in LPS, mm against the surface."""
        distances, nearest = self._tree.query(points)
        normals = self._normals[nearest]
        heights = np.einsum("ni,ni->n", points - self._points[nearest], normals)
        return Match(distances, normals, heights, self._reach_mm)


def _legs(pair: MirrorPair, config: MirrorConfig) -> list[_Leg]:
    ways = [(pair.one, pair.other)]
    if pair.one is not pair.other:
        ways.append((pair.other, pair.one))
    return [
        _Leg(thinned(moving, config.points), BoneSurface(still, config.target_points))
        for moving, still in ways
    ]


def _starts(pairs: Sequence[MirrorPair]) -> list[_Array]:
    """Normals to begin with: the patient's Left, and the way between the bones furthest apart."""
    ways = [pair.one.mean(axis=0) - pair.other.mean(axis=0) for pair in pairs]
    widest = max(ways, key=lambda way: float(np.linalg.norm(way)))
    length = float(np.linalg.norm(widest))
    return [_LEFT, widest / length] if length > 0.0 else [_LEFT]


def _settled(legs: Sequence[_Leg], normal: _Array, config: MirrorConfig) -> MirrorPlane:
    """Mirror, match, and tilt and shift the plane to bring the points closer, until it stays."""
    points = np.concatenate([leg.points for leg in legs])
    middle = points.mean(axis=0)
    points = points - middle
    offset_mm = 0.0
    for _ in range(config.rounds):
        match = _matched(legs, _mirrored(points, normal, offset_mm) + middle)
        counts = np.argsort(match.gaps_mm)[: max(4, round(config.share * len(points)))]
        tilt, shift_mm = _step(points, normal, offset_mm, match, counts)
        normal = (normal + tilt) / np.linalg.norm(normal + tilt)
        offset_mm += shift_mm
        if float(np.linalg.norm(tilt)) * _ARM_MM + abs(shift_mm) <= config.settled_mm:
            break
    match = _matched(legs, _mirrored(points, normal, offset_mm) + middle)
    x, y, z = (float(value) for value in middle + offset_mm * normal)
    a, b, c = (float(value) for value in (normal if normal[0] >= 0.0 else -normal))
    return MirrorPlane(
        point_lps_mm=(x, y, z),
        normal_lps=(a, b, c),
        residual_mm=float(np.median(match.gaps_mm)),
    )


def _mirrored(points: Points, normal: _Array, offset_mm: float) -> Points:
    """Points of a frame after reflection in the plane n·p = offset of that frame."""
    return points - 2.0 * np.outer(points @ normal - offset_mm, normal)


def _matched(legs: Sequence[_Leg], mirrored: Points) -> Match:
    """Each mirrored point against the bone that it comes to lie over."""
    ends = np.cumsum([len(leg.points) for leg in legs])[:-1]
    matches = [
        leg.target.match(part) for leg, part in zip(legs, np.split(mirrored, ends), strict=True)
    ]
    return Match(
        distances_mm=np.concatenate([one.distances_mm for one in matches]),
        normals=np.concatenate([one.normals for one in matches]),
        slice_positions_mm=np.concatenate([one.slice_positions_mm for one in matches]),
        reach_mm=min(one.reach_mm for one in matches),
    )


def _step(
    points: Points, normal: _Array, offset_mm: float, match: Match, counts: npt.NDArray[np.intp]
) -> tuple[_Array, float]:
    """The tilt and the shift of the plane that bring the points onto the surfaces, linearised.

    Tilting the normal n by t moves the image p - 2 (n·p - d) n by -2 (p·t) n - 2 (n·p - d) t, and
    shifting d by one moves it by 2 n; of either, the part along the surface's normal counts.
    """
    _, _, frame = np.linalg.svd(normal[None])
    across = frame[1:]  # two unit vectors in the plane
    part, surface = points[counts], match.normals[counts]
    heights = (part @ normal - offset_mm)[:, None]
    along = (surface @ normal)[:, None]
    tilts = -2.0 * ((part @ across.T) * along + heights * (surface @ across.T))
    system = np.hstack([tilts, 2.0 * along])
    solution, *_ = np.linalg.lstsq(system, -match.slice_positions_mm[counts], rcond=None)
    return solution[:2] @ across, float(solution[2])
