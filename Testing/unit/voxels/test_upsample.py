"""Labels and classes on their way to the CT grid."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.voxels.resample import resample_probability
from FractureSegmentationLib.voxels.upsample import (
    classes_to_grid,
    fill_from_nearest,
    labels_to_grid,
)


def test_the_border_between_two_labels_stays_where_it_lies() -> None:
    """Labels 1 | 2 change between 2 mm voxels 4 and 5, at 9 mm from the first centre."""
    source = Geometry(shape=(1, 1, 10), spacing_mm=(1.0, 1.0, 2.0))
    labels = np.where(np.arange(10) < 5, 1, 2).astype(np.uint16).reshape(1, 1, 10)
    target = source.resampled((1.0, 1.0, 0.5))

    fine = labels_to_grid(labels, source, target, np.ones(target.shape, bool)).ravel()

    assert fine.tolist() == [1] * 20 + [2] * 20


def test_a_slanted_border_comes_out_smoother_than_its_voxels() -> None:
    """The line i = j on a 2 mm grid: at 0.5 mm every row steps on, not every fourth."""
    source = Geometry(shape=(1, 16, 16), spacing_mm=(1.0, 2.0, 2.0))
    j, i = np.indices((16, 16))
    labels = np.where(i > j, 1, 2).astype(np.uint16)[None]
    target = source.resampled((1.0, 0.5, 0.5))

    fine = labels_to_grid(labels, source, target, np.ones(target.shape, bool))[0]

    starts = (fine == 1).argmax(axis=1)[8:48]
    assert len(np.unique(starts)) > 20


def test_every_voxel_inside_is_labelled_and_none_outside() -> None:
    source = Geometry(shape=(4, 4, 4), spacing_mm=(2.0, 2.0, 2.0))
    labels = np.zeros((4, 4, 4), np.uint16)
    labels[1, 1, 1] = 3
    target = source.resampled((1.0, 1.0, 1.0))
    inside = np.zeros(target.shape, bool)
    inside[2:4, 2:4, 2:8] = True

    fine = labels_to_grid(labels, source, target, inside)

    np.testing.assert_array_equal(fine, np.where(inside, 3, 0))


def test_the_nearest_label_is_the_nearest_in_millimetres() -> None:
    """Voxel (1, 0, 0) is 1 step (2.0 mm) from label 7 but 2 steps (1.6 mm) from label 9."""
    labels = np.zeros((2, 1, 3), np.uint16)
    labels[0, 0, 0] = 7
    labels[1, 0, 2] = 9
    filled = fill_from_nearest(labels, np.ones(labels.shape, bool), (2.0, 0.8, 0.8))
    assert filled[1, 0, 0] == 9


def test_without_any_label_nothing_is_invented() -> None:
    empty = np.zeros((2, 2, 2), np.uint16)
    assert not fill_from_nearest(empty, np.ones((2, 2, 2), bool), (1.0, 1.0, 1.0)).any()


@given(
    spacing=st.tuples(*[st.floats(0.4, 2.5)] * 3),
    seed=st.integers(0, 100),
)
def test_classes_equal_the_argmax_of_the_whole_interpolation(
    spacing: tuple[float, float, float], seed: int
) -> None:
    """The boxes are a matter of speed only, where two classes are not as probable as each other."""
    rng = np.random.default_rng(seed)
    logits = np.repeat(rng.normal(0.0, 6.0, (3, 2, 3, 2)), 3, axis=1)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    source = Geometry(shape=probabilities.shape[1:], spacing_mm=(1.5, 1.5, 1.5))
    target = source.resampled(spacing)

    whole = np.stack([resample_probability(p, source, target) for p in probabilities])
    expected = np.where(whole[0] >= 0.5, 0, 1 + whole[1:].argmax(axis=0))
    is_clear = (np.abs(whole[0] - 0.5) > 0.01) & (np.abs(whole[1] - whole[2]) > 0.06)

    found = classes_to_grid(probabilities, source, target)

    np.testing.assert_array_equal(found[is_clear], expected[is_clear])
