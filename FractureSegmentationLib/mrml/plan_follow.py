"""A plan goes with its fragments when they change their segments, and with no others."""

from __future__ import annotations

from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.plan_nodes import (
    SEGMENT,
    VOXELS,
    models_of,
    remove_nodes,
    transforms_of,
)
from FractureSegmentationLib.mrml.state import State


def follow_fragments(node: SegmentationNode, state: State) -> None:
    """Give transforms and models the segments that their fragments have now.

    A model remembers the voxels it shows, and the fragment that has exactly these is its own. What
    stood for a segment that such a fragment has taken, and has no fragment of its own any more,
    leaves the plan: a pose that is lost is seen, one that moves another fragment may not be.

    Args:
        node: the segmentation.
        state: what it holds.
    """
    now = {state.checksums[r.label]: state.ids[r.label] for r in state.fragments.records}
    transforms, models = transforms_of(node), models_of(node)
    new_ids = {}
    for segment_id, model in models.items():
        followed = now.get(model.GetAttribute(VOXELS), segment_id)
        if followed != segment_id:
            new_ids[segment_id] = followed
    homeless = set(new_ids.values()) - new_ids.keys()
    for kind in (transforms, models):
        remove_nodes(node, [one for segment_id, one in kind.items() if segment_id in homeless])
        for old, new in new_ids.items():
            if old in kind:
                kind[old].SetAttribute(SEGMENT, new)


def forget_other_fragments(node: SegmentationNode, state: State) -> None:
    """Keep of a plan what was planned for the very fragments there are, after others were loaded.

    Those of another run have the same numbers, and may be other pieces of the bone.

    Args:
        node: the segmentation.
        state: what it holds.
    """
    follow_fragments(node, state)
    models = models_of(node)
    now = {state.ids[r.label]: state.checksums[r.label] for r in state.fragments.records}
    for kind in (transforms_of(node), models):
        strange = [
            one
            for segment_id, one in kind.items()
            if segment_id not in models
            or models[segment_id].GetAttribute(VOXELS) != now.get(segment_id)
        ]
        remove_nodes(node, strange)
