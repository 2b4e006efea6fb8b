"""The official evaluator of 2024: every habit, with numbers derived by hand.

Most maps are rows of voxels, (1, 1, n). In a row the 6-neighbour erosion leaves nothing, because
the border of the array is outside; so the band is the fragment and one voxel on either side.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation, binary_erosion, generate_binary_structure
from scipy.spatial.distance import cdist

from FractureSegmentationLib.anatomy.numbering import FRACSEG, PENGWIN_2024, Numbering
from FractureSegmentationLib.evaluation.figures import CaseFigures, ScoreRequest, ScoreSettings
from FractureSegmentationLib.evaluation.pengwin2024 import (
    SAMPLED_POINTS,
    band_indices,
    sampled,
    score_pengwin2024,
)
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import LabelArray, Spacing
from FractureSegmentationLib.volume import LabelVolume


def a_row(*pieces: tuple[int, int]) -> LabelArray:
    """A row of (label, voxels)."""
    labels = np.repeat([p[0] for p in pieces], [p[1] for p in pieces]).astype(np.uint16)
    return labels.reshape(1, 1, -1)


def score(
    prediction: LabelArray,
    truth: LabelArray,
    spacing_mm: Spacing = (1.0, 1.0, 1.0),
    numberings: tuple[Numbering, Numbering] = (PENGWIN_2024, PENGWIN_2024),
    *,
    with_distances: bool = True,
) -> CaseFigures:
    geometry = Geometry(shape=truth.shape, spacing_mm=spacing_mm)
    return score_pengwin2024(
        ScoreRequest(
            prediction=LabelVolume(voxels=prediction, geometry=geometry),
            truth=LabelVolume(voxels=truth, geometry=geometry),
            prediction_numbering=numberings[0],
            truth_numbering=numberings[1],
            settings=ScoreSettings(with_distances=with_distances),
        )
    )


def test_one_prediction_may_stand_for_several_true_fragments() -> None:
    """Truth 1 and 2 of 10 voxels each, one prediction over both: IoU 10/20 twice, not once."""
    figures = score(a_row((7, 20)), a_row((1, 10), (2, 10)))

    assert figures.values["fragment_iou"] == 0.5
    assert [f.prediction for f in figures.bones[0].fragments] == [7, 7]


def test_of_predictions_with_the_same_iou_the_lowest_label_is_taken() -> None:
    figures = score(a_row((9, 5), (4, 5)), a_row((1, 10)))

    assert figures.bones[0].fragments[0].prediction == 4
    assert figures.values["fragment_iou"] == 0.5


def test_surplus_predictions_cost_nothing() -> None:
    figures = score(a_row((1, 10), (2, 30), (15, 30)), a_row((1, 10), (0, 60)))

    assert figures.values["fragment_iou"] == 1.0
    assert figures.values["fragment_hd95_mm"] == 0.0


def test_a_bone_without_any_prediction_is_left_out_silently_but_noted() -> None:
    """Of the sacrum nothing is predicted: the mean is that of the left hip alone."""
    figures = score(a_row((0, 10), (11, 10)), a_row((1, 10), (11, 10)))

    sacrum = figures.bones[0]
    assert figures.values["fragment_iou"] == 1.0
    assert figures.values["left_out"] == 1
    assert math.isnan(sacrum.values["fragment_iou"])
    assert sacrum.fragments[0].values == {}
    assert "sacrum: nothing predicted; true fragments left out: 1." in figures.notes


def test_a_fragment_without_overlap_costs_its_radius_in_voxels_whatever_the_spacing() -> None:
    """A rod of 5 voxels reaches 2 voxels from its middle: HD95 4, ASSD 2, though a voxel is 3 mm.

    The clean protocol would say 12 and 6 mm.
    """
    figures = score(
        a_row((0, 5), (0, 5), (2, 5)), a_row((1, 5), (0, 10)), spacing_mm=(3.0, 3.0, 3.0)
    )

    assert figures.values["fragment_iou"] == 0.0
    assert figures.values["fragment_hd95_mm"] == 4.0
    assert figures.values["fragment_assd_mm"] == 2.0
    assert figures.bones[0].fragments[0].prediction == 0


def test_case_figure_is_the_mean_over_fragments_not_over_bones() -> None:
    """Sacrum 1.0; left hip 11, 12, 13 each half predicted: (1 + 3 * 0.5) / 4, over bones 0.75."""
    truth = a_row((1, 10), (11, 10), (12, 10), (13, 10))
    half = [(label, 5) for label in (11, 0, 12, 0, 13, 0)]

    assert score(a_row((1, 10), *half), truth).values["fragment_iou"] == 0.625


def test_predictions_of_another_bone_never_match() -> None:
    """The left hip is predicted as right: the range of the left is empty, so it is left out."""
    figures = score(a_row((21, 10), (1, 10)), a_row((11, 10), (1, 10)))

    assert figures.values["fragment_iou"] == 1.0
    assert figures.bones[1].values["left_out"] == 1


def test_distances_run_between_bands_of_two_voxels_in_millimetres() -> None:
    """Truth at 2..5, prediction at 4..7, 2 mm steps; bands 1..6 and 3..8.

    From 1..6 it is 2, 1, 0, 0, 0, 0 voxels: 4, 2, 0, 0, 0, 0 mm. Mean 1 mm; the 95th percentile
    lies at 4.75 of the ranks 0..5, 2 + 0.75 * 2 = 3.5 mm. The other way round it is the same.
    """
    truth = a_row((0, 2), (1, 4), (0, 4))
    prediction = a_row((0, 4), (1, 4), (0, 2))

    figures = score(prediction, truth, spacing_mm=(1.0, 1.0, 2.0))

    assert figures.values["fragment_iou"] == pytest.approx(2 / 6)
    assert figures.values["fragment_hd95_mm"] == pytest.approx(3.5)
    assert figures.values["fragment_assd_mm"] == pytest.approx(1.0)


def test_assd_is_the_mean_of_the_directed_means_and_hd95_the_larger_percentile() -> None:
    """Truth at 5, prediction at 5..9; bands 4..6 and 4..10.

    From the truth all is 0. From the prediction 0, 0, 0, 1, 2, 3, 4: mean 10/7, 95th percentile at
    5.7 of the ranks 0..6, 3.7. ASSD (0 + 10/7) / 2; all ten pooled would be 1.0.
    """
    truth = a_row((0, 5), (1, 1), (0, 6))
    prediction = a_row((0, 5), (1, 5), (0, 2))

    figures = score(prediction, truth)

    assert figures.values["fragment_hd95_mm"] == pytest.approx(3.7)
    assert figures.values["fragment_assd_mm"] == pytest.approx(5 / 7)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        # Erosion leaves 1 of 27; dilation adds six faces of 9: 27 + 54 - 1.
        (2, 80),
        # In the corner of the array three faces have nothing to grow into: 27 + 27 - 1.
        (0, 53),
    ],
)
def test_band_is_the_dilation_without_the_erosion(start: int, expected: int) -> None:
    cube = np.zeros((7, 7, 7), bool)
    cube[start : start + 3, start : start + 3, start : start + 3] = True

    assert len(band_indices(cube)) == expected


def test_more_than_ten_thousand_points_are_drawn_with_replacement_always_alike() -> None:
    """numpy promises that the draws of its Mersenne Twister for a seed never change."""
    points = np.arange(20_000)[:, None] * np.ones((1, 3), np.int64)

    drawn = sampled(points)

    expected = np.random.RandomState(2024).choice(20_000, size=10_000, replace=True)
    assert len(drawn) == SAMPLED_POINTS == 10_000
    assert len(np.unique(drawn[:, 0])) < 10_000
    assert np.array_equal(drawn[:, 0], expected)
    assert drawn[:5, 0].tolist() == FIRST_DRAWS
    assert np.array_equal(sampled(points[:10_000]), points[:10_000])


FIRST_DRAWS = [7816, 19962, 19040, 2688, 14875]


def a_plate() -> LabelArray:
    """A plate of 80 x 80 voxels: its band has 3 * 6400 + 4 * 80 = 19,520 points."""
    plate = np.zeros((5, 84, 84), np.uint16)
    plate[2, 2:82, 2:82] = 1
    return plate


def test_large_fragments_are_equal_only_to_themselves() -> None:
    """One voxel less changes which points are drawn; true distances would have a mean near 0."""
    plate = a_plate()
    nicked = plate.copy()
    nicked[2, 2, 2] = 0

    assert score(plate, plate).values["fragment_assd_mm"] == 0.0
    assert score(nicked, plate).values["fragment_assd_mm"] > 0.1


def test_anatomical_figures_merge_the_fragments_of_a_bone() -> None:
    """All three bones are right, though the fragments of the sacrum are exchanged."""
    truth = a_row((1, 10), (2, 6), (0, 4), (11, 10), (0, 4), (21, 10))
    prediction = a_row((1, 3), (2, 13), (0, 4), (11, 10), (0, 4), (21, 10))

    figures = score(prediction, truth)

    assert figures.values["anatomical_iou"] == 1.0
    assert figures.values["anatomical_hd95_mm"] == 0.0
    assert figures.values["anatomical_assd_mm"] == 0.0


def test_anatomical_mean_is_always_over_three_bones_absent_ones_being_endless() -> None:
    """Sacrum 1, both hips absent on both sides: IoU (1 + 0 + 0) / 3, distances infinite."""
    figures = score(a_row((1, 10)), a_row((1, 10)))

    assert figures.values["anatomical_iou"] == pytest.approx(1 / 3)
    assert figures.values["anatomical_hd95_mm"] == math.inf
    assert figures.values["anatomical_assd_mm"] == math.inf
    assert [bone.bone for bone in figures.bones] == ["sacrum", "left_hip", "right_hip"]
    assert any("left_hip: not in the truth" in note for note in figures.notes)


def test_a_case_with_nothing_to_compare_has_no_fragment_figures() -> None:
    """The official evaluator divides by zero here."""
    figures = score(a_row((0, 10)), a_row((1, 10)))

    assert math.isnan(figures.values["fragment_iou"])
    assert any("official evaluator stops" in note for note in figures.notes)


def test_our_numbering_may_be_compared_with_theirs_and_other_bones_are_not_looked_at() -> None:
    """Left hip 51 is 11; a left femur (151) is no bone of this challenge."""
    figures = score(
        a_row((51, 10), (151, 10)), a_row((11, 10), (0, 10)), numberings=(FRACSEG, PENGWIN_2024)
    )

    assert figures.values["fragment_iou"] == 1.0
    assert "Not looked at by this protocol: left_femur." in figures.notes


def test_distances_may_be_left_out() -> None:
    figures = score(a_row((1, 10)), a_row((1, 10)), with_distances=False)

    assert figures.values["fragment_iou"] == 1.0
    assert math.isnan(figures.values["fragment_hd95_mm"])
    assert math.isnan(figures.values["anatomical_assd_mm"])


def reference(prediction: LabelArray, truth: LabelArray, spacing_mm: Spacing) -> list[float]:
    """IoU, HD95, ASSD of label 1 against label 1 in the plainest form: whole volumes, all pairs."""
    cross = generate_binary_structure(3, 1)
    masks = [prediction == 1, truth == 1]
    clouds = [
        np.argwhere(binary_dilation(mask, cross) & ~binary_erosion(mask, cross)) * spacing_mm
        for mask in masks
    ]
    pairs = cdist(*clouds).astype(np.float32)
    nearest = pairs.min(axis=0), pairs.min(axis=1)
    return [
        (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum(),
        max(np.percentile(side, 95) for side in nearest),
        sum(side.mean() for side in nearest) / 2,
    ]


_MAPS = arrays(np.uint16, (4, 5, 6), elements=st.sampled_from([0, 1]))


@given(prediction=_MAPS, truth=_MAPS)
def test_figures_equal_those_of_the_plainest_form(
    prediction: LabelArray, truth: LabelArray
) -> None:
    assume((prediction & truth).any())
    spacing_mm = (2.5, 0.75, 1.0)

    figures = score(prediction, truth, spacing_mm)

    names = ("fragment_iou", "fragment_hd95_mm", "fragment_assd_mm")
    assert [figures.values[name] for name in names] == pytest.approx(
        reference(prediction, truth, spacing_mm), rel=1e-6, abs=1e-6
    )
