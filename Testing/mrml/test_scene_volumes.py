"""CTs of the scene: exact geometry, transforms, and the file for the child process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.sitk import volume_from_sitk
from FractureSegmentationLib.mrml.volume import (
    ct_direction_of,
    ct_lps_of,
    ct_normal_of,
    fill_volume,
    geometry_of,
    matrix_of,
    parent_transform,
    start_on,
    volume_of,
    world_ras_of,
    write_ct,
)
from FractureSegmentationLib.volume import Volume
from Testing.mrml.mrml_scene import oblique_geometry


def counted(shape: tuple[int, int, int]) -> Any:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def turned(scene: Any, *, is_linear: bool = True) -> Any:
    """A transform node: a quarter turn about z and 10 mm along it, or a bend."""
    if is_linear:
        node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
        turn = vtk.vtkTransform()
        turn.Translate(0.0, 0.0, 10.0)
        turn.RotateZ(90.0)
        node.SetMatrixTransformToParent(turn.GetMatrix())
        return node
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Bent")
    bend = vtk.vtkThinPlateSplineTransform()
    for kind in ("SetSourceLandmarks", "SetTargetLandmarks"):
        points = vtk.vtkPoints()
        for x, y, z in ((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9), (5, 5, 5)):
            points.InsertNextPoint(x, y, z + (3 if "Target" in kind and x == 5 else 0))
        getattr(bend, kind)(points)
    bend.SetBasisToR()
    node.SetAndObserveTransformToParent(bend)
    return node


def test_a_hand_known_voxel_of_an_oblique_volume_lies_where_slicer_says(make_ct: Any) -> None:
    geometry = oblique_geometry((5, 6, 7))
    node = make_ct(counted((5, 6, 7)), geometry)
    ijk_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)

    # Voxel k = 2, j = 3, i = 4, worked out from its axes: 4 mm along k, 2.1 along j, 4.4 along i.
    sin5, cos5, sin3, cos3 = np.sin(0.5), np.cos(0.5), np.sin(0.3), np.cos(0.3)
    axis_i = np.array([cos3, sin3, 0.0])
    axis_j = np.array([-sin3 * cos5, cos3 * cos5, sin5])
    axis_k = np.array([sin3 * sin5, -cos3 * sin5, cos5])
    lps = np.array([-31.0, 12.5, 400.0]) + 4.0 * axis_k + 2.1 * axis_j + 4.4 * axis_i
    x, y, z, _ = ijk_to_ras.MultiplyPoint((4, 3, 2, 1))

    assert np.allclose((-x, -y, z), lps, atol=1e-12)
    assert np.allclose(volume_of(node).geometry.to_lps(np.array([2.0, 3.0, 4.0])), lps, atol=1e-12)
    assert volume_of(node).voxels[2, 3, 4] == 2 * 42 + 3 * 7 + 4
    assert node.GetImageData().GetScalarComponentAsDouble(4, 3, 2, 0) == 2 * 42 + 3 * 7 + 4


def test_a_volume_comes_back_exactly(make_ct: Any) -> None:
    geometry = oblique_geometry((5, 6, 7))

    found = volume_of(make_ct(counted((5, 6, 7)), geometry))

    assert found.geometry.is_close_to(geometry, 1e-9)
    assert found.voxels.dtype == np.int16


def test_voxels_are_seen_and_not_copied(make_ct: Any) -> None:
    node = make_ct(counted((3, 4, 5)))
    volume = volume_of(node)

    node.GetImageData().SetScalarComponentFromDouble(4, 3, 2, 0, -7)

    assert volume.voxels[2, 3, 4] == -7


def test_a_matrix_and_an_extent_that_begins_elsewhere_make_the_grid_of_the_part() -> None:
    whole = oblique_geometry((5, 6, 7))
    part = whole.cropped((slice(1, 4), slice(2, 6), slice(3, 7)))

    found = geometry_of(matrix_of(whole), (3, 6, 2, 5, 1, 3))

    assert found.is_close_to(part, 1e-9)
    assert start_on(whole, part) == (1, 2, 3)
    assert start_on(part, whole) == (-1, -2, -3)
    assert start_on(whole, whole.resampled((1.0, 0.7, 1.1))) is None


@pytest.mark.parametrize("kind", ["empty", "colour", "sheared"])
def test_what_is_no_ct_is_refused_with_a_remedy(scene: Any, make_ct: Any, kind: str) -> None:
    if kind == "empty":
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    elif kind == "colour":
        node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Picture")
        image = vtk.vtkImageData()
        image.SetDimensions(3, 3, 3)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
        node.SetAndObserveImageData(image)
    else:
        node = make_ct(counted((3, 3, 3)))
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 1, 0.5)
        node.SetIJKToRASMatrix(matrix)

    with pytest.raises(InputError) as caught:
        volume_of(node)

    assert caught.value.remedy


def test_the_transform_above_a_volume_is_told(scene: Any, make_ct: Any) -> None:
    node = make_ct(counted((3, 4, 5)))
    assert parent_transform(node) == "none"

    node.SetAndObserveTransformNodeID(turned(scene).GetID())
    assert parent_transform(node) == "linear"

    node.SetAndObserveTransformNodeID(turned(scene, is_linear=False).GetID())
    assert parent_transform(node) == "nonlinear"


def test_the_place_of_a_volume_is_told_without_its_parent_transform(
    scene: Any, make_ct: Any
) -> None:
    geometry = oblique_geometry((3, 4, 5))
    node = make_ct(counted((3, 4, 5)), geometry)

    node.SetAndObserveTransformNodeID(turned(scene).GetID())

    assert volume_of(node).geometry.is_close_to(geometry, 1e-9)


def test_the_child_process_reads_the_very_grid_and_voxels(make_ct: Any, tmp_path: Path) -> None:
    geometry = oblique_geometry((5, 6, 7))
    path = tmp_path / "ct.nrrd"

    write_ct(make_ct(counted((5, 6, 7)), geometry), path)

    read = volume_from_sitk(sitk.ReadImage(str(path)))
    assert read.geometry.is_close_to(geometry, 1e-9)
    assert np.array_equal(read.voxels, counted((5, 6, 7)))
    assert b"encoding: raw" in path.read_bytes()


def test_no_name_of_the_node_gets_into_the_file(make_ct: Any, tmp_path: Path) -> None:
    node = make_ct(counted((3, 4, 5)), name="SENTINEL^NAME")
    node.SetAttribute("DICOM.PatientName", "SENTINEL^NAME")

    write_ct(node, tmp_path / "ct.nrrd")

    assert b"SENTINEL" not in (tmp_path / "ct.nrrd").read_bytes()


def test_a_bent_ct_is_refused_before_anything_is_written(
    scene: Any, make_ct: Any, tmp_path: Path
) -> None:
    node = make_ct(counted((3, 4, 5)))
    node.SetAndObserveTransformNodeID(turned(scene, is_linear=False).GetID())

    with pytest.raises(InputError, match="bends") as caught:
        write_ct(node, tmp_path / "ct.nrrd")

    assert "esample" in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_click_in_the_world_is_brought_into_the_ct(scene: Any, make_ct: Any) -> None:
    """A quarter turn takes the CT's RAS (1, 2, 3) to (-2, 1, 13) in the world."""
    node = make_ct(counted((3, 4, 5)))
    assert np.allclose(ct_lps_of(node, [(1.0, 2.0, 3.0)]), [(-1.0, -2.0, 3.0)])

    node.SetAndObserveTransformNodeID(turned(scene).GetID())

    assert np.allclose(ct_lps_of(node, [(-2.0, 1.0, 13.0)]), [(-1.0, -2.0, 3.0)])
    assert np.allclose(world_ras_of(node, [(-1.0, -2.0, 3.0)]), [(-2.0, 1.0, 13.0)])
    assert np.allclose(ct_direction_of(node, (0.0, 1.0, 0.0)), (-1.0, 0.0, 0.0))
    assert np.allclose(ct_normal_of(node, (0.0, 1.0, 0.0)), (-1.0, 0.0, 0.0))


def test_points_without_three_coordinates_are_the_callers_bug(make_ct: Any) -> None:
    node = make_ct(counted((3, 4, 5)))

    with pytest.raises(ValueError, match="three coordinates"):
        ct_lps_of(node, [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)])
    assert ct_lps_of(node, []) == ()


def test_a_plane_keeps_its_points_under_a_transform_that_scales(scene: Any, make_ct: Any) -> None:
    node = make_ct(counted((3, 4, 5)))
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Scaled")
    scale = vtk.vtkTransform()
    scale.Scale(2.0, 1.0, 1.0)
    transform.SetMatrixTransformToParent(scale.GetMatrix())
    node.SetAndObserveTransformNodeID(transform.GetID())
    on_plane = ct_lps_of(node, [(0.0, 0.0, 0.0), (1.0, -1.0, 0.0)])

    normal = ct_normal_of(node, (1.0, 1.0, 0.0))

    assert np.dot(np.subtract(on_plane[1], on_plane[0]), normal) == pytest.approx(0.0)


def test_a_volume_can_be_put_into_a_label_map_node(scene: Any) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    geometry = oblique_geometry((3, 4, 5))

    fill_volume(node, Volume(voxels=np.full((3, 4, 5), 401, np.uint16), geometry=geometry))

    assert slicer.util.arrayFromVolume(node)[2, 3, 4] == 401
    assert volume_of(node).geometry.is_close_to(geometry, 1e-9)
