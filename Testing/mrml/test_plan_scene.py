"""Reduction plans in the scene: poses under handles, whatever lies above and whatever is saved."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from FractureSegmentationLib.editing.edit import merge_fragments
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.split import split_by_plane
from FractureSegmentationLib.errors import InputError, OutputExistsError
from FractureSegmentationLib.mrml.correct import renumber
from FractureSegmentationLib.mrml.history import SegmentationHistory
from FractureSegmentationLib.mrml.plan import Plan, create_plan, find_plan, read_plan, write_plan
from FractureSegmentationLib.mrml.segmentation import apply_edit, fragments_of, show_fragments
from FractureSegmentationLib.mrml.volume import voxels_of
from FractureSegmentationLib.planning.plan_file import read_plan as read_plan_file
from FractureSegmentationLib.planning.pose import Pose, shift_by, turn_about
from FractureSegmentationLib.types import LabelArray
from Testing.mrml.mrml_scene import oblique_geometry

# Centres of the voxel blocks of `two_bones` with x = i, y = j, z = k, in LPS.
CENTRE_51, CENTRE_52 = (3.5, 3.5, 4.5), (8.0, 3.5, 4.5)


@pytest.fixture
def pelvis(make_ct: Any, make_segmentation: Any, two_bones: LabelArray) -> Any:
    return make_segmentation(two_bones, make_ct(np.zeros(two_bones.shape, np.int16)))


@pytest.fixture
def plan(pelvis: Any) -> Plan:
    return create_plan(pelvis)


def put_under(node: Any, matrix: np.ndarray) -> Any:
    """A linear transform above a node, given in RAS."""
    transform = node.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode", "Table")
    values = vtk.vtkMatrix4x4()
    values.DeepCopy(matrix.ravel().tolist())
    transform.SetMatrixTransformToParent(values)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def drag(transform: Any, ras: Pose) -> None:
    """What dragging a handle does: a motion in RAS is applied after the one there is."""
    matrix, motion = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToParent(matrix)
    motion.DeepCopy(ras.ravel().tolist())
    vtk.vtkMatrix4x4.Multiply4x4(motion, matrix, matrix)
    transform.SetMatrixTransformToParent(matrix)


def world_bounds(model: Any) -> np.ndarray:
    """(3, 2) lowest and highest x, y, z of a model in the world, RAS."""
    bounds = [0.0] * 6
    model.GetRASBounds(bounds)
    return np.array(bounds).reshape(3, 2)


def model_points_lps(model: Any) -> np.ndarray:
    return vtk_to_numpy(model.GetPolyData().GetPoints().GetData()) * [-1.0, -1.0, 1.0]


def nodes_of(scene: Any, kind: str) -> list[str]:
    return [one.GetName() for one in slicer.util.getNodesByClass(kind, scene)]


def test_every_fragment_gets_a_transform_and_a_model_of_its_surface(
    plan: Plan, pelvis: Any
) -> None:
    assert plan.segment_ids == ("left_hip_1", "left_hip_2", "right_patella_1")
    model, transform = plan.model("left_hip_2"), plan.transform("left_hip_2")
    assert model is not None
    assert model.GetTransformNodeID() == transform.GetID()
    assert model.GetName() == "Left hip bone – fragment 2"
    segment = pelvis.GetSegmentation().GetSegment("left_hip_2")
    assert model.GetDisplayNode().GetColor() == pytest.approx(segment.GetColor())
    # Voxels (2:8, 2:6, 7:10): x from 6.5 to 9.5, y from 1.5 to 5.5, z from 1.5 to 7.5.
    points = model_points_lps(model)
    np.testing.assert_allclose(points.min(axis=0), (6.5, 1.5, 1.5), atol=0.3)
    np.testing.assert_allclose(points.max(axis=0), (9.5, 5.5, 7.5), atol=0.3)


def test_surfaces_look_outwards(plan: Plan) -> None:
    model = plan.model("left_hip_1")
    assert model is not None

    properties = vtk.vtkMassProperties()
    properties.SetInputData(model.GetPolyData())
    normals = vtk_to_numpy(model.GetPolyData().GetPointData().GetNormals())

    outwards = model_points_lps(model) - CENTRE_51
    assert (np.einsum("ni,ni->n", normals * [-1.0, -1.0, 1.0], outwards) > 0.0).all()
    assert properties.GetVolume() == pytest.approx(6 * 4 * 6, rel=0.1)


def test_handles_turn_and_shift_about_the_centroid_and_never_scale(plan: Plan) -> None:
    for segment_id, centre in (("left_hip_1", CENTRE_51), ("left_hip_2", CENTRE_52)):
        transform = plan.transform(segment_id)
        display = transform.GetDisplayNode()
        x, y, z = transform.GetCenterOfTransformation()
        assert (-x, -y, z) == pytest.approx(centre)
        assert display.GetEditorTranslationEnabled()
        assert display.GetEditorRotationEnabled()
        assert not display.GetEditorScalingEnabled()


def test_a_new_plan_shows_the_handles_of_what_is_put_back_to_the_main_fragment(plan: Plan) -> None:
    def shown() -> list[str]:
        return [
            one
            for one in plan.segment_ids
            if plan.transform(one).GetDisplayNode().GetEditorVisibility()
        ]

    assert shown() == ["left_hip_2"]
    plan.show_handles(["right_patella_1", "left_hip_1"])
    assert shown() == ["left_hip_1", "right_patella_1"]
    plan.show(is_visible=False)
    assert shown() == []
    model = plan.model("left_hip_1")
    assert model is not None
    assert not model.GetDisplayNode().GetVisibility()
    with pytest.raises(ValueError, match="left_hip_9"):
        plan.show_handles(["left_hip_9"])


def test_a_motion_in_ras_is_told_in_lps(plan: Plan) -> None:
    """A quarter turn about Superior is one in both; 3 to the Right and 4 Anterior are -3 and -4."""
    ras = turn_about((0.0, 0.0, 1.0), 90.0, (0.0, 0.0, 0.0))
    ras[:3, 3] = 3.0, 4.0, 5.0

    drag(plan.transform("left_hip_2"), ras)

    np.testing.assert_allclose(
        plan.pose("left_hip_2"),
        [[0, -1, 0, -3], [1, 0, 0, -4], [0, 0, 1, 5], [0, 0, 0, 1]],
        atol=1e-12,
    )
    np.testing.assert_array_equal(plan.pose("left_hip_1"), np.eye(4))


def test_a_pose_moves_the_model_and_not_the_segmentation(plan: Plan, pelvis: Any) -> None:
    before = np.array(fragments_of(pelvis).labels.voxels)
    model = plan.model("left_hip_2")
    assert model is not None
    before_move = world_bounds(model)
    shift_ras = np.array([[-10.0], [-20.0], [30.0]])

    plan.set_pose("left_hip_2", shift_by((10.0, 20.0, 30.0)))

    np.testing.assert_allclose(world_bounds(model), before_move + shift_ras, atol=1e-5)
    np.testing.assert_array_equal(fragments_of(pelvis).labels.voxels, before)


def test_poses_do_not_know_of_the_transform_above_the_ct(
    make_ct: Any, make_segmentation: Any, two_bones: LabelArray
) -> None:
    ct = make_ct(np.zeros(two_bones.shape, np.int16), oblique_geometry(two_bones.shape))
    table = put_under(ct, turn_about((1.0, 2.0, 0.5), 50.0, (9.0, 9.0, 9.0)))
    plan = create_plan(make_segmentation(two_bones, ct))
    pose = turn_about((0.0, 1.0, 0.0), 20.0, (1.0, 2.0, 3.0))

    plan.set_pose("left_hip_2", pose)

    np.testing.assert_allclose(plan.pose("left_hip_2"), pose, atol=1e-12)
    assert plan.transform("left_hip_2").GetTransformNodeID() == table.GetID()
    shift = plan.displacements()["left_hip_2"]
    table.Inverse()
    np.testing.assert_allclose(plan.pose("left_hip_2"), pose, atol=1e-12)
    assert plan.displacements()["left_hip_2"] == shift
    assert shift.rotation_degrees == pytest.approx(20.0)


def test_the_model_lies_where_the_world_has_the_fragment(
    make_ct: Any, make_segmentation: Any, two_bones: LabelArray
) -> None:
    ct = make_ct(np.zeros(two_bones.shape, np.int16), oblique_geometry(two_bones.shape))
    put_under(ct, turn_about((1.0, 2.0, 0.5), 50.0, (9.0, 9.0, 9.0)))
    node = make_segmentation(two_bones, ct)
    model = create_plan(node).model("left_hip_1")
    assert model is not None
    node.CreateClosedSurfaceRepresentation()

    bounds = [0.0] * 6
    node.GetSegmentation().GetSegment("left_hip_1").GetRepresentation("Closed surface").GetBounds(
        bounds
    )
    own = np.array(model.GetPolyData().GetBounds()).reshape(3, 2)
    np.testing.assert_allclose(own, np.array(bounds).reshape(3, 2), atol=0.6)
    assert model.GetParentTransformNode().GetTransformNodeID() == node.GetTransformNodeID()


def test_moves_add_up_and_reset_takes_them_back(plan: Plan) -> None:
    plan.move("left_hip_2", shift_by((1.0, 0.0, 0.0)))
    plan.move("left_hip_2", turn_about((0.0, 0.0, 1.0), 90.0, (0.0, 0.0, 0.0)))
    plan.move("left_hip_1", shift_by((0.0, 0.0, 2.0)))
    plan.transform("left_hip_1").SetCenterOfTransformation(9.0, 9.0, 9.0)

    np.testing.assert_allclose(plan.pose("left_hip_2")[:3, 3], (0.0, 1.0, 0.0), atol=1e-12)
    plan.reset("left_hip_1")
    np.testing.assert_array_equal(plan.pose("left_hip_1"), np.eye(4))
    x, y, z = plan.transform("left_hip_1").GetCenterOfTransformation()
    assert (-x, -y, z) == pytest.approx(CENTRE_51)
    assert plan.displacements()["left_hip_2"].translation_mm > 0.0
    plan.reset_all()
    assert all(one.translation_mm == 0.0 for one in plan.displacements().values())


def test_displacement_is_that_of_the_centroid(plan: Plan) -> None:
    """60 degrees about an axis that is 8 mm from the centroid of 52 move it by 8 mm."""
    plan.set_pose("left_hip_2", turn_about((0.0, 0.0, 1.0), 60.0, (0.0, 3.5, 0.0)))

    found = plan.displacements()

    assert found["left_hip_2"].translation_mm == pytest.approx(8.0)
    assert found["left_hip_2"].rotation_degrees == pytest.approx(60.0)
    assert found["left_hip_1"].translation_mm == 0.0


def test_fragments_pushed_into_each_other_are_warned_of(plan: Plan) -> None:
    """52 goes two voxels into 51: 2 of its columns of 4 x 6 voxels, 48 mm³."""
    assert plan.overlaps() == ()

    plan.set_pose("left_hip_2", shift_by((-2.0, 0.0, 0.0)))

    (found,) = plan.overlaps()
    assert found.segment_ids == ("left_hip_1", "left_hip_2")
    assert found.volume_mm3 == pytest.approx(48.0)
    assert found.warning == (
        "Left hip bone – fragment 1 (main) and Left hip bone – fragment 2 overlap by 48 mm³ in the "
        "plan."
    )


def test_what_was_scaled_is_no_pose_until_it_is_reset(plan: Plan, tmp_path: Path) -> None:
    drag(plan.transform("left_hip_2"), np.diag([1.2, 1.2, 1.2, 1.0]))

    with pytest.raises(InputError, match="Left hip bone – fragment 2 scales"):
        write_plan(plan, tmp_path / "plan.json")
    with pytest.raises(InputError, match="scales"):
        plan.displacements()
    assert list(tmp_path.iterdir()) == []
    plan.reset("left_hip_2")
    assert len(plan.poses()) == 3


def test_a_mirrored_motion_is_a_bug_of_the_caller(plan: Plan) -> None:
    with pytest.raises(ValueError, match="mirrors"):
        plan.set_pose("left_hip_2", np.diag([-1.0, 1.0, 1.0, 1.0]))


def test_a_plan_is_written_and_read_without_loss(plan: Plan, tmp_path: Path) -> None:
    pose = turn_about((0.3, 0.2, 1.0), 33.0, CENTRE_52)
    plan.set_pose("left_hip_2", pose)
    write_plan(plan, tmp_path / "plan.json")
    with pytest.raises(OutputExistsError):
        write_plan(plan, tmp_path / "plan.json")

    plan.reset_all()
    plan.set_pose("right_patella_1", shift_by((1.0, 1.0, 1.0)))
    read_plan(plan, tmp_path / "plan.json")

    np.testing.assert_allclose(plan.pose("left_hip_2"), pose, atol=1e-12)
    np.testing.assert_array_equal(plan.pose("right_patella_1"), np.eye(4))
    written = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert list(written["poses"]) == ["left_hip_2"]
    assert written["poses"]["left_hip_2"][0][3] == pytest.approx(pose[0, 3])


def test_a_plan_for_other_fragments_moves_nothing(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    poses = {"left_hip_2": shift_by((5.0, 0.0, 0.0)), "sacrum_7": np.eye(4)}
    entries = {name: pose.tolist() for name, pose in poses.items()}
    head = {"schema": "fracseg-plan/1", "space": "LPS", "unit": "mm"}
    path.write_text(json.dumps({**head, "poses": entries}))

    with pytest.raises(InputError, match="sacrum_7"):
        read_plan(plan, path)

    np.testing.assert_array_equal(plan.pose("left_hip_2"), np.eye(4))


def test_a_plan_is_one_folder_beside_the_segmentation(plan: Plan, pelvis: Any, scene: Any) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    create_plan(pelvis)

    items = [hierarchy.GetItemByDataNode(plan.transform(one)) for one in plan.segment_ids]
    items += [hierarchy.GetItemByDataNode(plan.model(one)) for one in plan.segment_ids]
    folders = {hierarchy.GetItemParent(item) for item in items}
    assert len(items) == 6
    assert len(folders) == 1
    assert hierarchy.GetItemName(folders.pop()) == "Reduction plan"


def test_planning_again_keeps_poses_and_follows_edits(
    plan: Plan, pelvis: Any, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pose = shift_by((4.0, 0.0, 0.0))
    plan.set_pose("left_hip_2", pose)
    plan.set_pose("right_patella_1", pose)
    surface = plan.model("right_patella_1").GetPolyData()
    apply_edit(pelvis, split_by_plane(fragments_of(pelvis), 51, (3.5, 0.0, 0.0), (1.0, 0.0, 0.0)))

    again = create_plan(pelvis)

    assert again.segment_ids == ("left_hip_1", "left_hip_2", "right_patella_1", "left_hip_3")
    np.testing.assert_array_equal(again.pose("right_patella_1"), pose)
    np.testing.assert_array_equal(again.pose("left_hip_3"), np.eye(4))
    assert again.model("right_patella_1").GetPolyData() is surface
    assert np.ptp(model_points_lps(again.model("left_hip_1"))[:, 0]) < 4.0

    apply_edit(pelvis, merge_fragments(fragments_of(pelvis), [51, 52, 53]))
    once_more = create_plan(pelvis)

    assert len(once_more.segment_ids) == 2
    assert len(nodes_of(scene, "vtkMRMLModelNode")) == 2
    assert len(nodes_of(scene, "vtkMRMLLinearTransformNode")) == 2


def test_poses_go_with_fragments_that_are_renumbered_and_back_with_the_undo(
    pelvis: Any, two_bones: LabelArray, tmp_path: Path
) -> None:
    """52 is the larger one here: renumbering and its undo let the two change places."""
    swapped = two_bones.copy()
    swapped[two_bones == 51], swapped[two_bones == 52] = 52, 51
    show_fragments(pelvis, Fragments.of(fragments_of(pelvis).labels.with_voxels(swapped)))
    plan, history = create_plan(pelvis), SegmentationHistory(pelvis)
    small, large = shift_by((5.0, 0.0, 0.0)), shift_by((0.0, 2.0, 0.0))
    plan.set_pose("left_hip_1", small)
    plan.set_pose("left_hip_2", large)
    transform = plan.transform("left_hip_1")

    renumber(pelvis, history)
    write_plan(plan, tmp_path / "plan.json")

    assert read_plan_file(tmp_path / "plan.json")["left_hip_2"][0, 3] == 5.0
    again = create_plan(pelvis)
    assert again.transform("left_hip_2") is transform
    np.testing.assert_array_equal(again.pose("left_hip_2"), small)
    np.testing.assert_array_equal(again.pose("left_hip_1"), large)
    assert transform.GetName() == "Left hip bone – fragment 2 (plan)"
    assert history.undo()
    back = create_plan(pelvis)
    np.testing.assert_array_equal(back.pose("left_hip_1"), small)
    np.testing.assert_array_equal(back.pose("left_hip_2"), large)


def test_a_pose_whose_fragment_is_not_found_again_moves_no_other_one(
    pelvis: Any, plan: Plan, scene: Any
) -> None:
    """51 is gone, and 52 has taken its number: the pose of 51 goes, that of 52 stays its own."""
    plan.set_pose("left_hip_1", shift_by((5.0, 0.0, 0.0)))
    plan.set_pose("left_hip_2", shift_by((0.0, 2.0, 0.0)))
    labels = np.array(fragments_of(pelvis).labels.voxels)
    labels[labels == 51] = 0
    labels[labels == 52] = 51
    show_fragments(pelvis, Fragments.of(fragments_of(pelvis).labels.with_voxels(labels)))

    again = create_plan(pelvis)

    assert again.segment_ids == ("left_hip_1", "right_patella_1")
    np.testing.assert_array_equal(again.pose("left_hip_1"), shift_by((0.0, 2.0, 0.0)))
    assert len(nodes_of(scene, "vtkMRMLLinearTransformNode")) == 2
    assert len(nodes_of(scene, "vtkMRMLModelNode")) == 2


def test_overlaps_are_those_of_the_voxels_there_are_now(plan: Plan, pelvis: Any) -> None:
    """52 goes two voxels into 51; the patella is erased, then the top half of 52 as well."""
    plan.set_pose("left_hip_2", shift_by((-2.0, 0.0, 0.0)))
    plan.set_pose("right_patella_1", shift_by((0.0, -3.0, 0.0)))
    assert {one.segment_ids for one in plan.overlaps()} >= {("left_hip_1", "left_hip_2")}
    image = pelvis.GetSegmentation().GetSegment("left_hip_1").GetRepresentation("Binary labelmap")
    voxels = voxels_of(image)
    voxels[voxels == 501] = 0
    part = voxels[: voxels.shape[0] // 2]
    part[part == 52] = 0
    image.Modified()

    (found,) = plan.overlaps()

    assert found.segment_ids == ("left_hip_1", "left_hip_2")
    assert found.volume_mm3 == pytest.approx(24.0)


def test_nodes_that_a_user_deletes_are_made_anew(plan: Plan, pelvis: Any, scene: Any) -> None:
    plan.set_pose("left_hip_1", shift_by((1.0, 2.0, 3.0)))
    scene.RemoveNode(plan.model("left_hip_1"))
    scene.RemoveNode(plan.transform("left_hip_2"))
    assert plan.segment_ids == ("left_hip_1", "right_patella_1")
    assert plan.model("left_hip_1") is None

    again = create_plan(pelvis)

    assert len(again.segment_ids) == 3
    assert again.model("left_hip_1").GetPolyData().GetNumberOfPoints() > 0
    assert again.pose("left_hip_1")[2, 3] == 3.0
    assert len(nodes_of(scene, "vtkMRMLModelNode")) == 3


def test_a_removed_plan_leaves_the_segmentation_alone(plan: Plan, pelvis: Any, scene: Any) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(plan.transform("left_hip_1")))

    plan.remove()

    assert nodes_of(scene, "vtkMRMLModelNode") == []
    assert nodes_of(scene, "vtkMRMLLinearTransformNode") == []
    assert hierarchy.GetItemName(folder) != "Reduction plan"
    assert len(fragments_of(pelvis).records) == 3
    assert find_plan(pelvis) is None
    assert create_plan(pelvis).segment_ids


def test_a_saved_scene_has_the_plan(plan: Plan, scene: Any, tmp_path: Path) -> None:
    pose = turn_about((0.3, 0.2, 1.0), 33.0, CENTRE_52)
    plan.set_pose("left_hip_2", pose)
    before = plan.displacements()
    plan.set_pose("left_hip_1", shift_by((2.0, 0.0, 0.0)))
    overlaps = plan.overlaps()
    path = str(tmp_path / "scene.mrb")
    assert scene.WriteToMRB(path, None)
    scene.Clear(False)

    assert scene.ReadFromMRB(path)
    (node,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
    found = find_plan(node)

    assert found is not None
    assert found.segment_ids == ("left_hip_1", "left_hip_2", "right_patella_1")
    np.testing.assert_allclose(found.pose("left_hip_2"), pose, atol=1e-9)
    shift = found.displacements()["left_hip_2"]
    assert shift.translation_mm == pytest.approx(before["left_hip_2"].translation_mm, abs=1e-9)
    assert found.overlaps() == overlaps
    model = found.model("left_hip_2")
    assert model is not None
    assert model.GetTransformNodeID() == found.transform("left_hip_2").GetID()
    display = found.transform("left_hip_2").GetDisplayNode()
    assert display.GetEditorVisibility()
    x, y, z = found.transform("left_hip_2").GetCenterOfTransformation()
    assert (-x, -y, z) == pytest.approx(CENTRE_52)
    again = create_plan(node)
    assert len(nodes_of(scene, "vtkMRMLLinearTransformNode")) == 3
    np.testing.assert_allclose(again.pose("left_hip_2"), pose, atol=1e-9)


def test_nothing_to_plan_with_is_said(scene: Any, make_segmentation: Any) -> None:
    empty = make_segmentation(np.zeros((3, 3, 3), np.uint16))

    with pytest.raises(InputError, match="no fragment to plan with"):
        create_plan(empty)

    assert find_plan(empty) is None


def test_a_ct_that_is_bent_is_refused(pelvis: Any, scene: Any) -> None:
    bent = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    spline = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for x, y, z in ((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9), (9, 9, 9)):
        source.InsertNextPoint(x, y, z)
        target.InsertNextPoint(x, y + math.sin(x), z)
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    bent.SetAndObserveTransformToParent(spline)
    pelvis.SetAndObserveTransformNodeID(bent.GetID())

    with pytest.raises(InputError, match="bends"):
        create_plan(pelvis)

    assert nodes_of(scene, "vtkMRMLModelNode") == []
