"""The benchmark on ground-truth masks: what is changed, what is scored, what is averaged."""

from __future__ import annotations

import numpy as np
import pytest
from phantom_cases import a_case

from fracseg_training.data.cases import Case
from fracseg_training.fragments.score import (
    changed_mask,
    judge,
    summarise,
    truth_on_mask,
)
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.volume import FragmentMap


def perfect_map(case: Case) -> FragmentMap:
    """The map of a network that is always right and sure."""
    voxels = np.stack([case.classes == c for c in range(len(bicm.CHANNELS))]).astype(np.float16)
    k, j, i = case.hu.shape
    geometry = Geometry(shape=(k, j, i), spacing_mm=case.info.spacing_mm)
    return FragmentMap(voxels=voxels, geometry=geometry, channels=bicm.CHANNELS)


def blind_map(case: Case) -> FragmentMap:
    """The map of a network that sees interior everywhere."""
    found = perfect_map(case)
    voxels = np.zeros_like(found.voxels)
    voxels[bicm.CHANNELS.index("interior")] = case.fragments > 0
    voxels[0] = case.fragments == 0
    return found.with_voxels(voxels)


def test_mask_moves_by_one_voxel_on_every_side() -> None:
    """A cube of 6³ loses its shell: 4³; it gains one: 8³."""
    cube = np.zeros((12, 12, 12), bool)
    cube[3:9, 3:9, 3:9] = True

    assert changed_mask(cube, "eroded").sum() == 4**3
    assert changed_mask(cube, "dilated").sum() == 8**3
    assert np.array_equal(changed_mask(cube, "exact"), cube)


def test_truth_spreads_to_a_wider_mask_by_nearness_in_millimetres() -> None:
    """The voxel between lies 1 mm (one step) from 2 along i and 3 mm from 1 along k."""
    fragments = np.zeros((2, 1, 3), np.uint8)
    fragments[0, 0, 0] = 1
    fragments[1, 0, 2] = 2
    mask = np.ones(fragments.shape, bool)

    truth = truth_on_mask(fragments, mask, (3.0, 1.0, 1.0))

    assert truth[1, 0, 1] == 2
    assert truth[0, 0, 1] == 1


def test_perfect_map_scores_near_one_and_a_blind_one_misses_a_fragment() -> None:
    """Two halves of 12 mm: one label over both has IoU 0.5 with one and misses the other."""
    case = a_case(fragments=2)
    bone = case.fragments > 0

    perfect = judge(case, bone, perfect_map(case), RecoveryConfig())
    blind = judge(case, bone, blind_map(case), RecoveryConfig())

    assert perfect.score.headline.iou > 0.97
    assert (perfect.true_fragments, perfect.predicted_fragments) == (2, 2)
    assert blind.predicted_fragments == 1
    assert blind.score.headline.iou == pytest.approx(0.25)


def test_summary_averages_over_fractured_bones_and_counts_whole_ones() -> None:
    broken, whole = a_case(fragments=2), a_case(fragments=1)
    results = [
        judge(broken, broken.fragments > 0, blind_map(broken), RecoveryConfig()),
        judge(whole, whole.fragments > 0, blind_map(whole), RecoveryConfig()),
    ]

    summary = summarise(results)

    assert summary.headline_iou == pytest.approx(0.25)
    # One prediction of IoU 0.5 with one of two true fragments: F1 = 2·1 / (2·1 + 0 + 1).
    assert summary.f1 == pytest.approx(2 / 3)
    assert (summary.whole_kept, summary.whole) == (1, 1)
    assert summary.spurious_per_bone == 0.0
    assert "IoU 0.250" in summary.line()
