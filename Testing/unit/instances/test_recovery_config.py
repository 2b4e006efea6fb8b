"""The settings of recovery."""

from __future__ import annotations

import math
from typing import Any

import pytest

from FractureSegmentationLib.instances.config import RecoveryConfig


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"mode": "other"}, "mode"),
        ({"levels_mm": ()}, "levels_mm"),
        ({"levels_mm": (1.0, 2.0)}, "levels_mm"),
        ({"levels_mm": (2.0, 2.0)}, "levels_mm"),
        ({"levels_mm": (2.0, -1.0)}, "levels_mm"),
        ({"merge_support": 1.1}, "merge_support"),
        ({"contact_level": -0.1}, "contact_level"),
        ({"min_piece_mm3": -1.0}, "min_piece_mm3"),
        ({"contact_cost": math.nan}, "contact_cost"),
        ({"min_neck": math.inf}, "min_neck"),
        ({"small_mm3": 9e9}, "small_mm3"),
    ],
)
def test_impossible_settings_are_refused_by_name(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecoveryConfig(**setting)


def test_small_fragments_need_more_support_than_large_ones() -> None:
    """Between 100 and 10,000 mm³, 1,000 is half-way in the logarithm."""
    config = RecoveryConfig(
        merge_support=0.4, merge_support_small=0.8, small_mm3=100.0, large_mm3=10_000.0
    )

    assert config.required_support(20.0) == 0.8
    assert config.required_support(1_000.0) == pytest.approx(0.6)
    assert config.required_support(1e6) == 0.4


def test_voxels_are_derived_from_the_spacing() -> None:
    config = RecoveryConfig()

    assert config.voxels(30.0, (1.0, 1.0, 1.0)) == 30
    assert config.voxels(30.0, (2.0, 1.0, 1.0)) == 15
    assert config.voxels(30.0, (0.9, 1.0, 1.0)) == 34
    assert config.voxels(0.0, (1.0, 1.0, 1.0)) == 1
