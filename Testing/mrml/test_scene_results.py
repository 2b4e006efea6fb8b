"""Result folders into the scene, and what is kept there of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from scipy.ndimage import distance_transform_edt

from FractureSegmentationLib.anatomy.numbering import PENGWIN_2024
from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.editing.edit import merge_fragments
from FractureSegmentationLib.editing.fragments import ReviewStatus
from FractureSegmentationLib.editing.suspicion import Suspicion
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.read import read_ct, read_labels
from FractureSegmentationLib.mrml.correct import merge, places_of, split_at_points, split_by_plane
from FractureSegmentationLib.mrml.history import SegmentationHistory
from FractureSegmentationLib.mrml.layer import ct_of
from FractureSegmentationLib.mrml.plan import create_plan
from FractureSegmentationLib.mrml.result import contact_of, is_edited, load_result, put_contact
from FractureSegmentationLib.mrml.segmentation import apply_edit, fragments_of, set_review
from FractureSegmentationLib.mrml.volume import volume_of, world_ras_of
from FractureSegmentationLib.planning.pose import shift_by
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import Volume
from FractureSegmentationLib.voxels.orient import AxisOrder
from FractureSegmentationLib.voxels.windows import another_label_near
from Testing.mrml.mrml_scene import add_volume, oblique_geometry
from Testing.mrml.result_folders import AREA_MM2, write_result_folder
from Testing.tiny_cases import write_tiny_case

SHAPE = (10, 12, 14)


def contact_on(geometry: Geometry, i: int = 7) -> Volume:
    """Certain contact in two layers of voxels at `i`, on a part of the grid."""
    part = geometry.cropped((slice(1, 9), slice(1, 11), slice(0, 12)))
    voxels = np.zeros(part.shape, np.uint8)
    voxels[:, :, i - 1 : i + 1] = 255
    return Volume(voxels=voxels, geometry=part)


@pytest.fixture
def geometry() -> Geometry:
    return oblique_geometry(SHAPE)


@pytest.fixture
def folder(tmp_path: Path, two_bones: LabelArray, geometry: Geometry) -> Path:
    return write_result_folder(
        tmp_path / "result", two_bones, geometry, contact=contact_on(geometry)
    )


@pytest.fixture
def ct(make_ct: Any, geometry: Geometry) -> Any:
    return make_ct(np.zeros(SHAPE, np.int16), geometry)


def test_a_result_lies_on_the_very_grid_of_its_ct(
    scene: Any, folder: Path, ct: Any, two_bones: LabelArray
) -> None:
    loaded = load_result(scene, folder, ct)

    found = fragments_of(loaded.segmentation)
    assert found.labels.geometry == volume_of(ct).geometry
    assert np.array_equal(found.labels.voxels, two_bones)
    assert [record.confidence for record in found.records] == [0.25] * 3
    assert ct_of(loaded.segmentation) is ct
    assert loaded.segmentation.GetSegmentation().GetNumberOfLayers() == 1
    assert not loaded.segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    assert loaded.segmentation.GetDisplayNode() is not None


def test_a_result_can_be_shown_without_its_ct(
    scene: Any, folder: Path, geometry: Geometry, two_bones: LabelArray
) -> None:
    loaded = load_result(scene, folder, None)

    found = fragments_of(loaded.segmentation)
    assert found.labels.geometry.is_close_to(geometry, 1e-3)
    assert np.array_equal(found.labels.voxels, two_bones)
    assert ct_of(loaded.segmentation) is None


def test_a_result_goes_where_its_ct_is(scene: Any, folder: Path, ct: Any) -> None:
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Table")
    ct.SetAndObserveTransformNodeID(transform.GetID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    study = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(study, ct)

    loaded = load_result(scene, folder, ct)

    assert loaded.segmentation.GetTransformNodeID() == transform.GetID()
    item = hierarchy.GetItemByDataNode(loaded.segmentation)
    assert hierarchy.GetItemParent(item) == study
    contact = loaded.segmentation.GetNodeReference("FracSeg.ContactMap")
    assert contact.GetTransformNodeID() == transform.GetID()
    assert contact_of(loaded.segmentation).geometry.is_close_to(
        contact_on(volume_of(ct).geometry).geometry, 1e-6
    )


def test_a_ct_whose_axes_are_swapped_gets_the_result_on_its_own_grid(
    scene: Any, make_ct: Any, folder: Path, geometry: Geometry, two_bones: LabelArray
) -> None:
    order = AxisOrder(axes=(2, 0, 1), reversed_axes=(True, False, True))
    ct = make_ct(np.zeros((14, 10, 12), np.int16), order.geometry(geometry))

    found = fragments_of(load_result(scene, folder, ct).segmentation)

    assert found.labels.geometry == volume_of(ct).geometry
    assert np.array_equal(found.labels.voxels, order.apply(two_bones))


def test_a_result_of_another_ct_is_refused_and_the_scene_stays_as_it_was(
    scene: Any, make_ct: Any, folder: Path
) -> None:
    other = make_ct(np.zeros(SHAPE, np.int16))
    before = scene.GetNumberOfNodes()

    with pytest.raises(InputError, match="another CT") as caught:
        load_result(scene, folder, other)

    assert caught.value.remedy
    assert scene.GetNumberOfNodes() == before


def test_a_damaged_result_changes_nothing(scene: Any, folder: Path, ct: Any) -> None:
    node = load_result(scene, folder, ct).segmentation
    before = fragments_of(node)
    content = (folder / "contact.nrrd").read_bytes()
    (folder / "contact.nrrd").write_bytes(content[: len(content) // 2])

    with pytest.raises(InputError):
        load_result(scene, folder, ct, node)

    after = fragments_of(node)
    assert np.array_equal(after.labels.voxels, before.labels.voxels)
    assert contact_of(node) is not None


def test_labels_of_another_numbering_become_ours_in_report_and_scene(
    scene: Any, tmp_path: Path, geometry: Geometry, two_bones: LabelArray
) -> None:
    hips = np.select([two_bones == 51, two_bones == 52], [11, 12], 0).astype(np.uint16)
    folder = write_result_folder(tmp_path / "old", hips, geometry, numbering=PENGWIN_2024)

    loaded = load_result(scene, folder, None)

    assert [r.label for r in fragments_of(loaded.segmentation).records] == [51, 52]
    entries = loaded.report["bones"][0]["fragments"]
    assert [entry["label"] for entry in entries] == [51, 52]
    assert entries[0]["neighbours"][0]["label"] == 52
    assert loaded.report["numbering"] == "fracseg"


def test_a_report_of_a_bone_that_there_is_not_is_damaged(
    scene: Any, tmp_path: Path, geometry: Geometry, two_bones: LabelArray
) -> None:
    hips = np.select([two_bones == 51, two_bones == 52], [11, 12], 0).astype(np.uint16)
    folder = write_result_folder(tmp_path / "old", hips, geometry, numbering=PENGWIN_2024)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    report["bones"].append({"bone": "third_hip", "fragments": [{"label": 1, "index": 1}]})
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")

    with pytest.raises(InputError, match="damaged"):
        load_result(scene, folder, None)

    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_the_contact_map_is_a_hidden_volume_that_survives_a_scene_file(
    scene: Any, started: Any, folder: Path, ct: Any, geometry: Geometry, tmp_path: Path
) -> None:
    load_result(scene, folder, ct)
    assert scene.WriteToMRB(str(tmp_path / "scene.mrb"))

    scene.Clear(False)
    assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"))

    node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    kept = node.GetNodeReference("FracSeg.ContactMap")
    assert kept.GetHideFromEditors()
    contact = contact_of(node)
    assert contact is not None
    assert contact.voxels.dtype == np.uint8
    assert contact.geometry.is_close_to(contact_on(geometry).geometry, 1e-6)
    assert np.array_equal(contact.voxels, contact_on(geometry).voxels)
    assert ct_of(node) is not None
    assert [place.labels for place in places_of(node)] == [(51, 52)]
    assert not is_edited(node)


def test_a_result_without_a_map_takes_the_old_one_away(
    scene: Any, tmp_path: Path, folder: Path, geometry: Geometry, two_bones: LabelArray
) -> None:
    node = load_result(scene, folder, None).segmentation
    volumes = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")

    loaded = load_result(
        scene, write_result_folder(tmp_path / "bare", two_bones, geometry), None, node
    )

    assert loaded.contact is None
    assert contact_of(node) is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == volumes - 1


def test_loading_again_keeps_one_map(scene: Any, folder: Path) -> None:
    node = load_result(scene, folder, None).segmentation
    count = scene.GetNumberOfNodes()

    load_result(scene, folder, None, node)

    assert scene.GetNumberOfNodes() == count


def test_a_map_of_fractions_is_the_callers_bug(scene: Any, folder: Path) -> None:
    node = load_result(scene, folder, None).segmentation
    contact = contact_of(node)
    assert contact is not None

    with pytest.raises(ValueError, match="integers"):
        put_contact(node, contact.with_voxels(contact.voxels.astype(np.float32)))


def test_the_scene_keeps_the_report_without_anything_of_the_input(
    scene: Any, folder: Path, ct: Any
) -> None:
    node = load_result(scene, folder, ct).segmentation

    kept = json.loads(node.GetAttribute("FracSeg.Report"))

    assert kept["warnings"] == ["The slices are thick."]
    assert kept["bones"][0]["bone"] == "left_hip"
    assert "5e17" not in node.GetAttribute("FracSeg.Report")
    assert kept.keys().isdisjoint({"input", "request_sha256"})


def test_editing_and_accepting_are_told_from_loading(scene: Any, folder: Path, ct: Any) -> None:
    node = load_result(scene, folder, ct).segmentation
    assert not is_edited(node)

    history = SegmentationHistory(node)
    merge(node, ["left_hip_1", "left_hip_2"], history)
    assert is_edited(node)

    history.undo()
    assert not is_edited(node)

    set_review(node, ["left_hip_1"], ReviewStatus.ACCEPTED)
    assert is_edited(node)


def test_a_segment_that_a_person_added_counts_as_work(scene: Any, folder: Path) -> None:
    node = load_result(scene, folder, None).segmentation

    node.GetSegmentation().AddEmptySegment("metal", "Metal")

    assert is_edited(node)
    assert not is_edited(scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "New"))


def test_replacing_an_edited_result_can_be_undone(
    scene: Any, folder: Path, ct: Any, two_bones: LabelArray
) -> None:
    node = load_result(scene, folder, ct).segmentation
    history = SegmentationHistory(node)
    merge(node, ["left_hip_1", "left_hip_2"], history)
    set_review(node, ["left_hip_1"], ReviewStatus.ACCEPTED)
    edited = fragments_of(node)

    history.save_state()
    load_result(scene, folder, ct, node)
    assert np.array_equal(fragments_of(node).labels.voxels, two_bones)
    assert history.undo()

    back = fragments_of(node)
    assert np.array_equal(back.labels.voxels, edited.labels.voxels)
    assert back.record(51).review is ReviewStatus.ACCEPTED
    assert is_edited(node)
    assert node.GetSegmentation().GetNumberOfLayers() == 1


def test_a_plan_for_other_fragments_moves_nothing_of_a_new_result(
    scene: Any, folder: Path, ct: Any, geometry: Geometry, two_bones: LabelArray, tmp_path: Path
) -> None:
    """The hip bone comes out in other pieces with the same numbers; the patella is as it was."""
    node = load_result(scene, folder, ct).segmentation
    plan = create_plan(node)
    pose = shift_by((1.0, 2.0, 3.0))
    for segment_id in plan.segment_ids:
        plan.set_pose(segment_id, pose)
    others = two_bones.copy()
    others[2:8, 2:6, 5:7] = 52
    again = write_result_folder(tmp_path / "again", others, geometry)

    load_result(scene, again, ct, node)

    assert plan.segment_ids == ("right_patella_1",)
    renewed = create_plan(node)
    assert np.array_equal(renewed.pose("right_patella_1"), pose)
    assert np.array_equal(renewed.pose("left_hip_2"), np.eye(4))


def test_suspicious_places_come_from_the_report_until_a_bone_is_edited(
    scene: Any, tmp_path: Path, make_ct: Any, two_bones: LabelArray
) -> None:
    """The map says the interface is certain; the report says it is weak."""
    ct = make_ct(np.zeros(SHAPE, np.int16))
    plain = volume_of(ct).geometry
    folder = write_result_folder(tmp_path / "r", two_bones, plain, contact=contact_on(plain))
    node = load_result(scene, folder, ct).segmentation

    (place,) = places_of(node)
    assert place.kind is Suspicion.WEAK_INTERFACE
    assert place.labels == (51, 52)
    assert place.area_mm2 == AREA_MM2
    assert place.split_points_lps_mm is not None

    history = SegmentationHistory(node)
    # x = 3.5 in LPS is -3.5 in RAS: far from the contact, so the new interface is a weak one.
    split_by_plane(node, "left_hip_1", (-3.5, 0.0, 0.0), (1.0, 0.0, 0.0), history)
    (found,) = places_of(node)
    assert set(found.labels) == {51, 53}

    history.undo()
    assert places_of(node)[0].area_mm2 == AREA_MM2


def test_without_a_map_nothing_is_said_of_what_was_edited(
    scene: Any, tmp_path: Path, geometry: Geometry, two_bones: LabelArray
) -> None:
    folder = write_result_folder(tmp_path / "r", two_bones, geometry)
    node = load_result(scene, folder, None).segmentation
    assert len(places_of(node)) == 1

    apply_edit(node, merge_fragments(fragments_of(node), [51, 52]))

    assert places_of(node) == ()


def test_a_ct_under_a_bend_gets_no_result(scene: Any, folder: Path, ct: Any) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Bent")
    node.SetAndObserveTransformToParent(slicer.vtkOrientedGridTransform())
    ct.SetAndObserveTransformNodeID(node.GetID())

    with pytest.raises(InputError, match="bends"):
        load_result(scene, folder, ct)


def test_a_folder_of_the_command_line_opens(
    scene: Any, tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))
    case = write_tiny_case(tmp_path / "case")
    arguments = ["segment", str(case), str(tmp_path / "out")]
    arguments += ["--bones", str(case.with_name("bones.nii.gz")), "--device", "cpu"]
    assert run([*arguments, "--progress", "none"]) == 0
    ct = add_volume(scene, read_ct(case).volume)

    loaded = load_result(scene, tmp_path / "out", ct)

    written = read_labels(tmp_path / "out" / "fragments.nii.gz")
    assert np.array_equal(fragments_of(loaded.segmentation).labels.voxels, written.voxels)
    assert loaded.contact is not None
    assert not is_edited(loaded.segmentation)


@pytest.fixture
def real_hip(scene: Any, real_data: Path, tmp_path: Path) -> tuple[Any, LabelArray]:
    """(segmentation, true labels) of patient 003 on the CT, with a map of the true fractures."""
    case = real_data / "real" / "003"
    truth = read_labels(case / "fragments.nii.gz")
    table = np.zeros(31, np.uint16)
    table[1:11], table[11:21], table[21:] = np.arange(1, 11), np.arange(51, 61), np.arange(101, 111)
    labels = table[truth.voxels]
    hip = np.where((labels > 50) & (labels <= 100), labels, 0)
    contact = Volume(
        voxels=np.where(another_label_near(hip, 2), np.uint8(255), np.uint8(0)),
        geometry=truth.geometry,
    )
    folder = write_result_folder(
        tmp_path / "r", truth.voxels, truth.geometry, numbering=PENGWIN_2024, contact=contact
    )
    ct = add_volume(scene, read_ct(case / "ct.nii.gz").volume)
    return load_result(scene, folder, ct).segmentation, labels


def test_the_fragments_of_a_real_patient_open_on_their_ct(
    real_hip: tuple[Any, LabelArray],
) -> None:
    node, labels = real_hip

    found = fragments_of(node)

    assert np.array_equal(found.labels.voxels, labels)
    assert found.labels.geometry == volume_of(ct_of(node)).geometry
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    assert [record.label for record in found.records] == sorted(set(np.unique(labels)) - {0})


def test_a_real_hip_that_was_merged_is_split_again_by_two_clicks(
    real_hip: tuple[Any, LabelArray],
) -> None:
    node, labels = real_hip
    history = SegmentationHistory(node)
    clicks = []
    for label in (51, 52):
        box = fragments_of(node).record(label).box
        depth = distance_transform_edt(np.pad(labels[box] == label, 1))
        voxel = np.array(np.unravel_index(int(depth.argmax()), depth.shape), float) - 1.0
        lps = fragments_of(node).labels.geometry.cropped(box).to_lps(voxel)
        clicks.append([world_ras_of(node, [lps])[0]])
    merge(node, ["left_hip_1", "left_hip_2"], history)

    edit = split_at_points(node, "left_hip_1", clicks, history)

    found = fragments_of(node).labels.voxels == edit.added[0]
    overlap = np.count_nonzero(found & (labels == 52)) / np.count_nonzero(found | (labels == 52))
    assert overlap > 0.8
    assert history.undo()
    assert history.undo()
    assert np.array_equal(fragments_of(node).labels.voxels, labels)
    assert node.GetSegmentation().GetNumberOfLayers() == 1


def test_a_refused_folder_leaves_no_undo_step(scene: Any, tmp_path: Path) -> None:
    class Steps:
        saved = 0

        def save_state(self) -> None:
            self.saved += 1

    history = Steps()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")

    with pytest.raises(InputError):
        load_result(scene, tmp_path, None, node, history)

    assert history.saved == 0
