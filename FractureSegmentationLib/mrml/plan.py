"""A reduction plan in the scene: fragments move under handles, the segmentation stays as it is.

A `Plan` moves its fragments, puts them back, measures them and checks them for overlaps. Poses are
motions of the CT's own coordinates: the transforms of a plan lie under the one that the
segmentation lies under, and what that does is no part of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.export.poses import moving_poses
from FractureSegmentationLib.mesh import fragment_surfaces
from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.plan_nodes import (
    MODEL_ROLE,
    SEGMENT,
    TEMPLATE_ROLE,
    TRANSFORM_ROLE,
    VOXELS,
    ModelNode,
    TransformNode,
    add_model,
    add_transform,
    all_nodes,
    centroid_of,
    display_of,
    fill_model,
    follow_fragments,
    models_of,
    pose_of,
    put_centroid,
    put_into_folder,
    put_pose,
    referenced,
    remove_nodes,
    transforms_of,
)
from FractureSegmentationLib.mrml.segmentation import label_of, segment_id_of
from FractureSegmentationLib.mrml.state import Stamp, State, stamp_of, state_of
from FractureSegmentationLib.mrml.volume import refuse_nonlinear
from FractureSegmentationLib.planning.displacement import (
    Displacement,
    centroids_lps_mm,
    displacement_of,
)
from FractureSegmentationLib.planning.overlap import OverlapCheck
from FractureSegmentationLib.planning.plan_file import read_plan as read_plan_file
from FractureSegmentationLib.planning.plan_file import write_plan as write_plan_file
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
        node: the segmentation; `create_plan` or `find_plan` has checked that it has a plan.
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
        transform = transforms_of(self.node).get(segment_id)
        if transform is None:
            raise ValueError(f"the plan holds no fragment {segment_id!r}")
        return transform

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
        overlaps = []
        for one in check.overlaps({n: pose for n, pose in poses.items() if n in check.labels}):
            first, second = (segment_id_of(self.node, label) for label in one.labels)
            warning = (
                f"{self._name(first)} and {self._name(second)} overlap by "
                f"{one.volume_mm3:.0f} mm³ in the plan."
            )
            overlaps.append(
                SegmentOverlap(
                    segment_ids=(first, second), volume_mm3=one.volume_mm3, warning=warning
                )
            )
        return tuple(overlaps)

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


def find_plan(node: SegmentationNode) -> Plan | None:
    """The plan that a segmentation has, e.g. after its scene was loaded; None if it has none."""
    return Plan(node) if transforms_of(node) else None


def create_plan(node: SegmentationNode) -> Plan:
    """Make a plan for the fragments as they are now, or bring the one there is up to date.

    Fragments that are there still keep their poses, also under new numbers; those that are gone
    leave the plan. Surfaces are made of fragments that are new or have changed, and all nodes
    follow the segmentation to the transform that it lies under. In a new plan the handles of all
    fragments but the main one of each bone are shown.

    Raises:
        InputError: there is no fragment, or a transform bends the CT.
    """
    refuse_nonlinear(node)
    state = state_of(node)
    if not state.fragments.records:
        raise InputError(
            "The segmentation holds no fragment to plan with.", "Segment the CT first."
        )
    is_new = not transforms_of(node)
    follow_fragments(node, state)
    _leave_out_gone(node, state)
    there = transforms_of(node)
    centres = centroids_lps_mm(state.fragments.labels)
    for record in state.fragments.records:
        segment_id = state.ids[record.label]
        transform = there.get(segment_id) or add_transform(node, segment_id)
        transform.SetName(f"{node.GetSegmentation().GetSegment(segment_id).GetName()} (plan)")
        transform.SetAndObserveTransformNodeID(node.GetTransformNodeID())
        put_centroid(transform, centres[record.label])
    _refresh_models(node, state)
    put_into_folder(node, [*transforms_of(node).values(), *models_of(node).values()])
    plan = Plan(node)
    if is_new:
        plan.show_handles(_movable(state))
    return plan


def read_plan(plan: Plan, path: Path) -> None:
    """Move the fragments as a `plan.json` says; those that it does not name are put back.

    Raises:
        InputError: the file is no plan, or is for other fragments; then nothing is moved.
    """
    follow_fragments(plan.node, state_of(plan.node))
    poses = moving_poses(read_plan_file(path), plan.segment_ids)
    for segment_id in plan.segment_ids:
        plan.set_pose(segment_id, poses.get(segment_id, np.eye(4)))


def write_plan(plan: Plan, path: Path, *, overwrite: bool = False) -> None:
    """Write the poses of all fragments that were moved as `plan.json`.

    Args:
        plan: the plan.
        path: the file to make.
        overwrite: replace it if it is a plan.

    Raises:
        InputError: a transform does not only turn and shift.
        OutputExistsError: the file may not be replaced.
        EnvironmentProblemError: it cannot be written.
    """
    follow_fragments(plan.node, state_of(plan.node))
    write_plan_file(path, moving_poses(plan.poses(), plan.segment_ids), overwrite=overwrite)


def _leave_out_gone(node: SegmentationNode, state: State) -> None:
    """Remove what is left of fragments that are there no longer."""
    there = {state.ids[record.label] for record in state.fragments.records}
    nodes = (transforms_of(node), models_of(node))
    remove_nodes(node, [kind[one] for kind in nodes for one in kind.keys() - there])


def _refresh_models(node: SegmentationNode, state: State) -> None:
    """Give every transform a model of what its fragment looks like now."""
    transforms, models = transforms_of(node), models_of(node)
    stale = {}
    for record in state.fragments.records:
        segment_id = state.ids[record.label]
        model = models.get(segment_id) or add_model(node, MODEL_ROLE)
        segment = node.GetSegmentation().GetSegment(segment_id)
        model.SetName(segment.GetName())
        model.SetAttribute(SEGMENT, segment_id)
        model.SetAndObserveTransformNodeID(transforms[segment_id].GetID())
        display_of(model).SetColor(segment.GetColor())
        present = state.checksums[record.label]
        if model.GetAttribute(VOXELS) != present or model.GetPolyData() is None:
            model.SetAttribute(VOXELS, present)
            stale[record.label] = model
    for label, surface in fragment_surfaces(state.fragments.labels, list(stale)).items():
        fill_model(stale[label], surface)


def _movable(state: State) -> list[str]:
    """All fragments but the largest of each bone: they are what is put back to it."""
    records = sorted(state.fragments.records, key=lambda record: -record.voxels)
    main = {record.bone.slug: record.label for record in reversed(records)}
    return [
        state.ids[record.label]
        for record in state.fragments.records
        if main[record.bone.slug] != record.label
    ]
