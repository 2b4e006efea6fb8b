"""Implicit shapes, and how they come onto a CT grid."""

from __future__ import annotations

import numpy as np
import pytest

from fracseg_training.phantoms.shapes import (
    Field,
    Lattice,
    around,
    ball,
    blended,
    capsule,
    curve,
    half_space,
    plate,
    smooth_union,
)
from fracseg_training.phantoms.tissue import BoneQuality, coverage, on_grid, upsampled
from fracseg_training.simulate.noise import fractal_noise
from FractureSegmentationLib.geometry import Geometry


def test_curve_of_constant_radius_is_a_tube() -> None:
    """A tube of radius 6 along x: a point 10 mm off its axis lies 4 mm outside."""
    tube = curve([(0, 0, 0, 6, 1, 200), (40, 0, 0, 6, 1, 200)])
    lattice = around([tube], margin_mm=12.0, step_mm=2.0)
    field = blended([tube], lattice, blend_mm=1e-3)
    nodes = lattice.nodes_lps_mm()
    middle = (nodes[..., 0] > 8) & (nodes[..., 0] < 32)
    off_axis = np.hypot(nodes[..., 1], nodes[..., 2])
    near = middle & (off_axis > 2) & (off_axis < 14)

    assert field.distance_mm[near] == pytest.approx(off_axis[near] - 6.0, abs=0.25)


def test_plate_is_as_thick_as_twice_its_radius() -> None:
    rows = [[(x, 0, z, 3, 1, 200) for x in (0, 20, 40)] for z in (0, 20, 40)]
    sheet = plate(rows)
    lattice = around([sheet], margin_mm=12.0, step_mm=2.0)
    field = blended([sheet], lattice, blend_mm=1e-3)
    nodes = lattice.nodes_lps_mm()
    inner = (np.abs(nodes[..., 0] - 20) < 15) & (np.abs(nodes[..., 2] - 20) < 15)
    off_plane = np.abs(nodes[..., 1])
    near = inner & (off_plane > 1) & (off_plane < 10)

    assert field.distance_mm[near] == pytest.approx(off_plane[near] - 3.0, abs=0.35)


def test_mirrored_part_lies_on_the_other_side() -> None:
    knots = [(10, 1, 2, 3, 1, 200), (30, 4, 5, 3, 1, 200)]

    left, right = curve(knots), curve(knots, is_mirrored=True)

    assert right.centres_lps_mm[:, 0] == pytest.approx(-left.centres_lps_mm[:, 0])
    assert right.centres_lps_mm[:, 1:] == pytest.approx(left.centres_lps_mm[:, 1:])


def test_smooth_union_is_the_nearer_solid_far_from_the_joint() -> None:
    near, far = np.array([1.0], np.float32), np.array([9.0], np.float32)

    assert smooth_union(near, far, 4.0) == pytest.approx([1.0])
    assert smooth_union(near, near, 4.0) == pytest.approx([0.0])


def test_carving_takes_a_ball_out() -> None:
    lattice = Lattice(origin_lps_mm=np.full(3, -10.0), shape=(11, 11, 11), step_mm=2.0)
    nodes = lattice.nodes_lps_mm()
    ones = np.ones(lattice.shape, np.float32)
    solid = Field(lattice=lattice, distance_mm=-20 * ones, cortex_mm=ones, marrow_hu=200 * ones)

    carved = solid.carved(ball(nodes, (0.0, 0.0, 0.0), 5.0), 0.5)

    assert carved.distance_mm[5, 5, 5] == pytest.approx(5.0, abs=0.2)
    assert carved.distance_mm[0, 0, 0] < 0


def test_half_space_is_inside_ahead_of_its_plane() -> None:
    nodes = np.array([[3.0, 0.0, 0.0], [-2.0, 5.0, 1.0]])

    assert half_space(nodes, (0, 0, 0), (2, 0, 0)) == pytest.approx([-3.0, 2.0])


def test_capsule_measures_from_its_axis_and_its_ends() -> None:
    nodes = np.array([[5.0, 3.0, 0.0], [14.0, 0.0, 0.0]])
    ends = (np.zeros(3), np.array([10.0, 0.0, 0.0]))

    assert capsule(nodes, ends, 2.0) == pytest.approx([1.0, 2.0])


def test_lattice_nodes_run_z_y_x_and_hold_x_y_z() -> None:
    lattice = Lattice(origin_lps_mm=np.array([1.0, 2.0, 3.0]), shape=(2, 3, 4), step_mm=5.0)

    assert lattice.nodes_lps_mm()[1, 2, 3].tolist() == [16.0, 12.0, 8.0]


def test_voxel_cut_in_half_by_the_surface_is_covered_by_half() -> None:
    assert coverage(np.array([0.0, 0.25, -2.0], np.float32), 1.0) == pytest.approx([0.5, 0.25, 1.0])


def test_linear_function_is_upsampled_exactly() -> None:
    """HU = x + 10 z on a 3 mm lattice, read on an anisotropic grid between its nodes."""
    lattice = Lattice(origin_lps_mm=np.zeros(3), shape=(6, 6, 6), step_mm=3.0)
    nodes = lattice.nodes_lps_mm()
    geometry = Geometry(shape=(4, 3, 5), spacing_mm=(2.0, 1.0, 1.5), origin_lps_mm=(1.0, 2.0, 0.5))

    values = upsampled((nodes[..., 0] + 10 * nodes[..., 2]).astype(np.float32), lattice, geometry)

    assert values[3, 2, 4] == pytest.approx((1.0 + 4 * 1.5) + 10 * (0.5 + 3 * 2.0), rel=1e-5)


def test_bone_has_a_bright_shell_of_its_thickness_and_marrow_inside() -> None:
    """A ball of 20 mm with a 3 mm cortex: 2 mm deep is compact, 6 mm deep is marrow."""
    lattice = Lattice(origin_lps_mm=np.full(3, -26.0), shape=(27, 27, 27), step_mm=2.0)
    ones = np.ones(lattice.shape, np.float32)
    field = Field(
        lattice=lattice,
        distance_mm=ball(lattice.nodes_lps_mm(), (0, 0, 0), 20.0),
        cortex_mm=3 * ones,
        marrow_hu=150 * ones,
    )
    geometry = Geometry(
        shape=(1, 1, 48), spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(-24.0, 0.0, 0.0)
    )
    quality = BoneQuality(cortex_hu=1200.0, texture_hu=0.0)
    texture = fractal_noise(np.random.default_rng(0), longest_mm=14, shortest_mm=2, hurst=0.3)

    bone = on_grid(field, geometry, quality, texture)
    hu = bone.hu[0, 0]
    depth = -bone.distance_mm[0, 0]

    assert depth[24] == pytest.approx(20.0, abs=0.6)
    assert hu[(depth > 1.5) & (depth < 2.2)].min() > 900
    assert hu[depth > 5.0] == pytest.approx(150.0, abs=3.0)


def test_bone_outside_the_grid_is_refused() -> None:
    lattice = Lattice(origin_lps_mm=np.zeros(3), shape=(3, 3, 3), step_mm=2.0)
    ones = np.ones(lattice.shape, np.float32)
    field = Field(lattice=lattice, distance_mm=ones, cortex_mm=ones, marrow_hu=ones)
    geometry = Geometry(shape=(4, 4, 4), spacing_mm=(1, 1, 1), origin_lps_mm=(100.0, 0.0, 0.0))
    texture = fractal_noise(np.random.default_rng(0), longest_mm=14, shortest_mm=2, hurst=0.3)

    with pytest.raises(ValueError, match="outside the grid"):
        on_grid(field, geometry, BoneQuality(), texture)
