"""The mirrored other side in the scene: a model to compare the plan with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.mesh import Surface, fragment_surface
from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.plan_nodes import (
    TEMPLATE_ROLE,
    ModelNode,
    add_model,
    display_of,
    fill_model,
    put_into_folder,
    referenced,
)
from FractureSegmentationLib.mrml.segmentation import label_of
from FractureSegmentationLib.mrml.state import state_of
from FractureSegmentationLib.mrml.volume import refuse_nonlinear
from FractureSegmentationLib.planning.mirror_template import MirrorTemplate, mirror_template
from FractureSegmentationLib.planning.pose import moved_points
from FractureSegmentationLib.volume import LabelVolume

BONE = "FracSeg.MirroredOver"
RESIDUAL_MM = "FracSeg.MirroredResidualMm"

_COLOR = (0.95, 0.95, 0.85)
_OPACITY = 0.4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownTemplate:
    """A template and the model that shows it."""

    template: MirrorTemplate
    model: ModelNode


def show_mirrored_side(
    node: SegmentationNode, bone_slug: str, anchor_id: str | None = None
) -> ShownTemplate:
    """Mirror the other side's bone and lay it over a broken one, as a see-through model.

    It is laid over where the CT shows the fragment, not over where the plan has moved it.

    Args:
        node: the segmentation; with a plan, the model is put into its folder.
        bone_slug: the broken bone.
        anchor_id: segment of its fragment that stayed in place; None takes the largest.

    Raises:
        InputError: there is no other side, in the body or in the segmentation; or a transform
            bends the CT.
        ValueError: the bone, or that fragment of it, is not in the segmentation.
    """
    refuse_nonlinear(node)
    fragments = state_of(node).fragments
    labels_of: dict[str, list[int]] = {}
    for record in fragments.records:
        labels_of.setdefault(record.bone.slug, []).append(record.label)
    anchor = None if anchor_id is None else label_of(node, anchor_id)
    template = mirror_template(fragments.labels, labels_of, bone_named(bone_slug), anchor)
    surface = _mirrored(fragments.labels, labels_of[template.healthy.slug], template)
    model = _model_for(node, bone_slug)
    model.SetName(f"{template.bone.name}: {template.healthy.name.lower()} mirrored")
    model.SetAttribute(RESIDUAL_MM, f"{template.residual_mm:.2f}")
    model.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    fill_model(model, surface)
    put_into_folder(node, [model])
    return ShownTemplate(template=template, model=model)


def _model_for(node: SegmentationNode, bone_slug: str) -> ModelNode:
    """The model that shows the template of a bone; a new one the first time."""
    for model in referenced(node, TEMPLATE_ROLE):
        if model.GetAttribute(BONE) == bone_slug:
            return model
    model = add_model(node, TEMPLATE_ROLE)
    model.SetAttribute(BONE, bone_slug)
    display = display_of(model)
    display.SetColor(_COLOR)
    display.SetOpacity(_OPACITY)
    return model


def _mirrored(labels: LabelVolume, healthy: Sequence[int], template: MirrorTemplate) -> Surface:
    """The surface of the healthy bone as a whole, after the mirroring."""
    bone = labels.with_voxels(np.isin(labels.voxels, healthy).astype(np.uint8))
    surface = fragment_surface(bone, 1)
    # Mirrored triangles look inwards until two of their corners are exchanged.
    return Surface(
        points_lps_mm=moved_points(template.transform, surface.points_lps_mm),
        triangles=surface.triangles[:, ::-1],
    )
