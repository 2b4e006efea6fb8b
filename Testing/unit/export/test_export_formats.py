"""Every format, read back by a reader that is not ours."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FractureSegmentationLib.export.export import ExportRequest, export_segmentation
from FractureSegmentationLib.export.formats import DICOM_SEG, FORMATS
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.mesh import fragment_surface, write_stl
from FractureSegmentationLib.volume import LabelVolume

MOVABLE = [name for name in FORMATS if name != DICOM_SEG]  # that one has tests of its own

# Voxel (1, 2, 3) lies at 10 - 0.8 + 1.35, -20 + 0.6 + 1.8, 30 + 2. The corners of its surface lie
# half way to the neighbours: 1 mm along k, 0.25 mm along j, 0.375 mm along i.
CHIP_CORNERS_LPS_MM = np.array(
    [
        [10.55, -17.6, 31.0],
        [10.55, -17.6, 33.0],
        [10.75, -17.75, 32.0],
        [10.35, -17.45, 32.0],
        [10.325, -17.9, 32.0],
        [10.775, -17.3, 32.0],
    ]
)
# The quarter turn takes (x, y) to (-y, x); then (3, -4, 5) is added.
MOVED_CORNERS_LPS_MM = np.array([[3 - y, x - 4, z + 5] for x, y, z in CHIP_CORNERS_LPS_MM])
MAIN_NAME, CHIP_NAME = "Left hip bone – fragment 1 (main)", "Left hip bone – fragment 2"
# Hue 0.57, saturation 0.6, value 0.88 and hue 0.63, 0.5, 0.42.
MAIN_COLOR, CHIP_COLOR = (0.352, 0.65824, 0.88), (0.21, 0.2562, 0.42)

Exporter = Callable[..., Path]


@pytest.fixture
def exported(result: Path, tmp_path: Path) -> Exporter:
    def export(format_name: str, plan: Path | None = None, **others: Any) -> Path:
        out = tmp_path / "out" / f"{format_name} {plan is not None}"
        request = {"segmentation": result, "out": out, "format": format_name, "plan": plan}
        export_segmentation(ExportRequest(**{**request, **others}))
        return out

    return export


def in_order(points: Any) -> np.ndarray:
    """Points, sorted, so that the order in a file does not matter."""
    rounded = np.round(np.asarray(points, float), 5) + 0.0
    return rounded[np.lexsort(rounded.T)]


def assert_same_points(actual: Any, wanted: np.ndarray, tolerance: float = 2e-5) -> None:
    np.testing.assert_allclose(in_order(actual), in_order(wanted), atol=tolerance)


def ball_mm3(fragments: LabelVolume) -> float:
    return np.count_nonzero(fragments.voxels == 51) * 0.75


@pytest.fixture
def trimesh() -> Any:
    return pytest.importorskip("trimesh")


@pytest.mark.parametrize("ending", ["stl", "ply"])
def test_stl_and_ply_hold_one_closed_fragment_per_file(
    exported: Exporter, fragments: LabelVolume, trimesh: Any, ending: str
) -> None:
    out = exported(ending)

    assert sorted(path.name for path in out.iterdir()) == [
        f"left_hip_1.{ending}",
        f"left_hip_2.{ending}",
        "report.json",
    ]
    ball = trimesh.load(out / f"left_hip_1.{ending}", process=True)
    chip = trimesh.load(out / f"left_hip_2.{ending}", process=True)
    assert ball.is_watertight
    assert chip.is_watertight
    assert ball.volume == pytest.approx(ball_mm3(fragments), rel=0.03)
    assert chip.volume == pytest.approx(0.75 / 6.0, rel=1e-3)
    assert_same_points(chip.vertices, CHIP_CORNERS_LPS_MM)


def test_stl_is_the_one_that_segmenting_writes(
    exported: Exporter, result: Path, tmp_path: Path
) -> None:
    labels = read_labels(result / "fragments.nii.gz")

    write_stl(tmp_path / "as segmented.stl", fragment_surface(labels, 51))

    expected = (tmp_path / "as segmented.stl").read_bytes()
    assert (exported("stl") / "left_hip_1.stl").read_bytes() == expected


def test_ply_carries_the_colour_at_every_point(exported: Exporter, trimesh: Any) -> None:
    chip = trimesh.load(exported("ply") / "left_hip_2.ply", process=False)

    assert {tuple(color) for color in chip.visual.vertex_colors[:, :3].tolist()} == {(54, 65, 107)}


def test_obj_holds_an_object_with_a_material_per_fragment(
    exported: Exporter, fragments: LabelVolume, trimesh: Any
) -> None:
    out = exported("obj")

    assert sorted(path.name for path in out.iterdir()) == [
        "fragments.mtl",
        "fragments.obj",
        "report.json",
    ]
    objects = obj_objects(trimesh, out / "fragments.obj")
    assert set(objects) == {"left_hip_1", "left_hip_2"}
    chip, ball = objects["left_hip_2"], objects["left_hip_1"]
    assert chip.is_watertight
    assert ball.is_watertight
    assert ball.volume == pytest.approx(ball_mm3(fragments), rel=0.03)
    assert_same_points(chip.vertices, CHIP_CORNERS_LPS_MM)
    for mesh, color in ((ball, MAIN_COLOR), (chip, CHIP_COLOR)):
        diffuse = np.asarray(mesh.visual.material.diffuse[:3]) / 255.0
        assert diffuse == pytest.approx(color, abs=1 / 255)


def obj_objects(trimesh: Any, path: Path) -> dict[str, Any]:
    """Objects by name; trimesh joins the names of object and group, which are the same here."""
    scene = trimesh.load(path, split_objects=True)
    halves = {name: name[: len(name) // 2] for name in scene.geometry}
    assert all(name == f"{half}_{half}" for name, half in halves.items())
    return {half: scene.geometry[name] for name, half in halves.items()}


def test_glb_is_a_scene_in_metres_with_y_up(
    exported: Exporter, fragments: LabelVolume, trimesh: Any
) -> None:
    out = exported("glb")

    scene = trimesh.load(out / "fragments.glb")
    assert set(scene.graph.nodes_geometry) == {MAIN_NAME, CHIP_NAME}
    chip, ball = scene.geometry["left_hip_2"], scene.geometry["left_hip_1"]
    assert chip.is_watertight
    assert ball.is_watertight
    assert ball.volume == pytest.approx(1e-9 * ball_mm3(fragments), rel=0.03)
    x, y, z = CHIP_CORNERS_LPS_MM.T
    upright = 0.001 * np.stack([x, z, -y], axis=1)
    np.testing.assert_array_equal(scene.graph.get(CHIP_NAME)[0], np.eye(4))
    assert_same_points(1000.0 * np.asarray(chip.vertices), 1000.0 * upright)


def test_glb_colours_are_linear_in_light(exported: Exporter) -> None:
    """sRGB 0.42 is 0.1473 of the light: ((0.42 + 0.055) / 1.055) ** 2.4."""
    document = glb_document(exported("glb") / "fragments.glb")

    assert [one["name"] for one in document["materials"]] == ["left_hip_1", "left_hip_2"]
    factor = document["materials"][1]["pbrMetallicRoughness"]["baseColorFactor"]
    assert factor == pytest.approx([0.0363, 0.0534, 0.1473, 1.0], abs=1e-4)


def glb_document(path: Path) -> dict[str, Any]:
    """The JSON chunk: 12 bytes of header, then its length and the word JSON."""
    content = path.read_bytes()
    assert content[:4] == b"glTF"
    assert int.from_bytes(content[8:12], "little") == len(content)
    assert content[16:20] == b"JSON"
    length = int.from_bytes(content[12:16], "little")
    assert length % 4 == 0
    document: dict[str, Any] = json.loads(content[20 : 20 + length])
    return document


def test_glb_keeps_the_rules_of_the_standard_for_buffers(exported: Exporter) -> None:
    path = exported("glb") / "fragments.glb"
    document, content = glb_document(path), path.read_bytes()
    start = 20 + int.from_bytes(content[12:16], "little") + 8

    assert content[start - 4 : start] == b"BIN\0"
    assert document["buffers"][0]["byteLength"] == len(content) - start
    for mesh in document["meshes"]:
        (primitive,) = mesh["primitives"]
        places = array_of(document, content[start:], primitive["attributes"]["POSITION"], "<f4", 3)
        normals = array_of(document, content[start:], primitive["attributes"]["NORMAL"], "<f4", 3)
        corners = array_of(document, content[start:], primitive["indices"], "<u4", 3)
        accessor = document["accessors"][primitive["attributes"]["POSITION"]]
        assert accessor["min"] == places.min(axis=0).tolist()
        assert accessor["max"] == places.max(axis=0).tolist()
        assert corners.max() == len(places) - 1
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-5)
        outwards = places - places.mean(axis=0)
        assert np.einsum("ij,ij->i", normals, outwards).min() > 0.0


def array_of(
    document: dict[str, Any], binary: bytes, accessor: int, kind: str, columns: int
) -> np.ndarray:
    view = document["bufferViews"][document["accessors"][accessor]["bufferView"]]
    assert view["byteOffset"] % 4 == 0
    part = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    return np.frombuffer(part, kind).reshape(-1, columns)


def test_nifti_is_the_label_image_on_the_grid_of_the_ct(
    exported: Exporter, fragments: LabelVolume
) -> None:
    nibabel = pytest.importorskip("nibabel")
    out = exported("nifti")

    image = nibabel.load(out / "fragments.nii.gz")
    voxels = np.asanyarray(image.dataobj)
    np.testing.assert_array_equal(voxels.T, fragments.voxels)
    # nibabel is (i, j, k) and RAS: x and y change their sign.
    chip = image.affine @ [3, 2, 1, 1]
    assert chip == pytest.approx([-10.55, 17.6, 32.0, 1.0], abs=1e-5)
    assert voxels[3, 2, 1] == 52
    assert image.header.get_xyzt_units()[0] == "mm"


def test_nifti_comes_with_a_table_of_names_and_colours(exported: Exporter) -> None:
    text = (exported("nifti") / "fragments.labels.csv").read_text(encoding="utf-8")

    rows = list(csv.reader(text.splitlines()))
    assert rows[0] == ["LabelValue", "Name", "Color_R", "Color_G", "Color_B", "Color_A"]
    assert rows[1][:2] == ["51", MAIN_NAME]
    assert rows[2] == ["52", CHIP_NAME, "54", "65", "107", "255"]


def test_seg_nrrd_is_read_by_slicers_own_python_reader(
    exported: Exporter, fragments: LabelVolume
) -> None:
    slicerio = pytest.importorskip("slicerio")
    path = exported("seg.nrrd") / "fragments.seg.nrrd"

    actual = slicerio.read_segmentation(str(path))

    # It reads headers as ASCII; the dash of the names is none.
    names = [one["name"].replace("  ", " – ") for one in actual["segments"]]
    assert names == [MAIN_NAME, CHIP_NAME]
    assert CHIP_NAME.encode("utf-8") in path.read_bytes()
    assert [one["labelValue"] for one in actual["segments"]] == [51, 52]
    assert actual["segments"][1]["color"] == pytest.approx(CHIP_COLOR, abs=1e-5)
    np.testing.assert_array_equal(actual["voxels"].T, fragments.voxels)
    assert actual["ijkToLPS"] @ [3, 2, 1, 1] == pytest.approx([10.55, -17.6, 32.0, 1.0])
    assert actual["segments"][1]["tags"]["FracSeg.Confidence"] == "0.250"


@pytest.mark.parametrize("ending", ["stl", "ply"])
def test_a_plan_moves_the_points_of_a_surface_exactly(
    exported: Exporter, plan: Path, trimesh: Any, ending: str
) -> None:
    out = exported(ending, plan)

    chip = trimesh.load(out / f"left_hip_2.{ending}")
    assert_same_points(chip.vertices, MOVED_CORNERS_LPS_MM)
    assert chip.volume == pytest.approx(0.75 / 6.0, rel=1e-3)
    ball, unmoved = (folder / f"left_hip_1.{ending}" for folder in (out, exported(ending)))
    assert ball.read_bytes() == unmoved.read_bytes()
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [one["is_moved"] for one in report["fragments"]] == [False, True]


def test_a_plan_moves_the_points_in_obj_and_glb(
    exported: Exporter, plan: Path, trimesh: Any
) -> None:
    objects = obj_objects(trimesh, exported("obj", plan) / "fragments.obj")
    glb = trimesh.load(exported("glb", plan) / "fragments.glb")

    assert_same_points(objects["left_hip_2"].vertices, MOVED_CORNERS_LPS_MM)
    x, y, z = MOVED_CORNERS_LPS_MM.T
    metres = np.asarray(glb.geometry["left_hip_2"].vertices)
    assert_same_points(1000.0 * metres, np.stack([x, z, -y], axis=1))


@pytest.mark.parametrize("format_name", MOVABLE)
def test_a_plan_of_identities_gives_the_very_same_files(
    exported: Exporter, result: Path, tmp_path: Path, format_name: str
) -> None:
    identity = np.eye(4).tolist()
    entries = {"schema": "fracseg-plan/1", "space": "LPS", "unit": "mm"}
    path = tmp_path / "identity.json"
    path.write_text(json.dumps({**entries, "poses": {"left_hip_1": identity}}))

    plain, planned = exported(format_name), exported(format_name, path)

    names = sorted(file.name for file in plain.iterdir())
    assert names == sorted(file.name for file in planned.iterdir())
    for name in names:
        assert (plain / name).read_bytes() == (planned / name).read_bytes(), name


@pytest.mark.parametrize("format_name", MOVABLE)
def test_no_file_names_the_patient_or_the_place_it_came_from(
    exported: Exporter, plan: Path, tmp_path: Path, format_name: str
) -> None:
    for file in exported(format_name, plan).iterdir():
        content = file.read_bytes()
        assert b"Jane" not in content, file.name
        assert str(tmp_path).encode() not in content, file.name


@pytest.mark.parametrize(
    ("format_name", "name"), [("stl", "left_hip_1.stl"), ("ply", "left_hip_1.ply")]
)
def test_headers_say_lps_and_mm(exported: Exporter, format_name: str, name: str) -> None:
    header = (exported(format_name) / name).read_bytes()[:120]

    assert b"SPACE=LPS" in header
    assert b"UNIT=mm" in header


def test_obj_says_lps_and_mm_before_anything_else(exported: Exporter) -> None:
    out = exported("obj")
    for name in ("fragments.obj", "fragments.mtl"):
        lines = (out / name).read_text(encoding="utf-8").splitlines()
        assert lines[1:3] == ["# SPACE=LPS", "# UNIT=mm"]


@pytest.mark.parametrize(
    ("format_name", "name", "reader"),
    [
        ("ply", "left_hip_2.ply", ("vtkmodules.vtkIOPLY", "vtkPLYReader")),
        ("obj", "fragments.obj", ("vtkmodules.vtkIOGeometry", "vtkOBJReader")),
    ],
)
def test_the_readers_of_3d_slicer_see_the_space_in_the_comments(
    exported: Exporter, format_name: str, name: str, reader: tuple[str, str]
) -> None:
    vtk_reader = getattr(importlib.import_module(reader[0]), reader[1])()
    vtk_reader.SetFileName(str(exported(format_name) / name))
    vtk_reader.Update()

    if format_name == "ply":
        comments = vtk_reader.GetComments()
        said = [comments.GetValue(index) for index in range(comments.GetNumberOfValues())]
    else:
        said = vtk_reader.GetComment().splitlines()
    assert "SPACE=LPS" in [line.strip() for line in said]
    assert vtk_reader.GetOutput().GetNumberOfPolys() >= 8


def test_the_export_says_what_it_is(exported: Exporter) -> None:
    report = json.loads((exported("glb") / "report.json").read_text(encoding="utf-8"))

    assert report["schema"] == "fracseg-export/1"
    assert report["unit"] == "m"
    assert report["numbering"] == "fracseg"
    assert report["files"] == ["fragments.glb"]
    assert report["fragments"][1] == {
        "id": "left_hip_2",
        "name": CHIP_NAME,
        "label": 52,
        "files": ["fragments.glb"],
        "is_moved": False,
    }


def test_an_exported_label_image_can_be_exported_again(exported: Exporter, tmp_path: Path) -> None:
    first = exported("nifti")

    again = exported("nifti", segmentation=first, out=tmp_path / "again")

    name = "fragments.nii.gz"
    assert (again / name).read_bytes() == (first / name).read_bytes()


def test_there_is_no_format_of_another_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'stp'"):
        ExportRequest(segmentation=tmp_path, out=tmp_path / "out", format="stp")
