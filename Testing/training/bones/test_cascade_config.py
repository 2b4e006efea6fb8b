from __future__ import annotations

from dataclasses import replace

import pytest

from fracseg_training.bones.config import BONE_SLUGS, COARSE, FINE
from FractureSegmentationLib.anatomy.catalogue import bone_named


def test_class_numbers_are_the_mask_values_of_the_catalogue() -> None:
    assert [bone_named(slug).mask_value for slug in BONE_SLUGS] == [1, 2, 3, 4, 5]
    assert COARSE.network.out_channels == FINE.network.out_channels == 6


def test_only_the_fine_stage_sees_the_coarse_result() -> None:
    assert not COARSE.sees_coarse_result
    assert FINE.sees_coarse_result


def test_a_patch_the_network_cannot_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        replace(COARSE, patch=(80, 80, 72))


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    config = replace(COARSE, steps=100, warmup_steps=10, learning_rate=1.0)

    assert config.learning_rate_at(0) == pytest.approx(0.1)
    assert config.learning_rate_at(9) == pytest.approx((1.0 - 0.09) ** 0.9)
    assert config.learning_rate_at(100) == 0.0
