"""The ten metrics of 2026 as reconstructed, with numbers derived by hand.

Maps are rows of voxels (1, 1, n), 5 mm apart along the row; one voxel is 10 mm³. So 500 mm³ are 50
voxels, 1 cm³ are 100, and 20 mm are 4 steps. In a row every voxel is surface.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.numbering import FRACSEG, PENGWIN_2026, Numbering
from FractureSegmentationLib.evaluation.figures import CaseFigures, ScoreRequest, ScoreSettings
from FractureSegmentationLib.evaluation.labels import (
    without_small_components,
    without_small_labels,
)
from FractureSegmentationLib.evaluation.pengwin2026 import fracture_zone, score_pengwin2026
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import LabelVolume

TEN = (
    "fracture_dice", "local_dice", "hd95_mm", "assd_mm", "recall", "precision", "f1", "merges",
    "splits", "topology",
)  # fmt: skip


def a_row(*pieces: tuple[int, int]) -> LabelArray:
    """A row of (label, voxels)."""
    labels = np.repeat([p[0] for p in pieces], [p[1] for p in pieces]).astype(np.uint16)
    return labels.reshape(1, 1, -1)


def score(
    prediction: LabelArray,
    truth: LabelArray,
    numbering: Numbering = PENGWIN_2026,
    **settings: float,
) -> CaseFigures:
    geometry = Geometry(shape=truth.shape, spacing_mm=(1.0, 2.0, 5.0))
    return score_pengwin2026(
        ScoreRequest(
            prediction=LabelVolume(voxels=prediction, geometry=geometry),
            truth=LabelVolume(voxels=truth, geometry=geometry),
            prediction_numbering=numbering,
            truth_numbering=numbering,
            settings=ScoreSettings(**settings),
        )
    )


def values_of(figures: CaseFigures) -> dict[str, float]:
    return {name: figures.values[name] for name in TEN}


def test_a_perfect_prediction_has_perfect_figures() -> None:
    truth = a_row((1, 200), (2, 100), (0, 50), (101, 150))

    assert values_of(score(truth, truth)) == {
        "fracture_dice": 1.0,
        "local_dice": 1.0,
        "hd95_mm": 0.0,
        "assd_mm": 0.0,
        "recall": 1.0,
        "precision": 1.0,
        "f1": 1.0,
        "merges": 0,
        "splits": 0,
        "topology": 1.0,
    }


def test_a_merge_hurts_all_but_precision() -> None:
    """Truth 1 at 0..199 and 2 at 200..299, one prediction over both.

    IoU 200/300 and 100/300: one of two is detected. Dice 400/500 and 200/400. Within 20 mm of the
    fracture lie 4 voxels of each: Dice 2 * 4 / (4 + 8) both times. Distances of fragment 1: the 300
    predicted voxels are 0 (200 times), 5, 10 .. 500 mm away; rank 284.05 is 425 + 0.05 * 5, the sum
    25,250 over 500 points. Fragment 2: 0 (100 times), 5 .. 1000; rank 284.05 is 925.25, the sum
    100,500 over 400 points.
    """
    figures = score(a_row((9, 300)), a_row((1, 200), (2, 100)))

    assert values_of(figures) == pytest.approx(
        {
            "fracture_dice": (0.8 + 0.5) / 2,
            "local_dice": 2 / 3,
            "hd95_mm": (425.25 + 925.25) / 2,
            "assd_mm": (50.5 + 251.25) / 2,
            "recall": 0.5,
            "precision": 1.0,
            "f1": 2 / 3,
            "merges": 1,
            "splits": 0,
            "topology": 0.0,
        }
    )


def test_a_split_hurts_precision_and_topology_and_the_overlap_with_the_larger_part() -> None:
    """Truth 1 at 0..299, predictions of 200 and 100: IoU 2/3 with the larger, Dice 400/500.

    The 300 true voxels are 0 (200 times), 5 .. 500 mm from the larger part, as above.
    """
    figures = score(a_row((1, 200), (2, 100)), a_row((1, 300)))

    assert math.isnan(figures.values["local_dice"])
    assert figures.values["fracture_dice"] == pytest.approx(0.8)
    assert figures.values["hd95_mm"] == pytest.approx(425.25)
    assert figures.values["assd_mm"] == pytest.approx(50.5)
    assert figures.values["recall"] == 1.0
    assert figures.values["precision"] == 0.5
    assert figures.values["f1"] == pytest.approx(2 / 3)
    assert (figures.values["merges"], figures.values["splits"]) == (0, 1)
    assert figures.values["topology"] == 0.0


def test_the_threshold_decides_what_is_found_but_not_what_is_compared() -> None:
    """From IoU 0.3 on the merging prediction finds both; it is one hit of one prediction."""
    truth = a_row((1, 200), (2, 100))

    lenient = score(a_row((9, 300)), truth, match_iou=0.3)

    assert lenient.values["recall"] == lenient.values["precision"] == lenient.values["f1"] == 1.0
    assert lenient.values["fracture_dice"] == pytest.approx(0.65)
    with pytest.raises(ValueError, match="match_iou"):
        ScoreSettings(match_iou=0.0)


def test_an_iou_of_exactly_the_threshold_is_found() -> None:
    assert score(a_row((1, 100), (0, 100)), a_row((1, 200))).values["recall"] == 1.0
    assert score(a_row((1, 100), (0, 101)), a_row((1, 201))).values["recall"] == 0.0


def test_a_missing_fragment_costs_the_sphere_around_it_in_millimetres() -> None:
    """Centres of 100 voxels reach 49.5 * 5 = 247.5 mm from their middle."""
    figures = score(a_row((0, 100)), a_row((1, 100)))

    assert figures.values["hd95_mm"] == pytest.approx(495.0)
    assert figures.values["assd_mm"] == pytest.approx(247.5)
    assert figures.values["fracture_dice"] == 0.0
    assert figures.values["recall"] == figures.values["precision"] == figures.values["f1"] == 0.0
    assert figures.values["topology"] == 0.0


def test_a_bone_that_is_only_predicted_costs_precision_and_nothing_else() -> None:
    figures = score(a_row((1, 100), (51, 100)), a_row((1, 100), (0, 100)))

    assert figures.values["precision"] == 0.5
    assert figures.values["recall"] == figures.values["fracture_dice"] == 1.0
    assert figures.values["topology"] == 1.0


def test_topology_is_the_share_of_true_bones_without_a_merge_or_split() -> None:
    """Sacrum merged, left hip split, right hip and femur right: 2 of 4."""
    truth = a_row((1, 200), (2, 200), (51, 300), (101, 100), (151, 100))
    prediction = a_row((1, 400), (51, 150), (52, 150), (101, 100), (151, 100))

    assert score(prediction, truth).values["topology"] == 0.5


def test_true_fragments_under_500_mm3_are_dropped() -> None:
    """49 voxels are 490 mm³; with 50 there is still the rule for components."""
    labels, dropped = without_small_labels(a_row((1, 49), (2, 50), (0, 5)), 50)

    assert dropped == 1
    assert np.unique(labels).tolist() == [0, 2]
    figures = score(a_row((2, 150), (0, 49)), a_row((2, 150), (1, 49)))
    assert figures.values["fragments"] == 1
    assert figures.values["recall"] == 1.0
    assert "true fragments under 500 mm3 dropped: 1." in figures.notes


def test_components_under_one_cubic_centimetre_are_pruned_on_both_sides() -> None:
    """Label 1 is 100 and, apart, 60 voxels; label 2 is 99 voxels: 100 voxels of label 1 stay."""
    small_fragments = a_row((1, 100), (0, 5), (1, 60), (0, 5), (2, 99), (0, 50))

    labels, dropped = without_small_components(small_fragments, 100)

    assert dropped == 2
    assert labels[0, 0].nonzero()[0].tolist() == list(range(100))
    whole = a_row((1, 100), (0, 219))
    for prediction, truth in ((small_fragments, whole), (whole, small_fragments)):
        figures = score(prediction, truth)
        assert figures.values["fracture_dice"] == figures.values["precision"] == 1.0
        assert any(note.endswith("pruned: 2.") for note in figures.notes)


def test_components_that_touch_by_a_corner_are_one() -> None:
    labels = np.zeros((2, 2, 2), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = 3

    assert without_small_components(labels, 2) == (labels, 0)
    labels[1, 1, 1] = 4
    assert without_small_components(labels, 2)[1] == 2


def test_fracture_zone_has_two_fragments_within_reach() -> None:
    """Fragments at 0..9 and 12..21: at 8 the other is 20 mm away, at 13 likewise."""
    row = a_row((1, 10), (0, 2), (2, 10))

    zone = fracture_zone(row, (1.0, 2.0, 5.0), 20.0)

    assert zone[0, 0].nonzero()[0].tolist() == [8, 9, 10, 11, 12, 13]
    assert not fracture_zone(a_row((1, 10)), (1.0, 2.0, 5.0), 20.0).any()


def test_local_dice_looks_only_near_the_fracture() -> None:
    """Far from it, at the ends, 50 of 200 voxels are missing on each side: local Dice is 1."""
    truth = a_row((1, 200), (2, 200))
    prediction = a_row((0, 50), (1, 150), (2, 150), (0, 50))

    figures = score(prediction, truth)

    assert figures.values["local_dice"] == 1.0
    assert figures.values["fracture_dice"] == pytest.approx(300 / 350)


def test_fragments_farther_apart_than_the_reach_have_no_local_dice() -> None:
    truth = a_row((1, 200), (0, 4), (2, 200))

    assert math.isnan(score(truth, truth).values["local_dice"])


def test_case_figures_pool_the_fragments_of_all_bones() -> None:
    """Sacrum 1 fragment of Dice 1, left hip 2 of Dice 0 (missing): 1/3, over bones 1/2."""
    truth = a_row((1, 100), (51, 100), (52, 100))

    figures = score(a_row((1, 100), (0, 200)), truth)

    assert figures.values["fracture_dice"] == pytest.approx(1 / 3)
    assert figures.values["recall"] == pytest.approx(1 / 3)


def test_the_femora_are_one_anatomy_even_where_labels_tell_them_apart() -> None:
    """A left femur predicted as right one counts as detected; the tibia is not scored."""
    figures = score(a_row((201, 200), (251, 100)), a_row((151, 200), (0, 100)), numbering=FRACSEG)

    assert [bone.bone for bone in figures.bones] == ["left_femur+right_femur"]
    assert figures.values["recall"] == figures.values["precision"] == 1.0
    assert "Not looked at by this protocol: left_tibia." in figures.notes


def test_a_case_without_fragments_has_no_figures() -> None:
    figures = score(a_row((0, 100)), a_row((1, 40), (0, 60)))

    assert figures.bones == ()
    assert all(math.isnan(figures.values[name]) for name in TEN if name not in ("merges", "splits"))
