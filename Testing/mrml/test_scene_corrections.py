"""Buttons, effects and their one undo history, on the segmentation of a scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vtk

from FractureSegmentationLib.editing.fragments import ReviewStatus
from FractureSegmentationLib.errors import FracSegError, InputError
from FractureSegmentationLib.mrml.correct import (
    assign,
    merge,
    renumber,
    split_at_points,
    split_by_curve,
    split_by_plane,
)
from FractureSegmentationLib.mrml.history import SegmentationHistory
from FractureSegmentationLib.mrml.result import put_contact
from FractureSegmentationLib.mrml.segmentation import (
    adopt,
    foreign_segments,
    fragments_of,
    reconcile,
    segment_id_of,
    set_review,
)
from FractureSegmentationLib.mrml.segments import has_surfaces, show_surfaces
from FractureSegmentationLib.mrml.volume import volume_of, voxels_of
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import Volume
from Testing.mrml.foreign_tools import Brush, Clicks, voxels

SURFACE = "Closed surface"


def ids(node: Any) -> list[str]:
    return list(node.GetSegmentation().GetSegmentIDs())


def layers(node: Any) -> int:
    return int(node.GetSegmentation().GetNumberOfLayers())


def segment(node: Any, segment_id: str) -> Any:
    return node.GetSegmentation().GetSegment(segment_id)


def surface(node: Any, segment_id: str) -> Any:
    return segment(node, segment_id).GetRepresentation(SURFACE)


def tag(node: Any, segment_id: str, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment(node, segment_id).GetTag(name, value) else ""


def ras(i: float, j: float, k: float) -> tuple[float, float, float]:
    """The place of voxel (k, j, i) of the plain grid, whose LPS is (i, j, k), in RAS."""
    return (-i, -j, k)


@pytest.fixture
def hip(make_ct: Any, make_segmentation: Any, two_bones: LabelArray) -> Any:
    ct = make_ct(np.zeros(two_bones.shape, np.int16))
    return make_segmentation(two_bones, ct, confidences={51: 0.9, 52: 0.4, 501: 0.8})


@pytest.fixture
def history(hip: Any) -> SegmentationHistory:
    return SegmentationHistory(hip)


@pytest.fixture
def brush(started: Any, hip: Any) -> Brush:
    return Brush(started, hip)


@pytest.fixture
def turned_hip(scene: Any, hip: Any) -> Any:
    """The hip under a transform that takes RAS (x, y, z) to (-y, x, z + 10) in the world."""
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Table")
    turn = vtk.vtkTransform()
    turn.Translate(0.0, 0.0, 10.0)
    turn.RotateZ(90.0)
    transform.SetMatrixTransformToParent(turn.GetMatrix())
    hip.SetAndObserveTransformNodeID(transform.GetID())
    return hip


def with_contact(node: Any, i: int) -> None:
    """Certain contact where voxels i - 1 and i meet."""
    shape = fragments_of(node).labels.geometry.shape
    contact = np.zeros(shape, np.uint8)
    contact[:, :, i - 1 : i + 1] = 255
    put_contact(node, Volume(voxels=contact, geometry=fragments_of(node).labels.geometry))


def test_a_split_from_points_cuts_where_contact_is_likely(hip: Any, history: Any) -> None:
    with_contact(hip, 3)

    edit = split_at_points(hip, "left_hip_1", [[ras(1, 3, 4)], [ras(5, 3, 4)]], history)

    assert edit.description == "split fragment 1 of the left hip bone"
    assert (voxels(hip)[2:8, 2:6, 4:7] == 51).all()
    assert (voxels(hip)[2:8, 2:6, 1] == 53).all()


def test_clicks_in_the_world_mean_the_same_under_a_transform(turned_hip: Any) -> None:
    history = SegmentationHistory(turned_hip)
    with_contact(turned_hip, 3)

    def world(i: float, j: float, k: float) -> tuple[float, float, float]:
        x, y, z = ras(i, j, k)
        return (-y, x, z + 10.0)

    split_at_points(turned_hip, "left_hip_1", [[world(1, 3, 4)], [world(5, 3, 4)]], history)
    assert (voxels(turned_hip)[2:8, 2:6, 1] == 53).all()

    history.undo()
    # The plane x = 3.5 of the CT has its normal along y in the world.
    split_by_plane(turned_hip, "left_hip_1", world(3.5, 0, 0), (0.0, 1.0, 0.0), history)
    assert (voxels(turned_hip)[2:8, 2:6, 1:4] == 51).all() or (
        voxels(turned_hip)[2:8, 2:6, 1:4] == 53
    ).all()
    assert np.count_nonzero(voxels(turned_hip) == 53) == 72

    assign(turned_hip, None, world(4, 10, 4), "left_hip_2", history)
    assert (voxels(turned_hip)[3:6, 9:11, 3:6] == 52).all()


def test_a_line_cuts_along_the_direction_of_view(hip: Any, history: Any) -> None:
    """Drawn along j at i = 3.5, seen from above."""
    line = [ras(3.5, j, 4) for j in (0, 3, 8)]

    split_by_curve(hip, "left_hip_1", line, (0.0, 0.0, 1.0), history)

    assert np.count_nonzero(voxels(hip) == 53) == 72


def test_a_line_around_the_bone_spans_the_cut(hip: Any, history: Any) -> None:
    around = [ras(3.5, *place) for place in ((1, 1), (1, 8), (6, 8), (6, 1), (1, 1))]

    split_by_curve(hip, "left_hip_1", around, None, history)

    assert np.count_nonzero(voxels(hip) == 53) == 72


def test_every_button_is_one_step_back_and_forth(hip: Any, history: Any) -> None:
    states = [voxels(hip)]
    names = [ids(hip)]
    for act in (
        lambda: split_by_plane(hip, "left_hip_1", ras(3.5, 0, 0), (1.0, 0.0, 0.0), history),
        lambda: merge(hip, ["left_hip_2", "left_hip_3"], history),
        lambda: assign(hip, "right_patella_1", ras(4, 10, 4), "left_hip_1", history),
        lambda: renumber(hip, history),
    ):
        act()
        states.append(voxels(hip))
        names.append(ids(hip))

    for step in (3, 2, 1, 0):
        assert history.can_undo
        assert history.undo()
        assert np.array_equal(voxels(hip), states[step])
        assert ids(hip) == names[step]
        assert layers(hip) == 1
    assert not history.undo()
    for step in (1, 2, 3, 4):
        assert history.can_redo
        assert history.redo()
        assert np.array_equal(voxels(hip), states[step])
        assert sorted(ids(hip)) == sorted(names[step])
    assert not history.redo()


def test_undo_brings_back_confidence_and_names(hip: Any, history: Any) -> None:
    segment(hip, "left_hip_2").SetName("Ischium")
    merge(hip, ["left_hip_1", "left_hip_2"], history)

    history.undo()

    assert segment(hip, "left_hip_2").GetName() == "Ischium"
    assert segment(hip, "left_hip_1").GetName() == "Left hip bone – fragment 1 (main)"
    assert fragments_of(hip).record(52).confidence == pytest.approx(0.4)
    assert fragments_of(hip).retired == frozenset()


def test_undoing_an_edit_leaves_what_was_accepted_since(hip: Any, history: Any) -> None:
    merge(hip, ["left_hip_1", "left_hip_2"], history)
    set_review(hip, ["right_patella_1"], ReviewStatus.ACCEPTED)

    history.undo()

    found = fragments_of(hip)
    assert found.record(501).review is ReviewStatus.ACCEPTED
    assert found.record(51).review is ReviewStatus.UNREVIEWED


def test_undoing_an_edit_does_not_accept_again_what_was_taken_back(hip: Any, history: Any) -> None:
    set_review(hip, ["right_patella_1"], ReviewStatus.ACCEPTED)
    merge(hip, ["left_hip_1", "left_hip_2"], history)
    set_review(hip, ["right_patella_1"], ReviewStatus.UNREVIEWED)

    history.undo()

    assert fragments_of(hip).record(501).review is ReviewStatus.UNREVIEWED


def test_undo_of_a_split_finds_the_accepted_fragment_again(hip: Any, history: Any) -> None:
    set_review(hip, ["left_hip_1"], ReviewStatus.ACCEPTED)
    split_by_plane(hip, "left_hip_1", ras(3.5, 0, 0), (1.0, 0.0, 0.0), history)
    assert fragments_of(hip).record(51).review is ReviewStatus.UNREVIEWED

    history.undo()

    assert fragments_of(hip).record(51).review is ReviewStatus.ACCEPTED


def test_a_label_taken_back_by_undo_is_given_out_again(hip: Any, history: Any) -> None:
    split_by_plane(hip, "left_hip_1", ras(3.5, 0, 0), (1.0, 0.0, 0.0), history)
    history.undo()
    split_by_plane(hip, "left_hip_1", ras(2.5, 0, 0), (1.0, 0.0, 0.0), history)

    assert "left_hip_3" in ids(hip)


def test_what_cannot_be_done_leaves_no_step(hip: Any) -> None:
    clicks = Clicks()
    before = voxels(hip)
    refused = [
        lambda: merge(hip, ["left_hip_1"], clicks),
        lambda: merge(hip, ["left_hip_1", "right_patella_1"], clicks),
        lambda: split_at_points(hip, "left_hip_1", [[ras(1, 3, 4)]], clicks),
        lambda: split_by_plane(hip, "left_hip_1", ras(40, 0, 0), (1.0, 0.0, 0.0), clicks),
        lambda: assign(hip, "left_hip_1", ras(3, 3, 4), "left_hip_1", clicks),
        lambda: assign(hip, "left_hip_1", ras(13, 3, 4), "left_hip_2", clicks),
    ]
    for act in refused:
        with pytest.raises(FracSegError) as caught:
            act()
        assert caught.value.remedy
    assert renumber(hip, clicks) is None

    assert clicks.saved == 0
    assert np.array_equal(voxels(hip), before)


def test_a_point_between_two_fragments_means_the_piece_that_was_chosen(
    hip: Any, history: Any
) -> None:
    """Voxel i = 6 is the border of fragment 1; its neighbour i = 7 belongs to fragment 2."""
    assign(hip, "left_hip_2", ras(6.4, 3, 4), "right_patella_1", history)

    assert (voxels(hip)[2:8, 2:6, 7:10] == 501).all()
    assert (voxels(hip)[2:8, 2:6, 1:7] == 51).all()


def test_a_bent_segmentation_is_not_cut(scene: Any, hip: Any) -> None:
    bend = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Bent")
    bend.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    hip.SetAndObserveTransformNodeID(bend.GetID())

    with pytest.raises(InputError, match="bends"):
        split_by_plane(hip, "left_hip_1", ras(3.5, 0, 0), (1.0, 0.0, 0.0), Clicks())


# What the tools of the Segment Editor do.


def stroke(*slices: slice) -> Any:
    mask = np.zeros((10, 12, 14), bool)
    mask[slices] = True
    return mask


def test_painting_over_a_fragment_is_seen(brush: Brush, hip: Any) -> None:
    brush.paint("left_hip_2", stroke(slice(4, 6), slice(2, 4), slice(4, 7)))

    found = voxels(hip)
    assert (found[4:6, 2:4, 4:7] == 52).all()
    assert np.count_nonzero(found == 51) == 6 * 4 * 6 - 12


def test_buttons_and_brush_undo_from_one_history(brush: Brush, hip: Any) -> None:
    states = [voxels(hip)]
    merge(hip, ["left_hip_1", "left_hip_2"], brush.history)
    states.append(voxels(hip))
    brush.paint("left_hip_1", stroke(slice(4, 6), slice(2, 6), slice(10, 12)))
    states.append(voxels(hip))
    split_by_plane(hip, "left_hip_1", ras(5.5, 0, 0), (1.0, 0.0, 0.0), brush.history)
    states.append(voxels(hip))

    for step in (2, 1, 0):
        assert brush.history.undo()
        assert np.array_equal(voxels(hip), states[step])
    for step in (1, 2, 3):
        assert brush.history.redo()
        assert np.array_equal(voxels(hip), states[step])


def test_a_brush_that_may_overlap_splits_the_layers_and_the_paint_is_on_top(
    brush: Brush, hip: Any
) -> None:
    """Fragment 1 comes first in the list; painted over fragment 2, it still has the voxels."""
    brush.paint("left_hip_1", stroke(slice(4, 6), slice(2, 4), slice(7, 9)), may_overlap=True)

    assert layers(hip) == 2
    assert (voxels(hip)[4:6, 2:4, 7:9] == 51).all()
    assert segment_id_of(hip, 51) == "left_hip_1"


def test_layers_come_together_again_and_labels_stay(brush: Brush, hip: Any) -> None:
    brush.paint("left_hip_1", stroke(slice(4, 6), slice(2, 4), slice(7, 9)), may_overlap=True)
    before = voxels(hip)

    assert reconcile(hip)

    assert layers(hip) == 1
    assert segment(hip, "left_hip_1").GetLabelValue() == 51
    assert np.array_equal(voxels(hip), before)
    assert not reconcile(hip)


def test_a_button_works_on_several_layers(brush: Brush, hip: Any) -> None:
    brush.paint("left_hip_2", stroke(slice(4, 6), slice(2, 4), slice(5, 7)), may_overlap=True)
    before = voxels(hip)

    merge(hip, ["left_hip_1", "left_hip_2"], brush.history)

    assert layers(hip) == 1
    assert np.array_equal(voxels(hip), np.where(before == 52, 51, before))
    brush.history.undo()
    assert np.array_equal(voxels(hip), before)


def test_paint_beyond_the_old_box_of_the_bones_is_kept(brush: Brush, hip: Any) -> None:
    brush.paint("right_patella_1", stroke(slice(0, 1), slice(0, 1), slice(13, 14)))

    merge(hip, ["left_hip_1", "left_hip_2"], brush.history)

    assert voxels(hip)[0, 0, 13] == 501


def test_painted_fragments_lose_acceptance_and_confidence_and_others_keep_them(
    brush: Brush, hip: Any
) -> None:
    set_review(hip, ["left_hip_1", "left_hip_2", "right_patella_1"], ReviewStatus.ACCEPTED)

    brush.paint("left_hip_2", stroke(slice(4, 6), slice(2, 4), slice(4, 7)))

    records = {record.label: record for record in fragments_of(hip).records}
    assert [records[label].review.value for label in (51, 52, 501)] == [
        "unreviewed",
        "unreviewed",
        "accepted",
    ]
    assert [records[label].confidence for label in (51, 52)] == [None, None]
    assert records[501].confidence == pytest.approx(0.8)

    assert tag(hip, "left_hip_1", "Segmentation.Status") == "completed"
    assert reconcile(hip)
    assert tag(hip, "left_hip_1", "Segmentation.Status") == "notstarted"
    assert tag(hip, "left_hip_1", "FracSeg.Confidence") == ""
    assert tag(hip, "left_hip_2", "DICOM.SegmentAlgorithmType") == "SEMIAUTOMATIC"
    assert tag(hip, "right_patella_1", "DICOM.SegmentAlgorithmType") == "AUTOMATIC"


def test_an_undone_stroke_is_accepted_again(brush: Brush, hip: Any) -> None:
    set_review(hip, ["left_hip_1"], ReviewStatus.ACCEPTED)
    brush.paint("left_hip_2", stroke(slice(4, 6), slice(2, 4), slice(4, 7)))

    brush.history.undo()

    assert fragments_of(hip).record(51).review is ReviewStatus.ACCEPTED


def test_a_fragment_that_was_erased_is_gone_and_its_number_is_not_given_out(
    brush: Brush, hip: Any
) -> None:
    brush.paint("left_hip_2", voxels(hip) == 52, erases=True)

    found = fragments_of(hip)
    assert [record.label for record in found.records] == [51, 501]
    assert found.retired == {52}

    split_by_plane(hip, "left_hip_1", ras(3.5, 0, 0), (1.0, 0.0, 0.0), brush.history)
    assert "left_hip_3" in ids(hip)


def test_a_segment_of_a_person_is_no_fragment_and_is_left_alone(
    brush: Brush, hip: Any, two_bones: LabelArray
) -> None:
    hip.GetSegmentation().AddEmptySegment("metal", "Metal")
    metal = stroke(slice(0, 2), slice(2, 6), slice(1, 9))
    brush.paint("metal", metal)
    assert foreign_segments(hip) == ("metal",)
    assert np.array_equal(voxels(hip), two_bones)

    merge(hip, ["left_hip_1", "left_hip_2"], brush.history)

    image = segment(hip, "metal").GetRepresentation("Binary labelmap")
    value = segment(hip, "metal").GetLabelValue()
    assert np.count_nonzero(voxels_of(image) == value) == np.count_nonzero(metal)
    assert set(np.unique(voxels_of(image))) == {0, value}
    assert np.count_nonzero(voxels(hip) == 51) == 6 * 4 * 9


def test_a_drawn_segment_becomes_a_fragment_of_the_bone_it_touches(brush: Brush, hip: Any) -> None:
    hip.GetSegmentation().AddEmptySegment("drawn", "Segment_1")
    brush.paint("drawn", stroke(slice(2, 8), slice(2, 6), slice(10, 12)))

    label = adopt(hip, "drawn", brush.history)

    assert label == 53
    assert segment_id_of(hip, 53) == "drawn"
    assert np.count_nonzero(voxels(hip) == 53) == 6 * 4 * 2
    assert tag(hip, "drawn", "FracSeg.Bone") == "left_hip"
    brush.history.undo()
    assert foreign_segments(hip) == ("drawn",)


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_segment_without_a_bone_is_refused(brush: Brush, hip: Any, *, is_empty: bool) -> None:
    hip.GetSegmentation().AddEmptySegment("drawn", "Segment_1")
    if not is_empty:
        brush.paint("drawn", stroke(slice(0, 1), slice(0, 1), slice(13, 14)))

    with pytest.raises(InputError):
        adopt(hip, "drawn", brush.history)
    with pytest.raises(ValueError, match="fragment already"):
        adopt(hip, "left_hip_1", brush.history)


def test_islands_cut_off_by_the_effect_become_fragments(brush: Brush, hip: Any) -> None:
    island = stroke(slice(2, 8), slice(2, 6), slice(1, 3))
    piece = brush.split_islands("left_hip_1", island)
    assert foreign_segments(hip) == (piece,)

    assert reconcile(hip)

    assert foreign_segments(hip) == ()
    assert segment_id_of(hip, 53) == piece
    assert segment(hip, piece).GetName() == "Left hip bone – fragment 3"
    assert (voxels(hip)[island] == 53).all()
    assert layers(hip) == 1


# Surfaces.


def test_surfaces_are_closed_and_made_when_asked(hip: Any) -> None:
    assert not has_surfaces(hip)

    show_surfaces(hip)

    for segment_id in ids(hip):
        edges = vtk.vtkFeatureEdges()
        edges.SetInputData(surface(hip, segment_id))
        edges.FeatureEdgesOff()
        edges.ManifoldEdgesOff()
        edges.Update()
        assert surface(hip, segment_id).GetNumberOfCells() > 0
        assert edges.GetOutput().GetNumberOfCells() == 0
    assert hip.GetDisplayNode().GetPreferredDisplayRepresentationName3D() == SURFACE


def test_after_an_edit_only_changed_fragments_are_wrapped_again(hip: Any, history: Any) -> None:
    show_surfaces(hip)
    kept = {s: surface(hip, s) for s in ("left_hip_2", "right_patella_1")}
    old = surface(hip, "left_hip_1")

    split_by_plane(hip, "left_hip_1", ras(3.5, 0, 0), (1.0, 0.0, 0.0), history)
    assert surface(hip, "left_hip_1") is None
    assert surface(hip, "left_hip_3") is None
    assert has_surfaces(hip)

    show_surfaces(hip)
    assert {s: surface(hip, s) for s in kept} == kept
    assert surface(hip, "left_hip_1") is not old
    low, high = surface(hip, "left_hip_3").GetBounds()[:2]
    assert high - low < 5.0


def test_undo_brings_the_surfaces_of_that_time_back(hip: Any, history: Any) -> None:
    show_surfaces(hip)
    before = surface(hip, "left_hip_1").GetBounds()
    merge(hip, ["left_hip_1", "left_hip_2"], history)
    show_surfaces(hip)

    history.undo()

    assert surface(hip, "left_hip_1").GetBounds() == pytest.approx(before)
    assert all(surface(hip, s) is not None for s in ids(hip))


def test_another_smoothing_makes_all_surfaces_again(hip: Any) -> None:
    show_surfaces(hip, smoothing=0.0)
    stepped = surface(hip, "left_hip_1").GetBounds()

    show_surfaces(hip, smoothing=0.8)

    assert surface(hip, "left_hip_1").GetBounds() != stepped
    with pytest.raises(ValueError, match="smoothing"):
        show_surfaces(hip, smoothing=1.5)


def test_the_surface_lies_around_the_voxels(hip: Any) -> None:
    """Fragment 52 fills i = 7..9 of 1 mm voxels: x from 6.5 to 9.5 in LPS, mirrored in RAS."""
    show_surfaces(hip, smoothing=0.0)

    bounds = surface(hip, "left_hip_2").GetBounds()

    assert bounds[:2] == pytest.approx((-9.5, -6.5), abs=0.05)
    assert bounds[4:] == pytest.approx((1.5, 7.5), abs=0.05)


def test_a_ct_without_voxels_is_no_evidence(scene: Any, hip: Any, history: Any) -> None:
    assert volume_of(hip.GetNodeReference(hip.GetReferenceImageGeometryReferenceRole()))
    scene.RemoveNode(hip.GetNodeReference(hip.GetReferenceImageGeometryReferenceRole()))

    split_at_points(hip, "left_hip_1", [[ras(1, 3, 4)], [ras(5, 3, 4)]], history)

    assert set(np.unique(voxels(hip))) == {0, 51, 52, 53, 501}
