"""Cropping a pair to what is labelled changes no figure of any protocol."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.numbering import PENGWIN_2024
from FractureSegmentationLib.evaluation.figures import Protocol, ScoreRequest
from FractureSegmentationLib.evaluation.labels import cropped_to_labels
from FractureSegmentationLib.evaluation.run import PROTOCOLS, protocol_named
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import LabelVolume

SHAPE = (12, 14, 40)


def a_volume(voxels: np.ndarray) -> LabelVolume:
    geometry = Geometry(shape=SHAPE, spacing_mm=(5.0, 4.0, 2.0), origin_lps_mm=(7.0, 8.0, 9.0))
    return LabelVolume(voxels=voxels.astype(np.uint16), geometry=geometry)


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[LabelVolume, LabelVolume]:
    """Sacrum 1 and 2, left hip 11, right hip 21; one side touches the border of the array."""
    truth = np.zeros(SHAPE, np.uint16)
    truth[3:9, 0:8, 5:12], truth[3:9, 0:8, 12:18] = 1, 2
    truth[4:9, 2:9, 20:26], truth[4:9, 2:9, 28:34] = 11, 21
    prediction = np.roll(truth, 1, axis=2)
    prediction[rng.random(SHAPE) < 0.05] = 0
    return a_volume(prediction), a_volume(truth)


def test_the_box_is_what_either_labels_and_one_voxel_more_as_far_as_there_is_one(
    pair: tuple[LabelVolume, LabelVolume],
) -> None:
    prediction, truth = cropped_to_labels(*pair)

    assert truth.voxels.shape == prediction.voxels.shape == (8, 10, 32)
    # Voxel (2, 0, 4) comes first: x = 7 + 4 * 2, y = 8, z = 9 + 2 * 5.
    assert truth.geometry.origin_lps_mm == pytest.approx((15.0, 8.0, 19.0))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_no_figure_changes(pair: tuple[LabelVolume, LabelVolume], protocol: Protocol) -> None:
    whole, cropped = (
        protocol.score(
            ScoreRequest(
                prediction=prediction,
                truth=truth,
                prediction_numbering=PENGWIN_2024,
                truth_numbering=PENGWIN_2024,
            )
        )
        for prediction, truth in (pair, cropped_to_labels(*pair))
    )

    assert dict(cropped.values) == pytest.approx(dict(whole.values), nan_ok=True)
    assert whole.values[protocol.primary] > 0.1


def test_empty_pairs_stay_as_they_are_and_other_grids_are_refused() -> None:
    empty = a_volume(np.zeros(SHAPE))
    other = LabelVolume(
        voxels=np.zeros((2, 2, 2), np.uint8),
        geometry=Geometry(shape=(2, 2, 2), spacing_mm=(1.0, 1.0, 1.0)),
    )

    assert cropped_to_labels(empty, empty) == (empty, empty)
    with pytest.raises(ValueError, match="different grids"):
        cropped_to_labels(empty, other)


def test_protocols_are_known_by_name() -> None:
    assert [protocol_named(p.name) for p in PROTOCOLS] == list(PROTOCOLS)
    assert [p.name for p in PROTOCOLS if p.is_reconstructed] == ["pengwin2026"]
    with pytest.raises(ValueError, match="clean, pengwin2024, pengwin2026"):
        protocol_named("pengwin2025")
