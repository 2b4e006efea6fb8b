"""Random views of a case: what they keep, whatever is drawn."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from fracseg_training.training import augment
from fracseg_training.training.augment import AugmentConfig, PatchFrame

IDENTITY = np.eye(3)


def a_patch(
    volume: torch.Tensor,
    matrix: np.ndarray,
    centre: np.ndarray,
    *,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    outside: float = 0.0,
) -> torch.Tensor:
    """Four voxels along each edge."""
    frame = PatchFrame(matrix=matrix, size=(4, 4, 4))
    return augment.cut_patch(volume, centre, frame, mode=mode, outside=outside)


def a_ramp() -> torch.Tensor:
    """(12, 14, 16) volume whose value is 10000 k + 100 j + i."""
    k, j, i = torch.meshgrid(torch.arange(12), torch.arange(14), torch.arange(16), indexing="ij")
    return (10000 * k + 100 * j + i).float()


def test_straight_patch_is_the_voxels_around_its_centre() -> None:
    """Size 4 around (5.5, 6.5, 7.5) covers k 4-7, j 5-8, i 6-9."""
    patch = a_patch(a_ramp(), IDENTITY, np.array([5.5, 6.5, 7.5]), mode="bilinear", outside=0.0)

    assert torch.allclose(patch, a_ramp()[4:8, 5:9, 6:10], atol=0.05)


def test_mirrored_patch_is_the_straight_one_reversed() -> None:
    flip_j = np.diag([1.0, -1.0, 1.0])

    patch = a_patch(a_ramp(), flip_j, np.array([5.5, 6.5, 7.5]), mode="nearest", outside=0.0)

    assert torch.equal(patch, a_ramp()[4:8, 5:9, 6:10].flip(1))


def test_axes_of_a_patch_follow_the_matrix_in_kji_order() -> None:
    """A matrix that swaps k and i: the patch's first axis runs along i of the volume."""
    swap = np.eye(3)[[2, 1, 0]]

    patch = a_patch(a_ramp(), swap, np.array([5.5, 6.5, 7.5]), mode="bilinear", outside=0.0)

    assert torch.allclose(patch, a_ramp()[4:8, 5:9, 6:10].permute(2, 1, 0), atol=0.05)


def test_what_lies_outside_the_case_has_the_value_asked_for() -> None:
    patch = a_patch(
        torch.ones(6, 6, 6), IDENTITY, np.array([0.0, 2.5, 2.5]), mode="nearest", outside=-7.0
    )

    assert torch.equal(patch[0], torch.full((4, 4), -7.0))
    assert torch.equal(patch[2:], torch.ones(2, 4, 4))


def test_patch_far_outside_the_case_is_empty_and_no_error() -> None:
    patch = a_patch(
        torch.ones(6, 6, 6), IDENTITY, np.array([60.0, -40.0, 2.0]), mode="nearest", outside=0.0
    )

    assert not patch.any()


@pytest.mark.parametrize("seed", range(5))
def test_random_frame_only_turns_zooms_and_mirrors(seed: int) -> None:
    config = AugmentConfig(scale=(0.8, 1.25))

    frame = augment.draw_frame(np.random.default_rng(seed), config, (4, 4, 4), 2.0, (2.0, 2.0, 2.0))

    product = frame.matrix @ frame.matrix.T
    zoom = np.sqrt(product[0, 0])
    assert np.allclose(frame.matrix.T @ frame.matrix, np.eye(3) * zoom**2, atol=1e-9)
    assert 0.8 <= 1.0 / zoom <= 1.25
    assert frame.displacement is None


def test_perturbed_mask_moves_no_further_than_asked() -> None:
    """A 10-voxel cube, at most 2 mm at 1 mm: nothing beyond 2 voxels, the core 1 deep stays."""
    mask = torch.zeros(20, 20, 20, dtype=torch.bool)
    mask[5:15, 5:15, 5:15] = True
    changed = 0
    for seed in range(12):
        moved = augment.perturb_mask(mask, np.random.default_rng(seed), 2.0, 1.0)
        outer = torch.zeros_like(mask)
        outer[3:17, 3:17, 3:17] = True
        assert not (moved & ~outer).any()
        assert moved[6:14, 6:14, 6:14].all()
        changed += int((moved != mask).any())

    assert changed >= 10


def test_thin_bone_survives_mask_perturbation() -> None:
    mask = torch.zeros(16, 16, 16, dtype=torch.bool)
    mask[8, 4:12, 4:12] = True

    for seed in range(12):
        assert augment.perturb_mask(mask, np.random.default_rng(seed), 2.0, 1.0)[
            8, 5:11, 5:11
        ].any()


def test_blur_keeps_a_constant_and_spreads_a_point() -> None:
    point = torch.zeros(9, 9, 9)
    point[4, 4, 4] = 1.0

    spread = augment.blur(point, 1.0)

    assert torch.allclose(augment.blur(torch.full((5, 6, 7), 3.0), 1.2), torch.full((5, 6, 7), 3.0))
    assert spread.sum().item() == pytest.approx(1.0, abs=1e-3)
    # A sampled Gaussian of sigma 1: centre weight 0.3991 per axis.
    assert spread[4, 4, 4].item() == pytest.approx(0.3991**3, rel=1e-2)


def test_photometry_is_a_function_of_the_generator() -> None:
    hu = torch.arange(512.0).reshape(8, 8, 8)

    first = augment.change_photometry(hu, np.random.default_rng(3), AugmentConfig(), 1.0)
    again = augment.change_photometry(hu, np.random.default_rng(3), AugmentConfig(), 1.0)
    other = augment.change_photometry(hu, np.random.default_rng(4), AugmentConfig(), 1.0)

    assert torch.equal(first, again)
    assert not torch.equal(first, other)
