"""Simulated fractures: exact labels, the grid, each mode's mark in the image, the generator."""

from __future__ import annotations

from dataclasses import replace

import cc3d
import numpy as np
import pytest
from broken_bones import SPACING_MM, long_bone

from fracseg_training.simulate.config import (
    MODES,
    AppearanceConfig,
    Mode,
    PatternConfig,
    PoseConfig,
    SimulationConfig,
)
from fracseg_training.simulate.fracture import SimulatedBone, simulate_fracture, simulate_intact

CLEAN = AppearanceConfig(
    blur_sigma_mm=(0.0, 0.0), noise_hu=(0.0, 0.0), close_gaps_probability=0.0, fat_probability=0.0
)
TWO_PIECES = PatternConfig(count_weights=(1.0,), comminution_probability=0.0)


def config_of(mode: Mode, *, appearance: AppearanceConfig = CLEAN) -> SimulationConfig:
    """Two fragments, one mode, no scanner noise."""
    weights = tuple(float(mode == other) for other in MODES)
    pose = PoseConfig(mode_weights=weights)  # type: ignore[arg-type]
    return SimulationConfig(pattern=TWO_PIECES, pose=pose, appearance=appearance)


def broken(seed: int, config: SimulationConfig | None = None) -> SimulatedBone:
    """The long bone, broken."""
    hu, bone = long_bone()
    return simulate_fracture(hu, bone, SPACING_MM, np.random.default_rng(seed), config)


@pytest.mark.parametrize("seed", range(4))
def test_labels_run_from_the_largest_fragment_to_the_smallest_without_gaps(seed: int) -> None:
    result = broken(seed)

    sizes = np.bincount(result.fragments.ravel())[1:]

    assert len(sizes) == result.fragment_count >= 2
    assert (sizes > 0).all()
    assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_every_fragment_is_one_connected_piece_of_at_least_thirty_cubic_millimetres(
    seed: int,
) -> None:
    """A voxel is 1 mm3, so 30 voxels; the intact bone is one piece."""
    result = broken(seed)

    pieces, count = cc3d.connected_components(result.fragments, connectivity=26, return_N=True)

    assert count == result.fragment_count
    assert np.bincount(pieces.ravel())[1:].min() >= 30


def test_same_seed_gives_the_same_fracture_and_another_seed_another() -> None:
    first, again, other = broken(5), broken(5), broken(6)

    assert np.array_equal(first.hu, again.hu)
    assert np.array_equal(first.fragments, again.fragments)
    assert first.modes == again.modes
    assert not np.array_equal(first.fragments[:90], other.fragments[:90])


def test_inputs_stay_as_they_were() -> None:
    hu, bone = long_bone()
    before = hu.copy(), bone.copy()

    simulate_fracture(hu, bone, SPACING_MM, np.random.default_rng(1))

    assert np.array_equal(hu, before[0])
    assert np.array_equal(bone, before[1])


def test_bone_volume_is_kept_when_fragments_move() -> None:
    """Displaced fragments only move and barely bite: less than 4 % may go in the overlap."""
    _, bone = long_bone()

    volume = np.count_nonzero(broken(3, config_of("displaced")).fragments)

    assert volume == pytest.approx(np.count_nonzero(bone), rel=0.04)


def test_ct_outside_the_bone_stays_where_nothing_moves_over_it() -> None:
    result = broken(2, config_of("gap"))
    corner = tuple(slice(o, o + 5) for o in result.offset_kji)

    assert (result.hu[corner] == 50).all()


def test_bone_only_input_keeps_its_outside_value_everywhere_outside_the_fragments() -> None:
    hu, bone = long_bone()
    masked = np.where(bone, hu, 0).astype(np.int16)

    result = simulate_fracture(
        masked, bone, SPACING_MM, np.random.default_rng(4), SimulationConfig(outside_hu=0.0)
    )

    assert (result.hu[result.fragments == 0] == 0).all()
    assert np.median(result.hu[result.fragments > 0]) > 150


def test_grid_grows_so_that_a_fragment_moved_past_the_border_is_whole() -> None:
    """The mask fills its grid, so anything that moves leaves it."""
    hu, bone = long_bone()
    tight = tuple(slice(a.min(), a.max() + 1) for a in np.nonzero(bone))

    result = simulate_fracture(
        hu[tight], bone[tight], SPACING_MM, np.random.default_rng(0), config_of("displaced")
    )

    assert any(grown > size for grown, size in zip(result.hu.shape, bone[tight].shape, strict=True))
    assert result.hu.shape == result.fragments.shape
    assert np.count_nonzero(result.fragments) == pytest.approx(np.count_nonzero(bone), rel=0.04)


def test_offset_says_where_the_input_lies_in_the_grown_grid() -> None:
    hu, bone = long_bone()
    tight = tuple(slice(a.min(), a.max() + 1) for a in np.nonzero(bone))
    shift = np.array([s.start for s in tight])
    result = simulate_fracture(
        hu[tight], bone[tight], SPACING_MM, np.random.default_rng(0), config_of("displaced")
    )
    whole = broken(0, config_of("displaced"))

    place = np.argwhere(result.fragments == 2).min(axis=0) - result.offset_kji
    place_whole = np.argwhere(whole.fragments == 2).min(axis=0) - whole.offset_kji

    assert tuple(place + shift) == tuple(place_whole)


def test_hairline_interrupts_the_cortex_and_leaves_both_parts_in_touch() -> None:
    """Cortical voxels at the break lose a third of their 950 HU above muscle or more."""
    contrast = replace(CLEAN, crack_contrast=(0.9, 0.9))
    result = broken(7, config_of("hairline", appearance=contrast))
    hu, _ = long_bone()
    cortex = np.pad(
        hu == 1000, [(0, s - n) for s, n in zip(result.hu.shape, hu.shape, strict=True)]
    )
    first = result.fragments == 1
    touches = np.zeros_like(first)
    touches[1:] |= first[:-1] & (result.fragments[1:] == 2)
    touches[:-1] |= first[1:] & (result.fragments[:-1] == 2)

    assert np.count_nonzero(touches) > 0.5 * np.pi * 12**2
    assert np.median(result.hu[touches & cortex]) < 700


def test_gap_lies_open_and_is_filled_with_blood() -> None:
    config = SimulationConfig(
        pattern=TWO_PIECES,
        pose=PoseConfig(mode_weights=(0, 1, 0, 0, 0), gap_mm=(4.0, 4.0)),
        appearance=replace(CLEAN, haematoma_hu=(60.0, 60.0), debris_hu=(0.0, 0.0)),
    )
    result = broken(3, config)
    _, bone = long_bone()
    padded = np.pad(bone, [(0, s - n) for s, n in zip(result.hu.shape, bone.shape, strict=True)])

    vacated = padded & (result.fragments == 0)

    assert np.count_nonzero(vacated) > 500
    assert 20 < np.median(result.hu[vacated]) < 120


def test_impaction_leaves_bone_brighter_than_any_before() -> None:
    appearance = replace(CLEAN, densify=(1.0, 1.0), crack_contrast=(0.0, 0.0))

    result = broken(1, config_of("impaction", appearance=appearance))

    assert result.hu.max() > 1300
    assert result.hu.max() <= 1600


def test_intact_bone_is_one_fragment_on_the_grid_it_came_on() -> None:
    hu, bone = long_bone()

    result = simulate_intact(hu, bone, SPACING_MM, np.random.default_rng(0))

    assert result.modes == ()
    assert result.offset_kji == (0, 0, 0)
    assert np.array_equal(result.fragments, bone.astype(np.uint8))
    assert abs(int(np.median(result.hu[bone])) - int(np.median(hu[bone]))) < 40


def test_a_bone_too_small_to_break_stays_whole() -> None:
    bone = np.zeros((9, 9, 9), bool)
    bone[3:6, 3:6, 3:6] = True

    result = simulate_fracture(
        np.where(bone, 500, 0).astype(np.int16), bone, SPACING_MM, np.random.default_rng(0)
    )

    assert result.fragment_count == 1
    assert result.modes == ()


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        simulate_fracture(
            np.zeros((5, 5, 5), np.int16),
            np.zeros((5, 5, 5), bool),
            SPACING_MM,
            np.random.default_rng(0),
        )


def test_grids_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="share one 3D grid"):
        simulate_intact(
            np.zeros((5, 5, 5), np.int16),
            np.ones((5, 5, 4), bool),
            SPACING_MM,
            np.random.default_rng(0),
        )


def test_anisotropic_voxels_break_as_well() -> None:
    hu, bone = long_bone()
    result = simulate_fracture(
        hu[::2], bone[::2], (2.0, 1.0, 1.0), np.random.default_rng(8), config_of("displaced")
    )

    assert result.fragment_count == 2
    assert np.count_nonzero(result.fragments) == pytest.approx(
        np.count_nonzero(bone[::2]), rel=0.06
    )
