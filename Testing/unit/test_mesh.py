"""Surfaces of labels and their STL files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.errors import RunCancelledError
from FractureSegmentationLib.geometry import CANONICAL_DIRECTION, Geometry
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.mesh import (
    Surface,
    fragment_surface,
    fragment_surfaces,
    write_meshes,
    write_stl,
)
from FractureSegmentationLib.progress import CancelToken, Progress
from FractureSegmentationLib.types import Direction, LabelArray
from FractureSegmentationLib.volume import LabelVolume

SPACING_MM = (2.0, 0.5, 1.0)
_C, _S = math.cos(0.5), math.sin(0.5)
OBLIQUE: Direction = ((0.0, -_S, _C), (0.0, _C, _S), (1.0, 0.0, 0.0))
LEFT_HANDED: Direction = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))
PERMUTED: Direction = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
DIRECTIONS = {
    "canonical": CANONICAL_DIRECTION,
    "oblique": OBLIQUE,
    "left-handed": LEFT_HANDED,
    "permuted": PERMUTED,
}


def a_label_volume(labels: LabelArray, direction: Direction = CANONICAL_DIRECTION) -> LabelVolume:
    geometry = Geometry(
        shape=labels.shape,
        spacing_mm=SPACING_MM,
        origin_lps_mm=(100.0, -200.0, 50.0),
        direction=direction,
    )
    return LabelVolume(voxels=labels, geometry=geometry)


def a_ball(radius_mm: float = 12.0) -> LabelArray:
    """Label 7: a ball around voxel (8, 30, 16)."""
    k, j, i = np.ogrid[:17, :61, :33]
    distance = np.sqrt(((k - 8) * 2.0) ** 2 + ((j - 30) * 0.5) ** 2 + ((i - 16) * 1.0) ** 2)
    return np.where(distance <= radius_mm, 7, 0).astype(np.uint16)


def edge_uses(surface: Surface) -> tuple[set[int], bool]:
    """How many triangles share an edge, and whether each runs it in another sense."""
    a, b, c = surface.triangles.T
    directed = np.concatenate([np.stack(pair, axis=1) for pair in ((a, b), (b, c), (c, a))])
    _, uses = np.unique(np.sort(directed, axis=1), axis=0, return_counts=True)
    return set(uses.tolist()), len(np.unique(directed, axis=0)) == len(directed)


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS.keys())
def test_ball_is_closed_and_looks_outwards_where_the_geometry_says(direction: Direction) -> None:
    volume = a_label_volume(a_ball(), direction)

    surface = fragment_surface(volume, 7)

    assert edge_uses(surface) == ({2}, True)
    centre = volume.geometry.to_lps(np.array([8.0, 30.0, 16.0]))
    assert surface.points_lps_mm.mean(axis=0) == pytest.approx(centre, abs=0.2)
    radii = np.linalg.norm(surface.points_lps_mm - centre, axis=1)
    assert radii.min() > 10.5
    assert radii.max() < 13.0
    voxels_mm3 = np.count_nonzero(volume.voxels) * volume.geometry.voxel_volume_mm3
    assert surface.volume_mm3 == pytest.approx(voxels_mm3, rel=0.01)
    assert surface.area_mm2 == pytest.approx(4.0 * math.pi * 12.0**2, rel=0.05)


def test_area_and_volume_of_a_tetrahedron_are_those_of_the_formulas() -> None:
    """Corner of a cube of 3 mm: volume 27 / 6, three right triangles and one equilateral one."""
    points = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3]], float) + 1000.0
    triangles = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])

    surface = Surface(points_lps_mm=points, triangles=triangles)

    assert surface.volume_mm3 == pytest.approx(4.5)
    assert surface.area_mm2 == pytest.approx(13.5 + math.sqrt(3) / 4.0 * 18.0)
    inside_out = Surface(points_lps_mm=points, triangles=triangles[:, ::-1])
    assert inside_out.volume_mm3 == pytest.approx(-4.5)


def test_a_surface_is_moved_by_its_pose_and_keeps_its_inside() -> None:
    """A quarter turn about z takes (x, y) to (-y, x); then (1, 2, 3) is added."""
    points = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3]], float)
    surface = Surface(
        points_lps_mm=points, triangles=np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    )
    pose = np.array([[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]], float)

    moved = surface.moved(pose)

    assert moved.points_lps_mm.tolist() == [[1, 2, 3], [1, 5, 3], [-2, 2, 3], [1, 2, 6]]
    assert moved.volume_mm3 == pytest.approx(4.5)
    assert surface.points_lps_mm.tolist() == points.tolist()


def test_fragment_at_the_border_of_the_volume_is_closed_too() -> None:
    labels = np.ones((4, 8, 6), np.uint8)

    surface = fragment_surface(a_label_volume(labels), 1)

    assert edge_uses(surface) == ({2}, True)
    assert surface.volume_mm3 == pytest.approx(4 * 8 * 6, rel=0.1)


def test_single_voxel_keeps_the_octahedron_around_it() -> None:
    """Its corners lie half way to the neighbours: a sixth of the voxel's 1 mm³."""
    labels = np.zeros((3, 3, 3), np.uint8)
    labels[1, 1, 1] = 1

    surface = fragment_surface(a_label_volume(labels), 1)

    assert surface.volume_mm3 == pytest.approx(1.0 / 6.0)
    assert edge_uses(surface) == ({2}, True)


def test_a_hollow_or_a_chip_of_one_voxel_is_not_smoothed_into_a_point() -> None:
    """Six corners each; programs that join equal points would find holes instead."""
    labels = a_ball()
    labels[8, 30, 16] = 0
    labels[1, 1, 1] = 7
    volume = a_label_volume(labels, OBLIQUE)

    surface = fragment_surface(volume, 7)

    for voxel in ((8, 30, 16), (1, 1, 1)):
        from_centre = surface.points_lps_mm - volume.geometry.to_lps(np.array(voxel, float))
        near = np.linalg.norm(from_centre, axis=1)
        assert np.sort(near)[:6] == pytest.approx([0.25, 0.25, 0.5, 0.5, 1.0, 1.0])
    joined = np.unique(surface.points_lps_mm.astype(np.float32), axis=0)
    assert len(joined) == len(surface.points_lps_mm)
    ball = fragment_surface(a_label_volume(a_ball(), OBLIQUE), 7)
    assert surface.volume_mm3 == pytest.approx(ball.volume_mm3, abs=1e-3)


def test_a_real_bone_stays_closed_where_equal_points_are_joined(real_data: Path) -> None:
    """STL holds no indices, so its readers join equal points; this hip bone has many hollows."""
    labels = read_labels(real_data / "real" / "003" / "fragments.nii.gz")

    surface = fragment_surface(labels, 11)

    points = surface.points_lps_mm.astype(np.float32)
    _, joined = np.unique(points, axis=0, return_inverse=True)
    triangles = joined.reshape(-1)[surface.triangles]
    joined_surface = Surface(points_lps_mm=surface.points_lps_mm, triangles=triangles)
    assert edge_uses(joined_surface) == ({2}, True)
    voxels_mm3 = np.count_nonzero(labels.voxels == 11) * labels.geometry.voxel_volume_mm3
    assert surface.volume_mm3 == pytest.approx(voxels_mm3, rel=0.01)


def test_voxels_that_meet_at_an_edge_or_a_corner_stay_manifold() -> None:
    """A random scatter holds every way in which eight voxels can meet."""
    labels = (np.random.default_rng(3).random((12, 12, 12)) < 0.5).astype(np.uint8)

    assert edge_uses(fragment_surface(a_label_volume(labels), 1))[0] == {2}


def test_every_label_gets_its_own_surface_and_absent_ones_are_refused() -> None:
    labels = np.zeros((4, 6, 8), np.uint16)
    labels[1:3, 1:5, 1:4], labels[1:3, 1:5, 4:7] = 51, 300

    surfaces = fragment_surfaces(a_label_volume(labels))

    assert list(surfaces) == [51, 300]
    assert list(fragment_surfaces(a_label_volume(labels), [300])) == [300]
    assert surfaces[51].points_lps_mm[:, 0].max() < surfaces[300].points_lps_mm[:, 0].max()
    with pytest.raises(ValueError, match=r"\[9\]"):
        fragment_surfaces(a_label_volume(labels), [51, 9])


def test_cancel_takes_effect_between_two_surfaces() -> None:
    token = CancelToken()
    token.cancel()

    with pytest.raises(RunCancelledError):
        fragment_surfaces(a_label_volume(a_ball()), progress=Progress(token=token))


def test_stl_holds_every_triangle_with_its_normal_and_says_lps(tmp_path: Path) -> None:
    points = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0]], float) + 5.0
    surface = Surface(points_lps_mm=points, triangles=np.array([[0, 1, 2]]))

    write_stl(tmp_path / "one.stl", surface)

    content = (tmp_path / "one.stl").read_bytes()
    assert len(content) == 84 + 50
    assert b"SPACE=LPS" in content[:80]
    assert not content.startswith(b"solid")
    assert np.frombuffer(content[80:84], "<u4").tolist() == [1]
    numbers = np.frombuffer(content[84:132], "<f4").tolist()
    assert numbers == [0, 0, 1, 5, 5, 5, 7, 5, 5, 5, 7, 5]


def test_stl_is_read_by_vtk_as_the_same_closed_surface(tmp_path: Path) -> None:
    readers = pytest.importorskip("vtkmodules.vtkIOGeometry")
    filters = pytest.importorskip("vtkmodules.vtkFiltersCore")
    surface = fragment_surface(a_label_volume(a_ball(), OBLIQUE), 7)

    (path,) = write_meshes(tmp_path, {7: surface}, {7: "left_hip_1"})

    assert path.name == "left_hip_1.stl"
    reader = readers.vtkSTLReader()
    reader.SetFileName(str(path))
    mass = filters.vtkMassProperties()
    mass.SetInputConnection(reader.GetOutputPort())
    assert reader.GetOutput().GetNumberOfCells() == 0
    assert mass.GetVolume() == pytest.approx(surface.volume_mm3, rel=1e-4)
    assert reader.GetOutput().GetNumberOfCells() == len(surface.triangles)
