"""The fragments of a plan: moved, put back, measured, and checked for overlaps.

Poses are motions of the CT's own coordinates: the transforms of a plan lie under the one that the
segmentation lies under, and what that does is no part of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.plan_nodes import (
    MODEL_ROLE,
    TEMPLATE_ROLE,
    TRANSFORM_ROLE,
    ModelNode,
    TransformNode,
    all_nodes,
    centroid_of,
    display_of,
    models_of,
    pose_of,
    put_centroid,
    put_pose,
    referenced,
    remove_nodes,
    transforms_of,
)
from FractureSegmentationLib.mrml.segmentation import label_of, segment_id_of
from FractureSegmentationLib.mrml.state import Stamp, stamp_of, state_of
from FractureSegmentationLib.planning.displacement import Displacement, displacement_of
from FractureSegmentationLib.planning.overlap import OverlapCheck
from FractureSegmentationLib.planning.pose import Pose, pose_problem, rigid_pose


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentOverlap:
    """Two fragments that share space in the plan.

    Attributes:
        segment_ids: of the two.
        volume_mm3: what they share, in mm³.
        warning: one sentence that says so.
    """

    segment_ids: tuple[str, str]
    volume_mm3: float
    warning: str


class Plan:
    """The plan of a segmentation. All of it lies in the scene; `create_plan` brings it up to date.

    Args:
        node: the segmentation; `create_plan` or `find_plan` has found that it has a plan.
    """

    def __init__(self, node: SegmentationNode) -> None:
        self.node = node
        self._check: OverlapCheck | None = None
        self._stamp: Stamp = ()

    @property
    def segment_ids(self) -> tuple[str, ...]:
        """The fragments that can be moved, in the order of their segments."""
        there = transforms_of(self.node)
        return tuple(one for one in self.node.GetSegmentation().GetSegmentIDs() if one in there)

    def transform(self, segment_id: str) -> TransformNode:
        """The transform of a fragment.

        Raises:
            ValueError: the plan has none.
        """
        found = transforms_of(self.node).get(segment_id)
        if found is None:
            raise ValueError(f"the plan holds no fragment {segment_id!r}")
        return found

    def model(self, segment_id: str) -> ModelNode | None:
        """The model of a fragment's surface, which lies under its transform; None if deleted."""
        return models_of(self.node).get(segment_id)

    def pose(self, segment_id: str) -> Pose:
        """(4, 4) where a fragment is moved to, in LPS, mm.

        Raises:
            InputError: its transform does not only turn and shift.
        """
        pose = pose_of(self.transform(segment_id))
        problem = pose_problem(pose)
        if problem:
            raise InputError(
                f"The pose of {self._name(segment_id)} {problem}.",
                "Reset it, and move it with the arrows and rings only.",
            )
        return pose

    def poses(self) -> dict[str, Pose]:
        """The pose of every fragment by segment id, also of those that stay.

        Raises:
            InputError: a transform does not only turn and shift.
        """
        return {segment_id: self.pose(segment_id) for segment_id in self.segment_ids}

    def set_pose(self, segment_id: str, pose: Pose) -> None:
        """Move a fragment to a place.

        Args:
            segment_id: the fragment.
            pose: (4, 4) rigid motion in LPS, mm from where the CT shows it.

        Raises:
            ValueError: the plan has no such fragment, or the motion is not rigid.
        """
        put_pose(self.transform(segment_id), rigid_pose(pose))

    def move(self, segment_id: str, motion: Pose) -> None:
        """Move a fragment on from where it is now; for the rest as `set_pose`."""
        self.set_pose(segment_id, rigid_pose(motion) @ self.pose(segment_id))

    def reset(self, segment_id: str) -> None:
        """Put a fragment back to where the CT shows it; its handles turn about its middle again."""
        transform = self.transform(segment_id)
        put_pose(transform, np.eye(4))
        put_centroid(transform, centroid_of(transform))

    def reset_all(self) -> None:
        """Put all fragments back."""
        for segment_id in self.segment_ids:
            self.reset(segment_id)

    def displacements(self) -> dict[str, Displacement]:
        """How far every fragment is moved, by segment id.

        Raises:
            InputError: a transform does not only turn and shift.
        """
        return {
            segment_id: displacement_of(pose, centroid_of(self.transform(segment_id)))
            for segment_id, pose in self.poses().items()
        }

    def overlaps(self) -> tuple[SegmentOverlap, ...]:
        """Fragments that share space in the plan, the largest overlap first.

        The first call, and the first after an edit, reads the voxels; the others count only what
        has been moved since. A fragment that was erased overlaps nothing.

        Raises:
            InputError: a transform does not only turn and shift.
        """
        check = self._present_check()
        poses = {label_of(self.node, one): pose for one, pose in self.poses().items()}
        found = []
        for one in check.overlaps({n: pose for n, pose in poses.items() if n in check.labels}):
            first, second = (segment_id_of(self.node, label) for label in one.labels)
            warning = (
                f"{self._name(first)} and {self._name(second)} overlap by "
                f"{one.volume_mm3:.0f} mm³ in the plan."
            )
            found.append(
                SegmentOverlap(
                    segment_ids=(first, second), volume_mm3=one.volume_mm3, warning=warning
                )
            )
        return tuple(found)

    def show_handles(self, segment_ids: Collection[str]) -> None:
        """Show the handles of some fragments, and hide those of the others.

        Raises:
            ValueError: the plan has no such fragment.
        """
        shown = {self.transform(segment_id).GetID() for segment_id in segment_ids}
        for transform in transforms_of(self.node).values():
            display = display_of(transform)
            display.SetEditorVisibility(transform.GetID() in shown)

    def show(self, *, is_visible: bool) -> None:
        """Show or hide the models of the plan; hiding them hides the handles too."""
        for role in (MODEL_ROLE, TEMPLATE_ROLE):
            for model in referenced(self.node, role):
                display_of(model).SetVisibility(is_visible)
        if not is_visible:
            self.show_handles([])

    def remove(self) -> None:
        """Take the plan out of the scene; the segmentation stays as it is."""
        remove_nodes(self.node, all_nodes(self.node))
        for role in (TRANSFORM_ROLE, MODEL_ROLE, TEMPLATE_ROLE):
            self.node.RemoveNodeReferenceIDs(role)

    def _present_check(self) -> OverlapCheck:
        stamp = stamp_of(self.node)
        if self._check is None or stamp != self._stamp:
            self._check = OverlapCheck(state_of(self.node).fragments.labels)
            self._stamp = stamp
        return self._check

    def _name(self, segment_id: str) -> str:
        return str(self.node.GetSegmentation().GetSegment(segment_id).GetName())
