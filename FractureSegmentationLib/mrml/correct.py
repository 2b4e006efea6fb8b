"""The buttons of the panel: one call each, undoable, without Qt; and where to look first.

Points and directions are those of the scene's world (RAS, mm). A call that fails changes nothing
and leaves no step in the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from FractureSegmentationLib.editing.edit import (
    Edit,
    assign_piece,
    merge_fragments,
    renumber_by_volume,
)
from FractureSegmentationLib.editing.evidence import CutEvidence
from FractureSegmentationLib.editing.fragments import FragmentRecord, Fragments
from FractureSegmentationLib.editing.points import fragment_voxels
from FractureSegmentationLib.editing.split import split_at_points as cut_at_points
from FractureSegmentationLib.editing.split import split_by_curve as cut_by_curve
from FractureSegmentationLib.editing.split import split_by_plane as cut_by_plane
from FractureSegmentationLib.editing.split import split_by_surface as cut_by_surface
from FractureSegmentationLib.editing.suspicion import (
    SuspiciousPlace,
    reported_places,
    suspicious_places,
)
from FractureSegmentationLib.mrml.history import UndoHistory
from FractureSegmentationLib.mrml.layer import ct_of
from FractureSegmentationLib.mrml.nodes import REPORT, SegmentationNode, object_of
from FractureSegmentationLib.mrml.result import contact_of
from FractureSegmentationLib.mrml.segmentation import apply_edit, fragments_of, label_of
from FractureSegmentationLib.mrml.state import State, state_of
from FractureSegmentationLib.mrml.volume import ct_direction_of, ct_lps_of, ct_normal_of, volume_of
from FractureSegmentationLib.types import PointLps

PointRas: TypeAlias = Sequence[float]
"""x, y, z in RAS, mm, in the world."""


def merge(node: SegmentationNode, segment_ids: Sequence[str], history: UndoHistory) -> Edit:
    """Make one fragment of several; the largest keeps its segment.

    Args:
        node: the segmentation.
        segment_ids: fragments of one bone.
        history: is asked to save the state before.

    Returns:
        What was done, to be named after "Undo".

    Raises:
        InputError: fewer than two, or of different bones.
        ValueError: a segment is no fragment.
    """
    labels = [label_of(node, segment_id) for segment_id in segment_ids]
    return _done(node, merge_fragments(fragments_of(node), labels), history)


def split_at_points(
    node: SegmentationNode,
    segment_id: str,
    points_ras: Sequence[Sequence[PointRas]],
    history: UndoHistory,
) -> Edit:
    """Split a fragment where contact is likely, with the points clicked in each piece.

    Args:
        node: the segmentation; its contact map and CT decide where the cut runs.
        segment_id: the fragment.
        points_ras: one list of points per piece, usually of one point.
        history: is asked to save the state before.

    Raises:
        InputError: fewer than two pieces, a point off the fragment, or too many fragments.
        ValueError: the segment is no fragment, or a point is not finite.
    """
    fragments = fragments_of(node)
    pieces = [ct_lps_of(node, points) for points in points_ras]
    edit = cut_at_points(fragments, label_of(node, segment_id), pieces, evidence_of(node))
    return _done(node, edit, history)


def split_by_plane(
    node: SegmentationNode,
    segment_id: str,
    point_ras: PointRas,
    normal_ras: PointRas,
    history: UndoHistory,
) -> Edit:
    """Cut a fragment in two along a plane.

    Args:
        node: the segmentation.
        segment_id: the fragment.
        point_ras: a point of the plane.
        normal_ras: its normal, of any length.
        history: is asked to save the state before.

    Raises:
        InputError: the plane misses the fragment, or the bone would have too many fragments.
        ValueError: the segment is no fragment, or the normal has no length.
    """
    (point,) = ct_lps_of(node, [point_ras])
    normal = ct_normal_of(node, normal_ras)
    label = label_of(node, segment_id)
    return _done(node, cut_by_plane(fragments_of(node), label, point, normal), history)


def split_by_curve(
    node: SegmentationNode,
    segment_id: str,
    points_ras: Sequence[PointRas],
    view_direction_ras: PointRas | None,
    history: UndoHistory,
    *,
    is_closed: bool = False,
) -> Edit:
    """Cut a fragment along a drawn line.

    Args:
        node: the segmentation.
        segment_id: the fragment.
        points_ras: the line's points in their order.
        view_direction_ras: which way the viewer looked: the cut runs along it, as scissors do.
            None for a line drawn around the bone in 3D: the cut is the smooth surface it spans.
        history: is asked to save the state before.
        is_closed: whether what lies within the line is cut out; only with a view direction.

    Raises:
        InputError: the line is too short or too straight, misses the fragment, or the bone would
            have too many fragments.
        ValueError: the segment is no fragment, or the direction has no length.
    """
    fragments, label = fragments_of(node), label_of(node, segment_id)
    points = ct_lps_of(node, points_ras)
    if view_direction_ras is None:
        return _done(node, cut_by_surface(fragments, label, points), history)
    direction = ct_direction_of(node, view_direction_ras)
    edit = cut_by_curve(fragments, label, points, direction, is_closed=is_closed)
    return _done(node, edit, history)


def assign(
    node: SegmentationNode,
    segment_id: str | None,
    point_ras: PointRas,
    target_id: str,
    history: UndoHistory,
) -> Edit:
    """Give the connected piece at a point to another fragment.

    Args:
        node: the segmentation.
        segment_id: the fragment that the piece is taken from; None takes the nearest one.
        point_ras: a point in the piece, or close to it.
        target_id: the fragment that receives it; it may belong to another bone.
        history: is asked to save the state before.

    Raises:
        InputError: no piece is there, or it is the receiver's already.
        ValueError: a segment is no fragment, or the point is not finite.
    """
    fragments, target = fragments_of(node), label_of(node, target_id)
    (point,) = ct_lps_of(node, [point_ras])
    if segment_id is not None:
        point = _voxel_of(fragments, label_of(node, segment_id), point)
    return _done(node, assign_piece(fragments, point, target), history)


def renumber(node: SegmentationNode, history: UndoHistory) -> Edit | None:
    """Number the fragments of every bone by falling volume; None if they are numbered so."""
    edit = renumber_by_volume(fragments_of(node))
    return None if edit is None else _done(node, edit, history)


def evidence_of(node: SegmentationNode) -> CutEvidence:
    """What the scene knows of where a cut should run."""
    ct = ct_of(node)
    return CutEvidence(
        contact=contact_of(node),
        ct=None if ct is None or ct.GetImageData() is None else volume_of(ct),
    )


def places_of(node: SegmentationNode) -> tuple[SuspiciousPlace, ...]:
    """Low-confidence interfaces and possible unseparated fractures, the most doubtful first.

    Of bones that nobody has edited, the places are those that the run reported; the others are
    searched again with the contact map. Without a map, only unedited fragments have places.

    Places are in the coordinates of the CT (LPS, mm); `frame.world_ras_of` brings them into the
    world.

    Raises:
        InputError: the segmentation is empty and says nothing of a grid.
    """
    state = state_of(node)
    report, contact = object_of(node, REPORT), contact_of(node)
    as_loaded = [r for r in state.fragments.records if report and state.was_loaded(r.label)]
    if contact is None:
        return reported_places(_only(state, as_loaded), report)
    # Whatever a split or a merge takes away changes another fragment of the same bone.
    edited = {r.bone.slug for r in state.fragments.records if r not in as_loaded}
    unedited = [r for r in as_loaded if r.bone.slug not in edited]
    anew = [r for r in state.fragments.records if r.bone.slug in edited]
    places = (
        *reported_places(_only(state, unedited), report, contact),
        *suspicious_places(_only(state, anew), contact),
    )
    return tuple(sorted(places, key=lambda place: -place.doubt_mm2))


def _done(node: SegmentationNode, edit: Edit, history: UndoHistory) -> Edit:
    history.save_state()
    apply_edit(node, edit)
    return edit


def _voxel_of(fragments: Fragments, label: int, point: PointLps) -> PointLps:
    """The centre of the voxel of a fragment that a point means."""
    (voxel,) = fragment_voxels(fragments, label, [point])
    x, y, z = (float(v) for v in fragments.labels.geometry.to_lps(np.array(voxel, float)))
    return (x, y, z)


def _only(state: State, records: Iterable[FragmentRecord]) -> Fragments:
    return replace(state.fragments, records=tuple(records))
