from __future__ import annotations

import numpy as np
import torch

from fracseg_training.bones.coarse_errors import coarse_one_hot


def two_bones() -> torch.Tensor:
    classes = torch.zeros((32, 32, 32), dtype=torch.long)
    classes[6:26, 6:26, 4:16] = 2
    classes[6:26, 6:26, 16:28] = 4
    return classes


def test_the_coarse_result_is_constant_over_blocks_and_names_one_bone_per_voxel() -> None:
    result = coarse_one_hot(two_bones(), np.random.default_rng(1))

    assert result.shape == (5, 32, 32, 32)
    assert set(result.unique().tolist()) <= {0.0, 1.0}
    assert float(result.sum(dim=0).max()) <= 1.0
    blocks = result.reshape(5, 16, 2, 16, 2, 16, 2)
    assert torch.equal(blocks.amax(dim=(2, 4, 6)), blocks.amin(dim=(2, 4, 6)))


def test_it_resembles_the_truth_without_being_it() -> None:
    truth = two_bones()
    overlaps = []
    for seed in range(20):
        found = coarse_one_hot(truth, np.random.default_rng(seed))
        hit = float((found[1] * (truth == 2)).sum())
        overlaps.append(2.0 * hit / float(found[1].sum() + (truth == 2).sum()))

    assert 0.6 < np.median(overlaps) < 0.97


def test_now_and_then_there_is_no_coarse_result_at_all() -> None:
    results = [coarse_one_hot(two_bones(), np.random.default_rng(seed)) for seed in range(120)]

    blank = sum(not bool(result.any()) for result in results)
    assert 0 < blank < 20


def test_other_bones_are_sometimes_named() -> None:
    results = torch.stack(
        [coarse_one_hot(two_bones(), np.random.default_rng(seed)) for seed in range(40)]
    )

    assert results[:, 0].any()
    assert results[:, 4].any()
