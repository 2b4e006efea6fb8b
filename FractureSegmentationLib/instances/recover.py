"""Recovery on one screen: from the class probabilities of one bone to its fragments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.evidence import Evidence, Probability
from FractureSegmentationLib.instances.merging import Regions, merged_regions
from FractureSegmentationLib.instances.pieces import join_small_pieces, label_unreached
from FractureSegmentationLib.instances.regions import (
    describe_interfaces,
)
from FractureSegmentationLib.instances.result import JoinedPiece, PointKji, Recovery
from FractureSegmentationLib.instances.ridges import unseparated_fractures
from FractureSegmentationLib.instances.seeds import hierarchical_seeds, paper_seeds
from FractureSegmentationLib.types import FloatArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.geodesic import grow_geodesic
from FractureSegmentationLib.voxels.nearest import grow_nearest
from FractureSegmentationLib.voxels.windows import window_maximum

_DEFAULT = RecoveryConfig()


def recover_fragments(
    boundary: FloatArray,
    interior: FloatArray,
    contact: FloatArray,
    bone: MaskArray,
    spacing_mm: Spacing,
    config: RecoveryConfig = _DEFAULT,
) -> Recovery:
    """Divide one bone into its fragments.

    Args:
        boundary: (K, J, I) probability of boundary.
        interior: (K, J, I) probability of interior.
        contact: (K, J, I) probability of contact.
        bone: (K, J, I) the voxels to label; what the network says elsewhere is not used.
        spacing_mm: voxel size along (k, j, i), in mm.
        config: mode and thresholds.

    Returns:
        The fragments. A bone without any seed is one fragment per disconnected piece.

    Raises:
        ValueError: the grids differ, or `bone` is not boolean.
    """
    if not boundary.shape == interior.shape == contact.shape == bone.shape:
        raise ValueError("boundary, interior, contact and bone must share one grid")
    labels = np.zeros(bone.shape, np.uint16)
    box = bounding_box(bone)
    if box is None:
        return Recovery(labels=labels)
    evidence = Evidence.of(boundary[box], interior[box], contact[box], bone[box], spacing_mm)
    recover = _recover_paper if config.mode == "paper" else _recover_hierarchical
    recovery = recover(evidence, config)
    labels[box] = recovery.labels
    return _moved(replace(recovery, labels=labels), tuple(b.start for b in box))


def _recover_paper(evidence: Evidence, config: RecoveryConfig) -> Recovery:
    """The published recipe and nothing else; without any seed the bone is one fragment."""
    regions = grow_nearest(paper_seeds(evidence, config), evidence.bone, evidence.spacing_mm)
    if not regions.any():
        regions = evidence.bone.astype(np.uint32)
    return _finished(evidence, evidence.contact, evidence.foreground, regions, (), config)


def _recover_hierarchical(evidence: Evidence, config: RecoveryConfig) -> Recovery:
    bone, spacing_mm = evidence.bone, evidence.spacing_mm
    slowness = 1.0 + config.contact_cost * evidence.contact
    grown = grow_geodesic(hierarchical_seeds(evidence, config), bone, slowness, spacing_mm)
    regions = label_unreached(grown, bone, spacing_mm)
    separation = _near_maximum(evidence, config)
    weight = evidence.weight(config.marrow_depth_mm, config.marrow_weight)
    regions, merged = merged_regions(evidence, separation, weight, regions, config)
    regions, joined = join_small_pieces(regions, spacing_mm, config.min_piece_mm3)
    return _finished(evidence, separation, weight, regions, merged + joined, config)


def _near_maximum(evidence: Evidence, config: RecoveryConfig) -> Probability:
    """Greatest separation probability within reach of each voxel, inside the bone."""
    separation = evidence.separation(config.deep_boundary_mm)
    k, j, i = (round(config.support_reach_mm / s) for s in evidence.spacing_mm)
    return np.where(evidence.bone, window_maximum(separation, (k, j, i)), np.float32(0.0))


def _finished(
    evidence: Evidence,
    separation: Probability,
    weight: Probability,
    regions: Regions,
    joined: tuple[JoinedPiece, ...],
    config: RecoveryConfig,
) -> Recovery:
    """Number by volume and describe."""
    labels, order = _by_volume(regions, evidence.voxels)
    return Recovery(
        labels=labels,
        joined=tuple(replace(piece, into=int(order[piece.into])) for piece in joined),
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
