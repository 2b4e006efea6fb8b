"""Boundary-Interior-Contact Mask: what every voxel of a bone is, whatever fragment it belongs to.

Contact is a voxel with another fragment close by; boundary is the outer shell of a fragment, thin
where the bone is thin; interior is the rest. `encode` makes the training target from fragments,
`decode` turns a predicted map back into fragments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.recover import BoneContext, recover_fragments
from FractureSegmentationLib.instances.result import Recovery
from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing
from FractureSegmentationLib.volume import FragmentMap
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.distance import label_depth_mm
from FractureSegmentationLib.voxels.windows import (
    another_label_near,
    window_maximum,
    window_minimum,
)

CHANNELS = ("background", "boundary", "interior", "contact")
BACKGROUND, BOUNDARY, INTERIOR, CONTACT = range(4)

InteriorRule = Literal["adapt", "laplacian", "shift"]

_DIFFERENCE_REACH = 2
"""Voxels to each side that a difference of differences looks at."""

_DistanceMm = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class BicmConfig:
    """How fragments become classes.

    Attributes:
        rule: how boundary and interior are distinguished. `adapt`: the shell is a share of the
            local thickness; `laplacian`: interior is deep or where the depth map is ridged;
            `shift`: the shell is one window wide.
        contact_window_voxels: width of the cube in which another fragment makes contact; counted
            in voxels of the working grid, as published.
        boundary_share: `adapt`: shell depth as a share of the greatest depth close by.
        thickness_reach_mm: `adapt`: how far to look for that greatest depth.
        max_boundary_mm: `adapt`: the shell is never deeper than this.
        core_depth_mm: `laplacian`: whatever is deeper is interior.
        smoothing_mm: `laplacian`: standard deviation of the smoothing of the depth map.
        ridge_per_mm: `laplacian`: negative Laplacian of the depth above which a voxel is interior.
        shift_window_voxels: `shift`: width of the cube in which a foreign voxel makes boundary.
    """

    rule: InteriorRule = "adapt"
    contact_window_voxels: int = 7
    boundary_share: float = 0.35
    thickness_reach_mm: float = 3.0
    max_boundary_mm: float = 2.0
    core_depth_mm: float = 4.8
    smoothing_mm: float = 1.6
    ridge_per_mm: float = 0.1375
    shift_window_voxels: int = 3

    def __post_init__(self) -> None:
        if self.rule not in get_args(InteriorRule):
            raise ValueError(f"rule must be one of {get_args(InteriorRule)}, got {self.rule!r}")
        for name in ("contact_window_voxels", "shift_window_voxels"):
            width = getattr(self, name)
            if width < 3 or width % 2 == 0:
                raise ValueError(f"{name} must be odd and at least 3, got {width}")
        if not 0.0 < self.boundary_share < 1.0:
            raise ValueError(f"boundary_share must lie in (0, 1), got {self.boundary_share}")
        for name in ("thickness_reach_mm", "max_boundary_mm", "core_depth_mm", "smoothing_mm"):
            if getattr(self, name) <= 0.0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


_DEFAULT = BicmConfig()


def encode(
    fragments: LabelArray, spacing_mm: Spacing, config: BicmConfig = _DEFAULT
) -> npt.NDArray[np.uint8]:
    """Class of every voxel of one bone.

    Args:
        fragments: (K, J, I) fragment labels of one bone on the working grid, 0 outside the bone.
        spacing_mm: voxel size along (k, j, i), in mm.
        config: the rule and its lengths.

    Returns:
        (K, J, I) position in `CHANNELS`: 0 outside the bone, contact before boundary before
        interior; every fragment keeps at least one interior voxel.
    """
    classes = np.zeros(fragments.shape, np.uint8)
    box = bounding_box(fragments != 0)
    if box is None:
        return classes
    compact = _compact(fragments[box])
    is_boundary = _shell(compact, spacing_mm, config)
    is_contact = _contact(compact, config.contact_window_voxels)
    coded = np.where(is_boundary, np.uint8(BOUNDARY), np.uint8(INTERIOR))
    coded[is_contact] = CONTACT
    coded[compact == 0] = BACKGROUND
    _restore_lost_interiors(coded, compact, spacing_mm)
    classes[box] = coded
    return classes


def contact_mask(fragments: LabelArray, window_voxels: int = 7) -> MaskArray:
    """Where another fragment of the same bone lies within a cube around the voxel.

    Args:
        fragments: (K, J, I) fragment labels of one bone, 0 outside.
        window_voxels: odd width of the cube.
    """
    contact = np.zeros(fragments.shape, bool)
    box = bounding_box(fragments != 0)
    if box is not None:
        contact[box] = _contact(_compact(fragments[box]), window_voxels)
    return contact


def _compact(fragments: LabelArray) -> LabelArray:
    """The same partition with the smallest labels; bytes make every later pass twice as fast."""
    is_bone = fragments != 0
    values = fragments[is_bone]
    present = np.flatnonzero(np.bincount(values))
    lookup: LabelArray = np.zeros(present[-1] + 1, np.uint8 if present.size < 255 else np.uint16)
    lookup[present] = np.arange(1, present.size + 1)
    compact: LabelArray = np.zeros(fragments.shape, lookup.dtype)
    compact[is_bone] = lookup[values]
    return compact


def _contact(compact: LabelArray, window_voxels: int) -> MaskArray:
    if compact.max() < 2:
        return np.zeros(compact.shape, bool)
    return another_label_near(compact, window_voxels // 2)


def _shell(compact: LabelArray, spacing_mm: Spacing, config: BicmConfig) -> MaskArray:
    if config.rule == "shift":
        reach = config.shift_window_voxels // 2
        padded = np.pad(compact, reach)
        inner = tuple(slice(reach, -reach) for _ in range(3))
        greatest, least = window_maximum(padded, reach), window_minimum(padded, reach)
        return np.asarray((greatest != least)[inner])
    if config.rule == "laplacian":
        return _laplacian_shell(compact, spacing_mm, config)
    depth_mm = _depth(compact, spacing_mm, config.max_boundary_mm / config.boundary_share)
    k, j, i = (max(1, round(config.thickness_reach_mm / s)) for s in spacing_mm)
    deepest_mm = window_maximum(depth_mm, (k, j, i))
    limit_mm = np.minimum(config.boundary_share * deepest_mm, config.max_boundary_mm)
    return depth_mm <= limit_mm


def _laplacian_shell(compact: LabelArray, spacing_mm: Spacing, config: BicmConfig) -> MaskArray:
    """Depth maps are smoothed one fragment at a time: a neighbour's depth must not blur in."""
    is_core = np.zeros(compact.shape, bool)
    limit_mm = config.core_depth_mm + 4.0 * config.smoothing_mm
    inner = (slice(_DIFFERENCE_REACH, -_DIFFERENCE_REACH),) * 3
    for label in range(1, int(compact.max()) + 1):
        box = bounding_box(compact == label)
        if box is None:
            continue
        is_own = compact[box] == label
        depth_mm = _depth(np.pad(is_own, _DIFFERENCE_REACH).view(np.uint8), spacing_mm, limit_mm)
        sigma = [config.smoothing_mm / s for s in spacing_mm]
        smooth = gaussian_filter(depth_mm, sigma, mode="constant")
        bend = np.zeros_like(smooth)
        for axis, step_mm in enumerate(spacing_mm):
            slope = np.gradient(smooth, step_mm, axis=axis)
            bend += np.gradient(slope, step_mm, axis=axis)
        is_ridge = -bend > config.ridge_per_mm
        is_core[box] |= is_own & (is_ridge | (depth_mm > config.core_depth_mm))[inner]
    return ~is_core


def _depth(compact: LabelArray, spacing_mm: Spacing, limit_mm: float) -> _DistanceMm:
    """Depth within the own fragment, the outside of the array counted as background."""
    padded = np.pad(compact, 1)
    return label_depth_mm(padded, spacing_mm, limit_mm)[1:-1, 1:-1, 1:-1]


def _restore_lost_interiors(
    coded: npt.NDArray[np.uint8], compact: LabelArray, spacing_mm: Spacing
) -> None:
    """Give a fragment without interior its voxel furthest from other fragments, then deepest.

    In place, on the array `encode` is building. The direct neighbours come along, unless they
    touch another fragment: one lonely voxel teaches a network nothing.
    """
    count = int(compact.max())
    has_interior = np.bincount(compact[coded == INTERIOR], minlength=count + 1) > 0
    for label in np.flatnonzero(~has_interior[1:]) + 1:
        box = bounding_box(compact == label, margin=2)
        if box is None:
            continue
        own = compact[box] == label
        others = (compact[box] != 0) & ~own
        reach_mm = 2.0 * max(spacing_mm) * max(own.shape)
        clear_mm = label_depth_mm(np.logical_not(others).view(np.uint8), spacing_mm, reach_mm)
        depth_mm = _depth(own.view(np.uint8), spacing_mm, reach_mm)
        score = np.where(own, clear_mm + 1e-3 * depth_mm, -1.0)
        centre = np.unravel_index(int(score.argmax()), score.shape)
        near = tuple(slice(max(c - 1, 0), c + 2) for c in centre)
        keep = own[near] & (window_maximum(others.view(np.uint8), 1)[near] == 0)
        coded[box][near][keep] = INTERIOR
        coded[box][centre] = INTERIOR


def decode(
    fragment_map: FragmentMap,
    bone: MaskArray,
    config: RecoveryConfig,
    context: BoneContext | None = None,
) -> Recovery:
    """Fragments of one bone from its predicted map.

    Args:
        fragment_map: probabilities of `CHANNELS` on the working grid.
        bone: (K, J, I) the voxels to label, on the same grid.
        config: recovery mode and thresholds.
        context: what is known beside the map, on the same grid.
    """
    return recover_fragments(
        fragment_map.channel("boundary"),
        fragment_map.channel("interior"),
        fragment_map.channel("contact"),
        bone,
        fragment_map.geometry.spacing_mm,
        config,
        context or BoneContext(),
    )
