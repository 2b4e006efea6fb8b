"""Where simulated bones break."""

from __future__ import annotations

import numpy as np
import pytest
from broken_bones import SPACING_MM, long_bone

from fracseg_training.simulate.bone_points import bone_points, voxels_by_label
from fracseg_training.simulate.config import PatternConfig, PoseConfig
from fracseg_training.simulate.noise import fractal_noise
from fracseg_training.simulate.pattern import break_bone
from fracseg_training.simulate.surfaces import FractureSurface, WedgeSurface, true_distance


def plane(normal: tuple[float, float, float], *, roughness_mm: float = 0.0) -> FractureSurface:
    """A flat sheet through (10, 0, 0)."""
    frame = np.eye(3, dtype=np.float32)[[1, 2, 0]]
    n = np.asarray(normal, np.float32)
    frame[2] = n / np.linalg.norm(n)
    return FractureSurface(
        site_mm=np.array([10.0, 0.0, 0.0], np.float32),
        frame=frame,
        curvature_per_mm=(0.0, 0.0),
        twist_axis=np.array([1.0, 0.0, 0.0], np.float32),
        twist_per_mm=0.0,
        roughness=fractal_noise(
            np.random.default_rng(0), longest_mm=40.0, shortest_mm=2.5, hurst=0.7
        ),
        roughness_mm=roughness_mm,
    )


def test_distance_to_a_flat_sheet_is_the_distance_along_its_normal() -> None:
    points = np.array([[13.0, 5.0, -7.0], [10.0, 1.0, 1.0], [6.0, 0.0, 0.0]], np.float32)

    assert plane((1.0, 0.0, 0.0)).distance_mm(points) == pytest.approx([3.0, 0.0, -4.0], abs=1e-5)


def test_wedge_is_positive_only_where_both_its_sheets_are() -> None:
    wedge = WedgeSurface(first=plane((1.0, 0.0, 0.0)), second=plane((0.0, 1.0, 0.0)))
    points = np.array([[12.0, 3.0, 0.0], [12.0, -3.0, 0.0], [8.0, 3.0, 0.0]], np.float32)

    assert list(wedge.distance_mm(points) > 0) == [True, False, False]


def test_true_distance_undoes_the_steepness_of_a_level_function() -> None:
    """A function three times as steep as the distance reads 6 at 2 mm."""
    surface = plane((1.0, 0.0, 0.0))
    points = np.array([[12.0, 0.0, 0.0]], np.float32)

    found = true_distance(
        lambda p: 3.0 * surface.distance_mm(p), points, np.array([6.0], np.float32)
    )

    assert found == pytest.approx([2.0], rel=1e-3)


def test_fractal_noise_has_unit_spread_and_is_smooth_below_its_shortest_wave() -> None:
    noise = fractal_noise(np.random.default_rng(1), longest_mm=40.0, shortest_mm=5.0, hurst=0.8)
    points = np.random.default_rng(2).uniform(0, 200, (20000, 3)).astype(np.float32)

    values, beside = noise.at(points), noise.at(points + np.float32(0.2))

    assert values.std() == pytest.approx(1.0, abs=0.15)
    assert np.abs(values - beside).max() < 0.4


def test_wavelengths_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        fractal_noise(np.random.default_rng(0), longest_mm=2.0, shortest_mm=5.0, hurst=0.5)


def test_depth_grows_from_the_surface_to_the_axis_of_a_tube() -> None:
    """The tube's radius is 12 mm; cells of 2 to 3 mm know depth to about 1.5 mm."""
    _, bone = long_bone()
    points = bone_points(bone, SPACING_MM)
    radius = np.hypot(points.index[:, 1] - 19.5, points.index[:, 2] - 19.5)
    inside = (points.index[:, 0] > 20) & (points.index[:, 0] < 80)

    error = points.depth_mm[inside] - (12.0 - radius[inside])

    assert np.abs(error).max() < 2.5
    assert np.abs(error).mean() < 1.0


def test_cells_hold_the_whole_volume() -> None:
    _, bone = long_bone()

    points = bone_points(bone, SPACING_MM)

    assert points.cell_mm3.sum() == pytest.approx(np.count_nonzero(bone))
    assert points.edges.max() == len(points.cell_mm3) - 1


def test_voxels_are_listed_per_label() -> None:
    labels = np.array([[[0, 2, 1, 2]]])

    _, first, second = voxels_by_label(labels)

    assert first.tolist() == [[0, 0, 2]]
    assert second.tolist() == [[0, 0, 1], [0, 0, 3]]


@pytest.mark.parametrize("count", [2, 4, 8])
def test_bone_breaks_into_about_as_many_fragments_as_were_asked_for(count: int) -> None:
    """A rough surface may tear a corner off, a crowded zone swallow a cell: one more or less."""
    _, bone = long_bone()
    weights = tuple(float(n == count) for n in range(2, count + 1))

    found = [
        int(
            break_bone(
                bone_points(bone, SPACING_MM),
                PatternConfig(count_weights=weights),
                np.random.default_rng(seed),
            ).labels.max()
        )
        for seed in range(5)
    ]

    assert abs(float(np.median(found)) - count) <= 1


def test_cut_reaches_the_share_it_was_asked_for() -> None:
    """Of eight candidates one comes within half to twice the share of 20 %."""
    _, bone = long_bone()
    config = PatternConfig(
        count_weights=(1.0,), minor_share=(0.2, 0.2), comminution_probability=0.0
    )

    shares = []
    for seed in range(5):
        labels = break_bone(
            bone_points(bone, SPACING_MM), config, np.random.default_rng(seed)
        ).labels
        shares.append(np.sort(np.bincount(labels)[1:])[-2] / len(labels))

    assert 0.1 < float(np.median(shares)) < 0.4


def test_cracks_are_near_zero_where_two_pieces_touch() -> None:
    _, bone = long_bone()
    points = bone_points(bone, SPACING_MM)
    config = PatternConfig(count_weights=(1.0,), comminution_probability=0.0)
    pattern = break_bone(points, config, np.random.default_rng(3))
    grid = np.zeros(bone.shape, int)
    grid[bone] = pattern.labels
    crack = np.full(bone.shape, np.inf)
    crack[bone] = pattern.crack_mm
    touches = (grid[:-1] != grid[1:]) & bone[:-1] & bone[1:]

    assert np.count_nonzero(touches) > 50
    assert np.quantile(crack[:-1][touches], 0.9) < 1.5


@pytest.mark.parametrize(
    "values",
    [
        {"count_weights": ()},
        {"count_weights": (0.0, 0.0)},
        {"minor_share": (0.3, 0.7)},
        {"min_fragment_mm3": 0.0},
        {"candidates": 0},
    ],
)
def test_impossible_pattern_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        PatternConfig(**values)  # type: ignore[arg-type]


def test_mode_weights_must_weigh_every_mode() -> None:
    with pytest.raises(ValueError, match="hairline"):
        PoseConfig(mode_weights=(1.0, 0.0))  # type: ignore[arg-type]
