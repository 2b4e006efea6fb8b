"""Fragments in a segmentation: one layer, stable ids, and edits that touch what they concern."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.naming import (
    Segment,
    fragment_color,
    segment_name,
    terminology_tag,
)
from FractureSegmentationLib.anatomy.numbering import PENGWIN_2024
from FractureSegmentationLib.editing.edit import assign_piece, merge_fragments, renumber_by_volume
from FractureSegmentationLib.editing.fragments import Fragments, ReviewStatus
from FractureSegmentationLib.editing.split import split_by_plane
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.mrml.segmentation import (
    apply_edit,
    fragments_of,
    label_of,
    segment_id_of,
    set_review,
    show_fragments,
)
from FractureSegmentationLib.mrml.volume import image_of, volume_of
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import LabelVolume
from Testing.mrml.mrml_scene import oblique_geometry
from Testing.mrml.result_folders import write_result_folder

LEFT_HIP = bone_named("left_hip")


def ids(node: Any) -> list[str]:
    return list(node.GetSegmentation().GetSegmentIDs())


def segment(node: Any, segment_id: str) -> Any:
    return node.GetSegmentation().GetSegment(segment_id)


def tag(node: Any, segment_id: str, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment(node, segment_id).GetTag(name, value) else ""


def layer_of(node: Any, segment_id: str) -> Any:
    return segment(node, segment_id).GetRepresentation("Binary labelmap")


def layers(node: Any) -> int:
    return int(node.GetSegmentation().GetNumberOfLayers())


def labels_in(node: Any) -> LabelArray:
    return np.asarray(fragments_of(node).labels.voxels)


def plane_split(node: Any, label: int, i: float) -> Any:
    """The edit that cuts a fragment of a 1 mm grid along i (x in LPS)."""
    return split_by_plane(fragments_of(node), label, (i, 0.0, 0.0), (1.0, 0.0, 0.0))


@pytest.fixture
def hip(make_ct: Any, make_segmentation: Any, two_bones: LabelArray) -> Any:
    """The two bones over a CT of 1 mm voxels."""
    ct = make_ct(np.zeros(two_bones.shape, np.int16))
    return make_segmentation(two_bones, ct, confidences={51: 0.9, 52: 0.4})


def test_all_fragments_share_one_layer_of_sixteen_bits(make_segmentation: Any) -> None:
    labels = np.zeros((6, 6, 6), np.uint16)
    labels[1, 1, 1:5] = 1
    labels[3, 3, 1:5] = 401  # the first label of the right fibula: no byte holds it
    labels[4, 3, 1:5] = 550

    node = make_segmentation(labels)

    assert layers(node) == 1
    assert ids(node) == ["sacrum_1", "right_fibula_1", "right_patella_50"]
    assert layer_of(node, "right_fibula_1").GetScalarTypeAsString() == "unsigned short"
    assert segment(node, "right_fibula_1").GetLabelValue() == 401
    assert np.array_equal(labels_in(node), labels)


def test_slicer_itself_finds_every_voxel_of_an_oblique_grid(
    scene: Any, make_ct: Any, make_segmentation: Any
) -> None:
    labels = np.zeros((5, 6, 7), np.uint16)
    labels[2, 3, 4] = 401
    labels[1:4, 1, 1] = 402
    ct = make_ct(np.zeros(labels.shape, np.int16), oblique_geometry((5, 6, 7)))
    node = make_segmentation(labels, ct)

    found = slicer.util.arrayFromSegmentBinaryLabelmap(node, "right_fibula_1", ct)
    other = slicer.util.arrayFromSegmentBinaryLabelmap(node, "right_fibula_2", ct)

    assert np.argwhere(found).tolist() == [[2, 3, 4]]
    assert np.array_equal(other > 0, labels == 402)
    image = layer_of(node, "right_fibula_1")
    matrix, of_ct = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    ct.GetIJKToRASMatrix(of_ct)
    at = matrix.MultiplyPoint((4, 3, 2, 1))
    assert np.allclose(at, of_ct.MultiplyPoint((4, 3, 2, 1)), atol=1e-9)
    assert image.GetScalarComponentAsDouble(4, 3, 2, 0) == 401


def test_fragments_are_read_on_the_exact_grid_of_the_ct(
    make_ct: Any, make_segmentation: Any
) -> None:
    labels = np.zeros((5, 6, 7), np.uint16)
    labels[2, 3, 4] = 51
    ct = make_ct(np.zeros(labels.shape, np.int16), oblique_geometry((5, 6, 7)))

    found = fragments_of(make_segmentation(labels, ct))

    assert found.labels.geometry == volume_of(ct).geometry
    assert np.array_equal(found.labels.voxels, labels)


def test_without_a_ct_the_segmentation_names_its_grid(make_segmentation: Any) -> None:
    labels = np.zeros((5, 6, 7), np.uint16)
    labels[2, 3, 4] = 51

    found = fragments_of(make_segmentation(labels, geometry=oblique_geometry((5, 6, 7))))

    assert found.labels.geometry.is_close_to(oblique_geometry((5, 6, 7)), 1e-6)
    assert np.array_equal(found.labels.voxels, labels)


def test_a_segment_has_name_colour_terminology_and_tags(hip: Any) -> None:
    one = segment(hip, "left_hip_2")

    assert one.GetName() == "Left hip bone – fragment 2"
    assert one.GetColor() == pytest.approx(fragment_color(LEFT_HIP, 2))
    assert not one.GetNameAutoGenerated()
    assert not one.GetColorAutoGenerated()
    assert tag(hip, "left_hip_2", "TerminologyEntry") == terminology_tag(LEFT_HIP)
    assert tag(hip, "left_hip_2", "FracSeg.Bone") == "left_hip"
    assert tag(hip, "left_hip_2", "FracSeg.Index") == "2"
    assert tag(hip, "left_hip_2", "FracSeg.Label") == "52"
    assert tag(hip, "left_hip_2", "FracSeg.Confidence") == "0.400"
    assert tag(hip, "left_hip_2", "Segmentation.Status") == "notstarted"
    assert tag(hip, "left_hip_2", "DICOM.SegmentAlgorithmType") == "AUTOMATIC"


def test_a_bone_in_one_piece_is_not_called_a_fragment(hip: Any) -> None:
    assert segment(hip, "right_patella_1").GetName() == "Right patella – one piece"


def test_labels_and_ids_tell_each_other(hip: Any) -> None:
    assert label_of(hip, "left_hip_2") == 52
    assert segment_id_of(hip, 501) == "right_patella_1"
    with pytest.raises(ValueError, match="no fragment"):
        label_of(hip, "left_hip_7")
    with pytest.raises(ValueError, match="57"):
        segment_id_of(hip, 57)


def test_another_numbering_is_refused(scene: Any, hip: Any) -> None:
    fragments = fragments_of(hip)
    labels = LabelVolume(
        voxels=np.ones((2, 2, 2), np.uint16),
        geometry=fragments.labels.geometry.cropped((slice(0, 2),) * 3),
    )
    with pytest.raises(ValueError, match="pengwin2024"):
        show_fragments(hip, Fragments.of(labels, PENGWIN_2024))


def test_showing_other_fragments_replaces_everything(hip: Any, two_bones: LabelArray) -> None:
    hip.GetSegmentation().AddEmptySegment("mine", "Mine")
    fragments = fragments_of(hip)
    labels = np.where(two_bones == 501, 1, 0).astype(np.uint16)

    show_fragments(hip, Fragments.of(fragments.labels.with_voxels(labels)))

    assert ids(hip) == ["sacrum_1"]
    assert np.array_equal(labels_in(hip), labels)


def test_fragments_replace_surfaces_that_were_the_source_of_a_segmentation(
    hip: Any, scene: Any, two_bones: LabelArray
) -> None:
    """As of meshes: without a label map as source, no effect of the Segment Editor works."""
    meshes = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    meshes.SetSourceRepresentationToClosedSurface()
    sphere = vtk.vtkSphereSource()
    sphere.Update()
    meshes.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "Ball")

    show_fragments(meshes, fragments_of(hip))

    assert meshes.GetSegmentation().GetSourceRepresentationName() == "Binary labelmap"
    assert ids(meshes) == ids(hip)
    assert np.array_equal(labels_in(meshes), two_bones)


def test_nothing_at_all_can_be_shown_and_read(hip: Any) -> None:
    empty = fragments_of(hip).labels.with_voxels(np.zeros((10, 12, 14), np.uint16))

    show_fragments(hip, Fragments.of(empty))

    assert ids(hip) == []
    assert fragments_of(hip).records == ()


def test_a_split_adds_a_segment_and_leaves_the_others_alone(hip: Any) -> None:
    before = {s: segment(hip, s).GetMTime() for s in ("left_hip_2", "right_patella_1")}
    image = layer_of(hip, "left_hip_1")
    edit = plane_split(hip, 51, 3.5)

    apply_edit(hip, edit)

    assert ids(hip) == ["left_hip_1", "left_hip_2", "right_patella_1", "left_hip_3"]
    assert layers(hip) == 1
    assert layer_of(hip, "left_hip_3") is image
    assert {s: segment(hip, s).GetMTime() for s in before} == before
    assert segment(hip, "left_hip_3").GetName() == segment_name(LEFT_HIP, 3)
    voxels = labels_in(hip)
    assert (voxels[2:8, 2:6, 1:4] == 53).all() or (voxels[2:8, 2:6, 4:7] == 53).all()
    assert np.count_nonzero(voxels == 53) == 6 * 4 * 3


def test_an_edited_fragment_says_so_and_loses_its_confidence(hip: Any) -> None:
    apply_edit(hip, plane_split(hip, 51, 3.5))

    records = {record.label: record for record in fragments_of(hip).records}

    assert records[51].confidence is None
    assert records[52].confidence == pytest.approx(0.4)
    assert tag(hip, "left_hip_1", "FracSeg.Confidence") == ""
    assert tag(hip, "left_hip_1", "DICOM.SegmentAlgorithmType") == "SEMIAUTOMATIC"
    assert tag(hip, "left_hip_2", "DICOM.SegmentAlgorithmType") == "AUTOMATIC"


def test_a_merge_removes_a_segment_for_good(hip: Any) -> None:
    apply_edit(hip, merge_fragments(fragments_of(hip), [51, 52]))

    assert ids(hip) == ["left_hip_1", "right_patella_1"]
    assert segment(hip, "left_hip_1").GetName() == "Left hip bone – one piece"
    assert fragments_of(hip).retired == {52}

    apply_edit(hip, plane_split(hip, 51, 6.5))

    assert "left_hip_3" in ids(hip)
    assert segment(hip, "left_hip_1").GetName() == "Left hip bone – fragment 1 (main)"
    assert tag(hip, "left_hip_1", "TerminologyEntry") == terminology_tag(LEFT_HIP)


def test_names_that_a_person_gave_stay(hip: Any) -> None:
    segment(hip, "left_hip_1").SetName("Anterior column")

    apply_edit(hip, merge_fragments(fragments_of(hip), [51, 52]))

    assert segment(hip, "left_hip_1").GetName() == "Anterior column"


def test_a_whole_fragment_can_be_assigned_to_another_bone(hip: Any) -> None:
    apply_edit(hip, assign_piece(fragments_of(hip), (4.0, 10.0, 4.0), 52))

    assert ids(hip) == ["left_hip_1", "left_hip_2"]
    assert labels_in(hip)[4, 10, 4] == 52


def test_renumbering_lets_names_colours_and_tags_follow(hip: Any) -> None:
    apply_edit(hip, plane_split(hip, 51, 5.5))  # 51: 5 voxels wide, 52: 3, 53: 1
    apply_edit(hip, merge_fragments(fragments_of(hip), [51, 53]))
    apply_edit(hip, plane_split(hip, 51, 1.5))  # 51: 5 wide, 52: 3, 54: 1
    segment(hip, segment_id_of(hip, 54)).SetName("Spine")
    colour = segment(hip, segment_id_of(hip, 54)).GetColor()
    set_review(hip, [segment_id_of(hip, 54)], ReviewStatus.ACCEPTED)
    edit = renumber_by_volume(fragments_of(hip))
    assert edit is not None
    assert dict(edit.renumbered) == {54: 53}

    apply_edit(hip, edit)

    assert ids(hip) == ["left_hip_1", "left_hip_2", "right_patella_1", "left_hip_3"]
    assert segment(hip, "left_hip_3").GetName() == "Spine"
    assert segment(hip, "left_hip_3").GetColor() == colour
    assert tag(hip, "left_hip_3", "FracSeg.Label") == "53"
    assert fragments_of(hip).record(53).review is ReviewStatus.ACCEPTED
    assert np.count_nonzero(labels_in(hip) == 53) == 6 * 4


def test_fragments_that_change_places_take_their_names_along(hip: Any) -> None:
    apply_edit(hip, assign_piece(fragments_of(hip), (4.0, 10.0, 4.0), 52))  # 52 stays the smaller
    apply_edit(hip, plane_split(hip, 51, 5.5))  # 51: 5 wide + nothing, 52: 3 wide + 18, 53: 1 wide
    apply_edit(hip, merge_fragments(fragments_of(hip), [52, 53]))  # 51: 120 voxels, 52: 114
    apply_edit(hip, plane_split(hip, 51, 2.5))  # 51: 72 voxels, 54: 48
    segment(hip, "left_hip_1").SetName("Ilium")
    hip.GetDisplayNode().SetSegmentVisibility("left_hip_1", False)

    edit = renumber_by_volume(fragments_of(hip))
    assert edit is not None
    apply_edit(hip, edit)

    assert dict(edit.renumbered) == {52: 51, 51: 52, 54: 53}
    assert segment(hip, "left_hip_2").GetName() == "Ilium"
    assert segment(hip, "left_hip_1").GetName() == "Left hip bone – fragment 1 (main)"
    assert not hip.GetDisplayNode().GetSegmentVisibility("left_hip_2")
    assert hip.GetDisplayNode().GetSegmentVisibility("left_hip_1")
    assert [r.voxels for r in fragments_of(hip).records] == [114, 72, 48]


def test_an_edit_of_other_fragments_is_refused_and_changes_nothing(hip: Any) -> None:
    edit = plane_split(hip, 52, 8.5)
    apply_edit(hip, merge_fragments(fragments_of(hip), [51, 52]))
    before = labels_in(hip)

    with pytest.raises(ValueError, match="does not belong"):
        apply_edit(hip, edit)

    assert np.array_equal(labels_in(hip), before)


def test_an_edit_can_be_taken_back_by_its_inverse(hip: Any, two_bones: LabelArray) -> None:
    edit = merge_fragments(fragments_of(hip), [51, 52])
    apply_edit(hip, edit)

    apply_edit(hip, edit.inverse())

    found = fragments_of(hip)
    assert np.array_equal(found.labels.voxels, two_bones)
    assert found.record(52).confidence == pytest.approx(0.4)
    assert found.retired == frozenset()
    assert tag(hip, "left_hip_2", "FracSeg.Label") == "52"


def test_acceptance_holds_for_exactly_these_voxels(hip: Any) -> None:
    set_review(hip, ["left_hip_1", "right_patella_1"], ReviewStatus.ACCEPTED)
    assert tag(hip, "left_hip_1", "Segmentation.Status") == "completed"
    assert not fragments_of(hip).is_reviewed

    apply_edit(hip, plane_split(hip, 51, 3.5))

    found = fragments_of(hip)
    assert found.record(51).review is ReviewStatus.UNREVIEWED
    assert found.record(53).review is ReviewStatus.UNREVIEWED
    assert found.record(501).review is ReviewStatus.ACCEPTED
    assert tag(hip, "left_hip_1", "Segmentation.Status") == "notstarted"
    assert tag(hip, "left_hip_1", "FracSeg.Accepted") == ""


def test_acceptance_can_be_taken_back(hip: Any) -> None:
    set_review(hip, ["left_hip_1"], ReviewStatus.ACCEPTED)
    set_review(hip, ["left_hip_1"], ReviewStatus.UNREVIEWED)

    assert fragments_of(hip).record(51).review is ReviewStatus.UNREVIEWED
    assert tag(hip, "left_hip_1", "Segmentation.Status") == "notstarted"


def test_a_status_that_a_person_set_in_slicer_is_not_overwritten(hip: Any) -> None:
    segment(hip, "left_hip_1").SetTag("Segmentation.Status", "flagged")

    apply_edit(hip, plane_split(hip, 51, 3.5))

    assert tag(hip, "left_hip_1", "Segmentation.Status") == "flagged"


def test_everything_survives_a_scene_file(
    scene: Any, started: Any, make_ct: Any, make_segmentation: Any, tmp_path: Path
) -> None:
    labels = np.zeros((5, 6, 7), np.uint16)
    labels[1:4, 2:4, 1:4] = 401
    labels[1:4, 2:4, 4:6] = 402
    geometry = oblique_geometry((5, 6, 7))
    node = make_segmentation(
        labels, make_ct(np.zeros(labels.shape, np.int16), geometry), confidences={401: 0.7}
    )
    edit = merge_fragments(fragments_of(node), [401, 402])
    apply_edit(node, edit)
    set_review(node, ["right_fibula_1"], ReviewStatus.ACCEPTED)
    before = fragments_of(node)
    assert scene.WriteToMRB(str(tmp_path / "scene.mrb"))

    scene.Clear(False)
    assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"))

    again = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    after = fragments_of(again)
    assert np.array_equal(after.labels.voxels, before.labels.voxels)
    assert after.labels.geometry.is_close_to(geometry, 1e-6)
    assert after.record(401).review is ReviewStatus.ACCEPTED
    assert after.retired == {402}
    assert segment(again, "right_fibula_1").GetName() == "Right fibula – one piece"
    assert layers(again) == 1


def test_slicer_reads_the_file_of_a_result_and_we_read_slicer(
    scene: Any, tmp_path: Path, two_bones: LabelArray
) -> None:
    geometry = oblique_geometry((10, 12, 14))
    folder = write_result_folder(tmp_path, two_bones, geometry)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Loaded")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode", "Storage")
    storage.SetFileName(str(folder / "fragments.seg.nrrd"))

    assert storage.ReadData(node)

    found = fragments_of(node)
    assert np.array_equal(found.labels.voxels, two_bones)
    assert found.labels.geometry.is_close_to(geometry, 1e-6)
    assert [record.confidence for record in found.records] == [0.25] * 3
    assert segment(node, "left_hip_2").GetName() == "Left hip bone – fragment 2"


def test_names_and_colours_that_are_given_are_taken(hip: Any) -> None:
    entry = Segment(id="any", name="Ilium", label_value=51, color=(1.0, 0.0, 0.0))

    show_fragments(hip, fragments_of(hip), segments={51: entry})

    assert segment(hip, "left_hip_1").GetName() == "Ilium"
    assert segment(hip, "left_hip_1").GetColor() == (1.0, 0.0, 0.0)
    assert segment(hip, "left_hip_2").GetName() == "Left hip bone – fragment 2"


def test_a_copy_of_a_segment_is_not_the_fragment(hip: Any, two_bones: LabelArray) -> None:
    copy = slicer.vtkSegment()
    copy.DeepCopy(segment(hip, "left_hip_1"))
    hip.GetSegmentation().AddSegment(copy, "a copy")

    assert segment_id_of(hip, 51) == "left_hip_1"
    assert np.array_equal(labels_in(hip), two_bones)
    with pytest.raises(ValueError, match="no fragment"):
        label_of(hip, "a copy")


def test_a_segment_on_a_finer_grid_is_seen_on_that_of_the_ct(hip: Any) -> None:
    """A cube of 4 mm drawn on half-millimetre voxels, and one that leaves the CT."""
    fine = Geometry(shape=(8, 8, 8), spacing_mm=(0.5, 0.5, 0.5), origin_lps_mm=(2.75, 2.75, 2.75))
    beyond = Geometry(shape=(4, 4, 4), spacing_mm=(1.0,) * 3, origin_lps_mm=(12.0, 10.0, 8.0))
    for segment_id, grid in (("left_hip_1", fine), ("left_hip_2", beyond)):
        image = image_of(np.ones(grid.shape, np.uint8), grid)
        segment(hip, segment_id).AddRepresentation("Binary labelmap", image)
        segment(hip, segment_id).SetLabelValue(1)

    found = labels_in(hip)

    assert np.argwhere(found == 51).tolist() == (np.argwhere(np.ones((4, 4, 4))) + 3).tolist()
    assert np.argwhere(found == 52).min(axis=0).tolist() == [8, 10, 12]
    assert np.count_nonzero(found == 52) == 8


def test_a_loaded_file_without_our_labels_is_understood_by_bone_and_index(
    scene: Any, hip: Any
) -> None:
    """What the command line writes says bone and index, and no label."""
    for segment_id in ids(hip):
        segment(hip, segment_id).RemoveTag("FracSeg.Label")

    found = fragments_of(hip)

    assert [record.label for record in found.records] == [51, 52, 501]
    assert label_of(hip, "left_hip_2") == 52
