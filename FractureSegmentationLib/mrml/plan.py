"""A reduction plan in the scene: fragments move under handles, the segmentation stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.export.poses import moving_poses
from FractureSegmentationLib.mesh import fragment_surfaces
from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.plan_follow import follow_fragments
from FractureSegmentationLib.mrml.plan_fragments import Plan
from FractureSegmentationLib.mrml.plan_nodes import (
    MODEL_ROLE,
    SEGMENT,
    VOXELS,
    add_model,
    add_transform,
    display_of,
    fill_model,
    models_of,
    put_centroid,
    put_into_folder,
    remove_nodes,
    transforms_of,
)
from FractureSegmentationLib.mrml.state import State, state_of
from FractureSegmentationLib.mrml.volume import refuse_nonlinear
from FractureSegmentationLib.planning.displacement import centroids_lps_mm
from FractureSegmentationLib.planning.plan_file import read_plan as read_plan_file
from FractureSegmentationLib.planning.plan_file import write_plan as write_plan_file


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
