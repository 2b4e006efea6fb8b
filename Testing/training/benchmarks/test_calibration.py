"""Confidence: calibration and risk against coverage, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fracseg_training.benchmarks.calibration import (
    FragmentCheck,
    area_under_risk,
    calibration_of,
)


def a_check(confidence: float, *, iou: float, agreement: float = 0.5) -> FragmentCheck:
    return FragmentCheck(confidence=confidence, agreement=agreement, iou=iou)


def test_the_area_is_the_mean_risk_over_all_coverages() -> None:
    """Right, wrong, right, wrong by confidence: risks 0, 1/2, 1/3, 1/2."""
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    right = np.array([1.0, 0.0, 1.0, 0.0])

    assert area_under_risk(confidence, right) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_confidence_that_holds_has_no_error_and_one_that_does_not_has() -> None:
    """Of ten at 0.75 eight are right; of ten at 0.95 all are: 0.05 off in both bins."""
    checks = [a_check(0.75, iou=0.9 if n < 8 else 0.1) for n in range(10)]
    checks += [a_check(0.95, iou=0.9) for _ in range(10)]

    figures = calibration_of(checks)

    assert figures.ece == pytest.approx(0.05)
    assert figures.right == pytest.approx(0.9)
    assert [count for _, _, count in figures.bins] == [10, 10]
    assert figures.aurc_best <= figures.aurc
    assert "20 fragments" in list(figures.lines())[-1]


def test_without_a_fragment_there_is_nothing_to_say() -> None:
    with pytest.raises(ValueError, match="no fragment"):
        calibration_of([])
