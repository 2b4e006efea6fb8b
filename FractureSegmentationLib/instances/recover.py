"""Recovery on one screen: from the class probabilities of one bone to its fragments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence, Probability
from FractureSegmentationLib.instances.learned.agglomerate import (
    Agglomeration,
    agglomerated,
    contact_graph,
)
from FractureSegmentationLib.instances.learned.judge import ContactJudge, Judge, MergeModel
from FractureSegmentationLib.instances.learned.watershed import basins
from FractureSegmentationLib.instances.merge_tree import MergeTree
from FractureSegmentationLib.instances.merging import merged_regions
from FractureSegmentationLib.instances.pieces import join_small_pieces, label_unreached
from FractureSegmentationLib.instances.regions import describe_interfaces
from FractureSegmentationLib.instances.result import JoinedPiece, PointKji, Recovery
from FractureSegmentationLib.instances.ridges import unseparated_fractures
from FractureSegmentationLib.instances.seeds import hierarchical_seeds, paper_seeds
from FractureSegmentationLib.types import FloatArray, HuArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.geodesic import grow_geodesic
from FractureSegmentationLib.voxels.nearest import grow_nearest
from FractureSegmentationLib.voxels.windows import window_maximum

_DEFAULT = RecoveryConfig()

Regions = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneContext:
    """What recovery knows of a bone beside its map.

    Attributes:
        hu: (K, J, I) the CT on the grid of the map; None where it is not known.
        slug: of the bone; "" where it is not known.
        judge: says which regions are one fragment.
    """

    hu: HuArray | None = None
    slug: str = ""
    judge: Judge = field(default_factory=ContactJudge)


_NOTHING_MORE = BoneContext()


def recover_fragments(  # noqa: PLR0913, PLR0917  three maps, and what they belong to
    boundary: FloatArray,
    interior: FloatArray,
    contact: FloatArray,
    bone: MaskArray,
    spacing_mm: Spacing,
    config: RecoveryConfig = _DEFAULT,
    context: BoneContext = _NOTHING_MORE,
) -> Recovery:
    """Divide one bone into its fragments.

    Args:
        boundary: (K, J, I) probability of boundary.
        interior: (K, J, I) probability of interior.
        contact: (K, J, I) probability of contact.
        bone: (K, J, I) the voxels to label; what the network says elsewhere is not used.
        spacing_mm: voxel size along (k, j, i), in mm.
        config: mode and thresholds.
        context: what is known beside the map.

    Returns:
        The fragments. A bone without any seed is one fragment per disconnected piece.

    Raises:
        ValueError: the grids differ, or `bone` is not boolean.
    """
    if not boundary.shape == interior.shape == contact.shape == bone.shape:
        raise ValueError("boundary, interior, contact and bone must share one grid")
    if context.hu is not None and context.hu.shape != bone.shape:
        raise ValueError("the CT and the bone must share one grid")
    labels = np.zeros(bone.shape, np.uint16)
    regions = np.zeros(bone.shape, np.uint16)
    box = bounding_box(bone)
    if box is None:
        return Recovery(labels=labels, regions=regions, tree=MergeTree(count=0))
    evidence = Evidence.of(boundary[box], interior[box], contact[box], bone[box], spacing_mm)
    if config.mode == "paper":
        recovery = _recover_paper(evidence, config)
    elif config.mode == "regions" or isinstance(context.judge, MergeModel):
        hu = None if context.hu is None else context.hu[box]
        recovery = _recover_regions(evidence, config, replace(context, hu=hu))
    else:
        recovery = _recover_hierarchical(evidence, config)
    labels[box], regions[box] = recovery.labels, recovery.regions
    moved = replace(recovery, labels=labels, regions=regions)
    return _moved(moved, tuple(b.start for b in box))


def _recover_paper(evidence: Evidence, config: RecoveryConfig) -> Recovery:
    """The published recipe and nothing else; without any seed the bone is one fragment."""
    regions = grow_nearest(paper_seeds(evidence, config), evidence.bone, evidence.spacing_mm)
    if not regions.any():
        regions = evidence.bone.astype(np.uint32)
    regions = _compact(regions, evidence.voxels)
    tree = MergeTree(count=int(regions.max()))
    return _finished(evidence, evidence.contact, evidence.foreground, (regions, tree, ()), config)


def _recover_hierarchical(evidence: Evidence, config: RecoveryConfig) -> Recovery:
    bone, spacing_mm = evidence.bone, evidence.spacing_mm
    slowness = 1.0 + config.contact_cost * evidence.contact
    grown = grow_geodesic(hierarchical_seeds(evidence, config), bone, slowness, spacing_mm)
    regions = _compact(label_unreached(grown, bone, spacing_mm), evidence.voxels)
    separation = _near_maximum(evidence, config)
    weight = evidence.weight(config.marrow_depth_mm, config.marrow_weight)
    merged, small, tree = merged_regions(evidence, separation, weight, regions, config)
    complete, pieces = join_small_pieces(merged, spacing_mm, config.min_piece_mm3)
    # A piece that joined another fragment is part of the region that stands for it.
    regions = np.where(complete == merged, regions, complete)
    return _finished(evidence, separation, weight, (regions, tree, small + pieces), config)


def _near_maximum(evidence: Evidence, config: RecoveryConfig) -> Probability:
    """Greatest separation probability within reach of each voxel, inside the bone."""
    separation = evidence.separation(config.deep_boundary_mm)
    k, j, i = (round(config.support_reach_mm / s) for s in evidence.spacing_mm)
    return np.where(evidence.bone, window_maximum(separation, (k, j, i)), np.float32(0.0))


def _recover_regions(evidence: Evidence, config: RecoveryConfig, context: BoneContext) -> Recovery:
    regions, joined = oversegmented(evidence, context.hu, config)
    graph = contact_graph(evidence, regions, context.hu, context.slug)
    merging = agglomerated(graph, context.judge, config.min_fragment_mm3)
    tree = merging.tree(context.judge)
    small = _small_fragments(regions, merging, evidence.voxel_mm3)
    recovery = _finished(
        evidence, evidence.contact, evidence.foreground, (regions, tree, joined + small), config
    )
    same = _join_probabilities(recovery)
    return replace(
        recovery,
        is_judged=True,
        interfaces=tuple(
            replace(one, probability=1.0 - same.get((one.a, one.b), 0.0))
            for one in recovery.interfaces
        ),
    )


def _join_probabilities(recovery: Recovery) -> dict[tuple[int, int], float]:
    """How likely every two fragments are one, by their labels, the smaller one first."""
    groups, label_of = recovery.tree.groups(), recovery.label_of_region()
    label = {int(groups[region]): int(label_of[region]) for region in range(1, groups.size)}
    found = {}
    for (a, b), chance in recovery.tree.join_probabilities().items():
        first, second = sorted((label[a], label[b]))
        found[first, second] = chance
    return found


def oversegmented(
    evidence: Evidence, hu: HuArray | None = None, config: RecoveryConfig = _DEFAULT
) -> tuple[Regions, tuple[JoinedPiece, ...]]:
    """Divide a bone into more regions than it has fragments.

    Args:
        evidence: of the bone.
        hu: (K, J, I) the CT on the same grid; None where it is not known.
        config: see `RecoveryConfig`.

    Returns:
        (K, J, I) regions 1..n without gaps, 0 outside the bone; and the disconnected pieces that
        were too small, `into` being the region they joined.
    """
    found = basins(evidence, hu, config)
    regions = label_unreached(found, evidence.bone, evidence.spacing_mm)
    regions, joined = join_small_pieces(regions, evidence.spacing_mm, config.min_piece_mm3)
    compact = _compact(regions, evidence.voxels)
    numbers = dict(
        zip(
            regions.reshape(-1)[evidence.voxels].tolist(),
            compact.reshape(-1)[evidence.voxels].tolist(),
            strict=True,
        )
    )
    return compact, tuple(replace(piece, into=numbers[piece.into]) for piece in joined)


def _small_fragments(
    regions: Regions, merging: Agglomeration, voxel_mm3: float
) -> tuple[JoinedPiece, ...]:
    """What would have been fragments, were they not too small."""
    joined = []
    for small, into in merging.small:
        where = np.nonzero(np.isin(regions, small))
        k, j, i = (float(axis.mean()) for axis in where)
        joined.append(
            JoinedPiece(
                volume_mm3=float(len(where[0])) * voxel_mm3, centroid_kji=(k, j, i), into=into
            )
        )
    return tuple(joined)


def _finished(
    evidence: Evidence,
    separation: Probability,
    weight: Probability,
    found: tuple[Regions, MergeTree, tuple[JoinedPiece, ...]],
    config: RecoveryConfig,
) -> Recovery:
    """Put regions together at the level of their tree, number by volume and describe."""
    regions, tree, joined = found
    groups = tree.groups()
    labels, order = _by_volume(groups[regions].astype(np.uint32), evidence.voxels)
    return Recovery(
        labels=labels,
        regions=regions.astype(np.uint16),
        tree=tree,
        joined=tuple(replace(piece, into=int(order[groups[piece.into]])) for piece in joined),
        interfaces=describe_interfaces(
            labels,
            separation,
            evidence.contact,
            weight,
            evidence.spacing_mm,
            config.interface_reach_mm,
        ),
        unseparated=unseparated_fractures(
            labels, evidence.contact, evidence.spacing_mm, config.min_ridge_mm2
        ),
    )


def _compact(regions: npt.NDArray[np.integer], voxels: npt.NDArray[np.int64]) -> Regions:
    """The same regions numbered 1..n without gaps, in the order of their labels."""
    inside = regions.reshape(-1)[voxels]
    found, numbers = np.unique(inside, return_inverse=True)
    if found.size > np.iinfo(np.uint16).max:
        raise ValueError(f"{found.size} regions in one bone are more than labels can number")
    compact = np.zeros(regions.shape, np.uint32)
    compact.reshape(-1)[voxels] = numbers + 1
    return compact


def _by_volume(
    regions: Regions, voxels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """Labels 1..n by falling volume, and the new label per old one."""
    old = regions.reshape(-1)[voxels]
    sizes = np.bincount(old)
    sizes[0] = 0
    ranked = np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())]
    if ranked.size > np.iinfo(np.uint16).max:
        raise ValueError(f"{ranked.size} fragments in one bone are more than labels can number")
    order = np.zeros(sizes.size, np.uint16)
    order[ranked] = np.arange(1, ranked.size + 1)
    labels = np.zeros(regions.shape, np.uint16)
    labels.reshape(-1)[voxels] = order[old]
    return labels, order


def _moved(recovery: Recovery, corner: tuple[int, ...]) -> Recovery:
    """The same recovery on the grid of which the recovered box is a part."""

    def move(point: PointKji) -> PointKji:
        k, j, i = (p + c for p, c in zip(point, corner, strict=True))
        return (k, j, i)

    return replace(
        recovery,
        joined=tuple(replace(p, centroid_kji=move(p.centroid_kji)) for p in recovery.joined),
        unseparated=tuple(
            replace(u, centroid_kji=move(u.centroid_kji)) for u in recovery.unseparated
        ),
    )
