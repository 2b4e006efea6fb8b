"""Views of the bone networks: labels follow a mirrored or elastic frame, CTs end in air."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fracseg_training.bones.config import KIND_OF_CLASS, MIRRORED_CLASS, bone_augment
from fracseg_training.training.augment import (
    AIR_HU,
    AugmentConfig,
    PatchFrame,
    change_photometry,
    cut_borders,
    cut_labels,
    cut_patch,
    draw_frame,
)

SIZE = (6, 8, 10)
SPACING = (3.0, 3.0, 3.0)
CENTRE = np.array([2.5, 3.5, 4.5])


def a_volume() -> tuple[torch.Tensor, torch.Tensor]:
    hu = torch.arange(480, dtype=torch.int16).reshape(SIZE)
    bones = torch.zeros(SIZE, dtype=torch.uint8)
    bones[:, :, 7:] = 2
    bones[:, :, 5] = 1
    return hu, bones


def a_frame(*, mirrored: bool = False) -> PatchFrame:
    matrix = np.diag([1.0, 1.0, -1.0 if mirrored else 1.0])
    displacement = torch.zeros((3, *SIZE))
    return PatchFrame(matrix=matrix, size=SIZE, displacement=displacement, is_mirrored=mirrored)


def both(
    hu: torch.Tensor, bones: torch.Tensor, centre: np.ndarray, frame: PatchFrame
) -> tuple[torch.Tensor, torch.Tensor]:
    patch = cut_patch(hu, centre, frame, mode="bilinear", outside=AIR_HU)
    return patch, cut_labels(bones, centre, frame)


def test_a_straight_frame_shows_the_volume_itself() -> None:
    hu, bones = a_volume()

    patch, classes = both(hu, bones, CENTRE, a_frame())

    assert torch.allclose(patch, hu.float(), atol=0.1)
    assert torch.equal(classes, bones.long())


def test_a_mirrored_frame_turns_left_into_right() -> None:
    hu, bones = a_volume()

    patch, classes = both(hu, bones, CENTRE, a_frame(mirrored=True))

    assert torch.allclose(patch, hu.float().flip(2), atol=0.1)
    mirrored = torch.tensor(MIRRORED_CLASS)[classes]
    assert mirrored[0, 0].tolist() == [3, 3, 3, 0, 1, 0, 0, 0, 0, 0]


def test_air_lies_around_a_volume() -> None:
    hu, bones = a_volume()

    patch, classes = both(hu, bones, CENTRE + np.array([0.0, 0.0, 5.0]), a_frame())

    assert torch.allclose(patch[:, :, :5], hu[:, :, 5:].float(), atol=0.5)
    assert torch.all(patch[:, :, 5:] == AIR_HU)
    assert torch.all(classes[:, :, 5:] == 0)


def test_a_patch_far_from_the_volume_is_air() -> None:
    hu, bones = a_volume()

    patch, classes = both(hu, bones, CENTRE + 100.0, a_frame())

    assert torch.all(patch == AIR_HU)
    assert not classes.any()


def test_displacement_moves_what_is_seen_in_voxels() -> None:
    hu, bones = a_volume()
    frame = a_frame()
    frame.displacement[2] += 1.0

    patch, _ = both(hu, bones, CENTRE, frame)

    assert torch.allclose(patch[:, :, :-1], hu[:, :, 1:].float(), atol=0.1)


def test_frames_mirror_as_often_as_configured_and_keep_handedness_otherwise() -> None:
    rng = np.random.default_rng(0)
    never = bone_augment(3.0, mirror_share=0.0)
    always = bone_augment(3.0, mirror_share=1.0)

    for config, sign in ((never, 1.0), (always, -1.0)):
        frames = [draw_frame(rng, config, SIZE, 3.0, SPACING) for _ in range(5)]
        assert all(np.sign(np.linalg.det(frame.matrix)) == sign for frame in frames)
        assert all(frame.is_mirrored == (sign < 0) for frame in frames)


def displacement_of(seed: int, config: AugmentConfig, spacing_mm: float) -> torch.Tensor:
    spacing = (spacing_mm, spacing_mm, spacing_mm)
    rng = np.random.default_rng(seed)
    displacement = draw_frame(rng, config, (16, 16, 16), spacing_mm, spacing).displacement
    assert displacement is not None
    return displacement


def test_elastic_displacement_is_configured_in_millimetres() -> None:
    config = bone_augment(3.0, elastic_mm=6.0)
    coarse, fine = (
        torch.stack([displacement_of(n, config, spacing) for n in range(6)]).std()
        for spacing in (3.0, 1.5)
    )

    assert fine / coarse == pytest.approx(2.0, rel=1e-4)


def test_a_cut_border_leaves_air_without_bone_beyond() -> None:
    hu, bones = torch.zeros((20, 20, 20)), torch.ones((20, 20, 20), dtype=torch.long)

    cut_hu, cut_classes = cut_borders(hu, bones, np.random.default_rng(3), share=1.0)

    beyond = cut_hu == AIR_HU
    assert 0 < int(beyond.sum()) < 20**3
    assert torch.equal(cut_classes == 0, beyond)
    assert not (hu == AIR_HU).any()


def test_photometry_changes_values_not_the_grid() -> None:
    hu = torch.full((12, 12, 12), 300.0)
    hu[:6] = -100.0
    config = bone_augment(3.0)

    changed = [
        change_photometry(hu, np.random.default_rng(seed), config, 3.0) for seed in range(12)
    ]

    assert all(values.shape == hu.shape and bool(values.isfinite().all()) for values in changed)
    assert all(float(values[8:].mean()) > float(values[:4].mean()) for values in changed)
    assert len({round(float(values.mean())) for values in changed}) > 6


def test_classes_mirror_and_merge_as_the_catalogue_says() -> None:
    assert MIRRORED_CLASS == (0, 1, 3, 2, 5, 4)
    assert KIND_OF_CLASS == (0, 1, 2, 2, 3, 3)
