"""Cases, the balanced sampler and batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from phantom_cases import a_case

from fracseg_training.data.cases import load_case, load_cases, make_case, save_case
from fracseg_training.fragments.patches import PatchConfig, PatchSource
from fracseg_training.training.augment import AugmentConfig
from fracseg_training.training.sampler import BalancedSampler, SamplerConfig
from FractureSegmentationLib.errors import InputError

SMALL_PATCHES = PatchConfig(size=16, min_contact_voxels=20)


def test_case_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    case = a_case()

    read = load_case(save_case(tmp_path, case))

    assert read.info == case.info
    for name in ("hu", "fragments", "classes"):
        assert np.array_equal(getattr(read, name), getattr(case, name))


def test_damaged_case_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = save_case(tmp_path, a_case())
    path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(InputError, match="prepare"):
        load_case(path)


def test_held_out_patient_leaves_no_case_behind(tmp_path: Path) -> None:
    for patient in ("one", "two"):
        save_case(tmp_path, a_case(patient=patient))
        save_case(tmp_path, a_case(patient=patient, name="sim", is_simulated=True))

    kept = load_cases(tmp_path, exclude_patients=["one"])

    assert {case.info.patient for case in kept} == {"two"}
    assert len(kept) == 2


def test_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training case"):
        load_cases(tmp_path)


def test_case_is_cropped_to_its_bone_with_a_margin() -> None:
    case = a_case()
    wide = np.pad(case.fragments, 9)

    again = make_case(case.info, np.pad(case.hu, 9), wide, margin=4)

    # The bone spans 24 x 20 x 16 voxels; 4 voxels on each side.
    assert again.hu.shape == (32, 28, 24)


def test_sampler_refuses_cases_without_a_fracture() -> None:
    with pytest.raises(ValueError, match="contact"):
        BalancedSampler([a_case(fragments=1)], SamplerConfig())


def test_fractured_draw_lies_within_the_jitter_of_a_contact_voxel() -> None:
    """Contact lies 3 voxels either side of the cut at k = 16 (crop margin 4 less 2): 11 to 16."""
    case = a_case(fragments=2)
    contact = np.argwhere(case.classes == 3)
    sampler = BalancedSampler([case], SamplerConfig(jitter_mm=2.0))
    rng = np.random.default_rng(0)

    for _ in range(20):
        centre = np.array(sampler.draw_fractured(rng).centre_kji)
        assert np.abs(contact - centre).max(axis=1).min() <= 2.0


def test_share_of_real_patches_is_the_one_asked_for() -> None:
    cases = [a_case(), a_case(name="sim", is_simulated=True)]
    sampler = BalancedSampler(cases, SamplerConfig(real_share=0.25))
    rng = np.random.default_rng(1)

    real = sum(sampler.draw_fractured(rng).case == 0 for _ in range(600)) / 600

    assert real == pytest.approx(0.25, abs=0.06)


def test_batch_is_half_fractured_half_healthy_after_augmentation() -> None:
    source = PatchSource([a_case(fragments=2), a_case(fragments=1)], SMALL_PATCHES, seed=5)

    for step in range(6):
        batch = source.batch(step)
        has_contact = (batch.target == 3).flatten(1).any(dim=1)
        assert torch.equal(batch.holds(3), has_contact)
        assert has_contact.tolist() == [True, True, False, False]


def test_batch_is_a_function_of_seed_and_step() -> None:
    cases = [a_case(fragments=2), a_case(fragments=1)]

    first = PatchSource(cases, SMALL_PATCHES, seed=5).batch(3)
    again = PatchSource(cases, SMALL_PATCHES, seed=5).batch(3)
    later = PatchSource(cases, SMALL_PATCHES, seed=5).batch(4)

    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.inputs, later.inputs)


def test_target_is_background_outside_the_mask_channel() -> None:
    config = PatchConfig(size=16, min_contact_voxels=20, augment=AugmentConfig(mask_share=1.0))
    source = PatchSource([a_case(fragments=2), a_case(fragments=1)], config, seed=2)

    for step in range(4):
        batch = source.batch(step)
        assert not batch.target[batch.inputs[:, 1] == 0].any()
