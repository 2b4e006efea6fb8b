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
        ({"contact_level": -0.1}, "contact_level"),
        ({"min_piece_mm3": -1.0}, "min_piece_mm3"),
        ({"slope_per_mm": math.nan}, "slope_per_mm"),
        ({"reach_mm": math.inf}, "reach_mm"),
    ],
)
def test_impossible_settings_are_refused_by_name(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecoveryConfig(**setting)


def test_voxels_are_derived_from_the_spacing() -> None:
    config = RecoveryConfig()

    assert config.voxels(30.0, (1.0, 1.0, 1.0)) == 30
    assert config.voxels(30.0, (2.0, 1.0, 1.0)) == 15
    assert config.voxels(30.0, (0.9, 1.0, 1.0)) == 34
    assert config.voxels(0.0, (1.0, 1.0, 1.0)) == 1
