"""The mirrored other side as a model of the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.mrml.layer import tie_to_ct
from FractureSegmentationLib.mrml.plan import create_plan, find_plan
from FractureSegmentationLib.mrml.plan_nodes import show_mirrored_side
from FractureSegmentationLib.mrml.segmentation import show_fragments
from FractureSegmentationLib.planning.mirror_plane import surface_points
from FractureSegmentationLib.planning.pose import moved_points, shift_by
from FractureSegmentationLib.volume import LabelVolume
from Testing.unit.planning.phantom_pelvis import LEFT, RIGHT, PhantomPelvis, a_plane


@pytest.fixture(scope="module")
def labels() -> LabelVolume:
    return PhantomPelvis(displaced=shift_by((6.0, -6.0, -3.0))).labels()


@pytest.fixture
def pelvis(scene: Any, make_ct: Any, labels: LabelVolume) -> Any:
    """The phantom, under a transform that is no part of the CT's coordinates."""
    ct = make_ct(np.zeros(labels.geometry.shape, np.int16), labels.geometry)
    table = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Table")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 500.0)
    table.SetMatrixTransformToParent(matrix)
    ct.SetAndObserveTransformNodeID(table.GetID())
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Fragments")
    tie_to_ct(node, ct)
    show_fragments(node, Fragments.of(labels))
    return node


def points_lps(model: Any) -> np.ndarray:
    return vtk_to_numpy(model.GetPolyData().GetPoints().GetData()) * [-1.0, -1.0, 1.0]


def test_the_other_side_lies_over_the_broken_bone(pelvis: Any, labels: LabelVolume) -> None:
    create_plan(pelvis)

    shown = show_mirrored_side(pelvis, "left_hip", "left_hip_1")

    wanted = moved_points(a_plane().reflection, surface_points(labels, [RIGHT]))
    found = points_lps(shown.model)
    np.testing.assert_allclose(found.min(axis=0), wanted.min(axis=0), atol=1.8)
    np.testing.assert_allclose(found.max(axis=0), wanted.max(axis=0), atol=1.8)
    assert shown.template.anchor == LEFT
    assert shown.model.GetName() == "Left hip bone: right hip bone mirrored"
    assert float(shown.model.GetAttribute("FracSeg.MirroredResidualMm")) < 1.0
    assert shown.model.GetTransformNodeID() == pelvis.GetTransformNodeID() is not None
    assert shown.model.GetDisplayNode().GetOpacity() < 1.0


def test_the_mirrored_surface_looks_outwards(pelvis: Any) -> None:
    model = show_mirrored_side(pelvis, "left_hip").model

    corners = points_lps(model)[
        vtk_to_numpy(model.GetPolyData().GetPolys().GetConnectivityArray()).reshape(-1, 3)
    ]
    cones = np.einsum("ni,ni->n", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0
    assert cones.sum() > 10_000.0


def test_a_bone_has_one_template_and_it_goes_with_the_plan(pelvis: Any, scene: Any) -> None:
    plan = create_plan(pelvis)
    first = show_mirrored_side(pelvis, "left_hip").model
    again = show_mirrored_side(pelvis, "left_hip", "left_hip_2").model
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    parents = {
        hierarchy.GetItemParent(hierarchy.GetItemByDataNode(one))
        for one in (first, plan.transform("left_hip_1"))
    }

    assert again is first
    assert len(parents) == 1
    plan.remove()
    assert slicer.util.getNodesByClass("vtkMRMLModelNode", scene) == []


def test_a_saved_scene_has_the_template(pelvis: Any, scene: Any, tmp_path: Path) -> None:
    create_plan(pelvis)
    before = points_lps(show_mirrored_side(pelvis, "left_hip").model)
    assert scene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    scene.Clear(False)
    assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    (node,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
    found = node.GetNodeReference("FracSeg.Mirrored")

    np.testing.assert_allclose(points_lps(found), before, atol=1e-4)
    assert show_mirrored_side(node, "left_hip").model is found
    assert find_plan(node) is not None


def test_a_bone_without_another_side_is_refused(pelvis: Any, scene: Any) -> None:
    with pytest.raises(InputError, match="no other side of the sacrum"):
        show_mirrored_side(pelvis, "sacrum")

    assert slicer.util.getNodesByClass("vtkMRMLModelNode", scene) == []
