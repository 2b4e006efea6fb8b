from __future__ import annotations

import numpy as np
import pytest

from fracseg_training.synthesis.label_map import LabelMap
from fracseg_training.synthesis.spine import with_lowered_spine

NAMES = {
    1: "sacrum",
    2: "vertebrae_L5",
    3: "vertebrae_L4",
    4: "vertebrae_L3",
    5: "vertebrae_T12",
    6: "liver",
}


def body() -> LabelMap:
    """A column: sacrum, then vertebrae of two slices each, one slice apart; a liver beside."""
    labels = np.zeros((16, 9, 9), np.uint8)
    labels[0:3, 3:6, 3:6] = 1
    for value, low in ((2, 4), (3, 7), (4, 10), (5, 13)):
        labels[low : low + 2, 3:6, 3:6] = value
    labels[8:12, 0:2, 0:2] = 6
    return LabelMap(labels=labels, names=NAMES, spacing_mm=(2.0, 1.0, 1.0))


def test_one_level_puts_the_fourth_vertebra_where_the_fifth_was() -> None:
    lowered = with_lowered_spine(body(), 1).labels

    assert not (lowered == 2).any()
    assert np.array_equal(lowered == 3, body().labels == 2)
    assert np.array_equal(lowered == 4, body().labels == 3)
    assert np.array_equal(lowered == 5, body().labels == 4)


def test_all_but_the_spine_stays() -> None:
    lowered = with_lowered_spine(body(), 2, tilt_deg=12.0).labels

    for value in (1, 6):
        assert np.array_equal(lowered == value, body().labels == value)


def test_no_level_and_no_tilt_changes_nothing() -> None:
    assert np.array_equal(with_lowered_spine(body(), 0).labels, body().labels)


def test_a_tilt_turns_the_spine_to_the_front_about_its_lowest_vertebra() -> None:
    tilted = with_lowered_spine(body(), 0, tilt_deg=10.0).labels

    lowest, highest = (np.argwhere(tilted == value).mean(axis=0) for value in (2, 5))
    assert lowest == pytest.approx([4.5, 4.0, 4.0], abs=0.5)
    assert highest[1] < 4.0 - 1.0  # j runs to the back
    assert highest[2] == pytest.approx(4.0)


def test_a_body_without_the_needed_vertebra_stays_as_it_is() -> None:
    for levels in (3, 4):
        assert np.array_equal(with_lowered_spine(body(), levels).labels, body().labels)


def test_impossible_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to 4"):
        with_lowered_spine(body(), 5)
