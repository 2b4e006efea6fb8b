"""Which fragments a plan moves, and what is said of those that are not there."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.export.poses import moving_poses


def test_a_fragment_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(InputError, match="'left_hip_9'") as refusal:
        moving_poses({"left_hip_1": np.eye(4), "left_hip_9": np.eye(4)}, ["left_hip_1", "sacrum_1"])

    assert "'left_hip_1'" not in refusal.value.message
    assert "left_hip_1, sacrum_1" in refusal.value.remedy


def test_long_lists_of_fragments_are_shortened() -> None:
    with pytest.raises(InputError) as refusal:
        moving_poses({"x": np.eye(4)}, [f"left_hip_{n}" for n in range(1, 31)])

    assert refusal.value.remedy.endswith("left_hip_8 and 22 more.")


def test_an_identity_moves_nothing() -> None:
    shift = np.eye(4)
    shift[0, 3] = 1e-9

    assert list(moving_poses({"a": np.eye(4), "b": shift}, "ab")) == ["b"]
