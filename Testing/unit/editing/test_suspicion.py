"""Where to look first, and what "split here" would click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from FractureSegmentationLib.editing.edit import apply_edit, merge_fragments
from FractureSegmentationLib.editing.evidence import CutEvidence
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.proposals import interface_place, points_beside_fracture
from FractureSegmentationLib.editing.split import split_at_points
from FractureSegmentationLib.editing.suspicion import (
    Suspicion,
    SuspicionConfig,
    reported_places,
    suspicious_places,
)
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import Volume

MakeFragments = Callable[[LabelArray], Fragments]


def bar_of_three() -> LabelArray:
    """12 x 12 x 60: 51 to x = 19, 52 to x = 39, 53 beyond."""
    labels = np.full((12, 12, 60), 51, np.uint16)
    labels[:, :, 20:40] = 52
    labels[:, :, 40:] = 53
    return labels


def contact_at(fragments: Fragments, *where: int) -> Volume:
    voxels = np.zeros(fragments.labels.voxels.shape, np.uint8)
    voxels[:, :, list(where)] = 255
    return Volume(voxels=voxels, geometry=fragments.labels.geometry)


def report_of(*entries: dict[str, Any], ridges: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"bones": [{"fragments": list(entries), "possible_unseparated_fractures": list(ridges)}]}


def test_an_interface_without_contact_is_weak_and_one_with_it_is_not(
    make_fragments: MakeFragments,
) -> None:
    """Both interfaces measure 12 x 12 = 144 mm²; contact lies on that of 52 and 53."""
    fragments = make_fragments(bar_of_three())

    (place,) = suspicious_places(fragments, contact_at(fragments, 39, 40))

    assert place.kind is Suspicion.WEAK_INTERFACE
    assert place.labels == (51, 52)
    assert (place.area_mm2, place.doubt_mm2) == (144.0, 144.0)
    x, y, z = place.place_lps_mm
    assert x == 19.0
    assert {y, z} <= {5.0, 6.0}
    assert place.split_points_lps_mm is not None
    (x_a, _, _), (x_b, _, _) = place.split_points_lps_mm
    assert x_a < 20.0 <= x_b < 40.0


def test_contact_within_a_fragment_is_a_possible_fracture_and_can_be_split_there(
    make_oblique: MakeFragments,
) -> None:
    """A sheet at x = 30 to 32 of a single fragment; the proposed clicks cut it right there."""
    labels = np.full((12, 20, 60), 51, np.uint16)
    fragments = make_oblique(labels)
    contact = contact_at(fragments, 30, 31, 32)

    (place,) = suspicious_places(fragments, contact)

    assert place.kind is Suspicion.POSSIBLE_FRACTURE
    assert place.labels == (51,)
    index = fragments.labels.geometry.to_index(np.array(place.place_lps_mm))
    assert 30 <= round(index[2]) <= 32
    assert place.split_points_lps_mm is not None
    clicks = [(point,) for point in place.split_points_lps_mm]
    edited = apply_edit(
        fragments, split_at_points(fragments, 51, clicks, CutEvidence(contact=contact))
    )
    assert len(np.unique(edited.labels.voxels[:, :, :30])) == 1
    assert len(np.unique(edited.labels.voxels[:, :, 33:])) == 1
    assert len(edited.records) == 2


def test_the_most_doubtful_place_comes_first(make_fragments: MakeFragments) -> None:
    """A quarter of one interface has contact: 108 mm² of doubt against 144 mm²."""
    fragments = make_fragments(bar_of_three())
    voxels = np.zeros(fragments.labels.voxels.shape, np.uint8)
    voxels[:3, :, 19:21] = 255
    contact = Volume(voxels=voxels, geometry=fragments.labels.geometry)

    places = suspicious_places(fragments, contact)

    assert [place.labels for place in places] == [(52, 53), (51, 52)]
    assert [place.doubt_mm2 for place in places] == [144.0, 108.0]
    assert suspicious_places(fragments, contact, SuspicionConfig(low_confidence=0.0)) == ()


def test_what_the_report_tells_is_found_where_the_fragments_meet(
    make_fragments: MakeFragments,
) -> None:
    fragments = make_fragments(bar_of_three())
    report = report_of(
        {"label": 51, "neighbours": [{"label": 52, "area_mm2": 144.0, "contact_area_mm2": 14.0}]},
        {
            "label": 52,
            "neighbours": [
                {"label": 51, "area_mm2": 144.0, "contact_area_mm2": 14.0},
                {"label": 53, "area_mm2": 144.0, "contact_area_mm2": 140.0},
            ],
        },
        ridges=({"label": 53, "area_mm2": 150.0, "place_lps_mm": [50.0, 6.0, 6.0]},),
    )

    first, second = reported_places(fragments, report)

    assert (first.kind, first.labels) == (Suspicion.POSSIBLE_FRACTURE, (53,))
    assert first.place_lps_mm == (50.0, 6.0, 6.0)
    assert (second.kind, second.labels) == (Suspicion.WEAK_INTERFACE, (51, 52))
    assert second.doubt_mm2 == 130.0


def test_what_was_merged_since_the_report_is_not_listed(make_fragments: MakeFragments) -> None:
    fragments = make_fragments(bar_of_three())
    report = report_of(
        {"label": 51, "neighbours": [{"label": 52, "area_mm2": 144.0, "contact_area_mm2": 0.0}]}
    )

    merged = apply_edit(fragments, merge_fragments(fragments, [51, 52]))

    assert reported_places(merged, report) == ()
    assert reported_places(fragments, {}) == ()


def test_fragments_that_do_not_touch_have_no_interface(make_fragments: MakeFragments) -> None:
    fragments = make_fragments(bar_of_three())

    assert interface_place(fragments, 51, 53) is None
    assert interface_place(fragments, 52, 53) is not None


def test_without_a_map_the_fragment_is_parted_across_its_length(
    make_fragments: MakeFragments,
) -> None:
    fragments = make_fragments(np.full((6, 6, 40), 51, np.uint16))

    points = points_beside_fracture(fragments, 51, (20.0, 3.0, 3.0), None)

    assert points is not None
    assert sorted(point[0] < 20.0 for point in points) == [False, True]


def test_no_points_are_proposed_where_there_is_no_bone_on_one_side(
    make_fragments: MakeFragments,
) -> None:
    """The sheet lies at the very end of the bar."""
    fragments = make_fragments(np.full((12, 12, 30), 51, np.uint16))

    assert (
        points_beside_fracture(fragments, 51, (0.0, 6.0, 6.0), contact_at(fragments, 0, 1)) is None
    )
    assert points_beside_fracture(fragments, 51, (-80.0, 0.0, 0.0), None) is None


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="low_confidence"):
        SuspicionConfig(low_confidence=1.5)
    with pytest.raises(ValueError, match="areas"):
        SuspicionConfig(min_ridge_mm2=-1.0)
