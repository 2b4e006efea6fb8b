"""Distributions of figures over cases, and the worst cases."""

from __future__ import annotations

import math

import pytest

from FractureSegmentationLib.evaluation.figures import (
    BoneFigures,
    CaseFigures,
    Metric,
    bone_names,
    bone_values,
    spread_of,
    worst_case,
    worst_cases,
)

IOU = Metric(name="iou", title="IoU")
HD95 = Metric(name="hd95_mm", title="HD95 mm", better="low")
COUNT = Metric(name="fragments", title="true", better="")


def a_case(iou: float, hd95_mm: float = 0.0, **bones: float) -> CaseFigures:
    return CaseFigures(
        values={"iou": iou, "hd95_mm": hd95_mm, "fragments": 1},
        bones=tuple(
            BoneFigures(bone=bone, values={"iou": value}, fragments=())
            for bone, value in bones.items()
        ),
    )


def test_spread_has_the_quartiles_between_the_nearest_values() -> None:
    """Of 1, 2, 3, 4: quartiles at ranks 0.75, 1.5, 2.25; squares 2.25 + 0.25 + 0.25 + 2.25 = 5."""
    spread = spread_of([4.0, 1.0, math.nan, 3.0, 2.0])

    assert (spread.count, spread.mean) == (4, 2.5)
    assert (spread.minimum, spread.q1, spread.median) == (1.0, 1.75, 2.5)
    assert (spread.q3, spread.maximum) == (3.25, 4.0)
    assert spread.sd == pytest.approx(math.sqrt(5 / 3))


def test_one_value_has_no_standard_deviation_and_none_has_nothing() -> None:
    one, none = spread_of([2.0]), spread_of([math.nan])

    assert (one.count, one.mean, one.q1, one.maximum) == (1, 2.0, 2.0, 2.0)
    assert math.isnan(one.sd)
    assert none.count == 0
    assert math.isnan(none.mean)
    assert math.isnan(none.median)


def test_infinite_values_are_endless_means_but_leave_the_median() -> None:
    spread = spread_of([1.0, 2.0, math.inf])

    assert spread.mean == spread.maximum == spread.q3 == math.inf
    assert spread.median == 2.0
    assert math.isnan(spread.sd)
    assert spread_of([math.inf, math.inf]).median == math.inf


def test_worst_cases_are_those_at_the_bad_end_with_their_worst_bone() -> None:
    cases = [
        ("b", a_case(0.5, 9.0, sacrum=0.4, left_hip=0.6)),
        ("a", a_case(0.5, 1.0, sacrum=0.5)),
        ("c", a_case(0.9, 5.0)),
        ("d", a_case(math.nan, math.nan)),
    ]

    assert [case.name for case in worst_cases(cases, IOU, 9)] == ["a", "b", "c"]
    assert [case.name for case in worst_cases(cases, HD95, 2)] == ["b", "c"]
    assert worst_cases(cases, IOU, 9)[1].bone == "sacrum"
    assert worst_cases(cases, IOU, 9)[2].bone == ""
    with pytest.raises(ValueError, match="neither good nor bad"):
        worst_cases(cases, COUNT, 1)


def test_there_is_no_worst_case_where_all_are_alike() -> None:
    alike = [("a", a_case(0.5)), ("b", a_case(0.5))]

    assert worst_case(alike, IOU) is None
    assert worst_case(alike, COUNT) is None
    worst = worst_case([*alike, ("c", a_case(0.4))], IOU)
    assert worst is not None
    assert worst.name == "c"


def test_values_of_bones_are_told_apart_or_taken_together() -> None:
    cases = [("a", a_case(1.0, left_hip=0.2)), ("b", a_case(1.0, sacrum=0.1, left_hip=0.3))]

    assert bone_names(cases) == ("sacrum", "left_hip")
    assert bone_values(cases, IOU, "left_hip") == [0.2, 0.3]
    assert bone_values(cases, IOU) == [0.2, 0.1, 0.3]
