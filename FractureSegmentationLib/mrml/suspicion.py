"""Where to look first, in the present state of the scene."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from FractureSegmentationLib.editing.fragments import FragmentRecord, Fragments
from FractureSegmentationLib.editing.suspicion import (
    SuspiciousPlace,
    reported_places,
    suspicious_places,
)
from FractureSegmentationLib.mrml.contact import contact_of
from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.state import State, state_of
from FractureSegmentationLib.mrml.tags import REPORT, object_of


def places_of(node: SegmentationNode) -> tuple[SuspiciousPlace, ...]:
    """Low-confidence interfaces and possible unseparated fractures, the most doubtful first.

    Of bones that nobody has edited, the report of the run tells; the others are looked through
    again with the contact map. Without a map, only what concerns unedited fragments is told.

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
    told = [r for r in as_loaded if r.bone.slug not in edited]
    anew = [r for r in state.fragments.records if r.bone.slug in edited]
    found = (
        *reported_places(_only(state, told), report, contact),
        *suspicious_places(_only(state, anew), contact),
    )
    return tuple(sorted(found, key=lambda place: -place.doubt_mm2))


def _only(state: State, records: Iterable[FragmentRecord]) -> Fragments:
    return replace(state.fragments, records=tuple(records))
