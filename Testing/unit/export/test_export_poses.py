"""Label maps after a plan: where voxels go, what overlaps, what leaves the grid."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.export.formats import in_one_layer, write_label_table
from FractureSegmentationLib.export.poses import move_labels, moving_poses
from FractureSegmentationLib.export.surfaces import posed_models
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.planning.pose import Pose
from FractureSegmentationLib.results.layers import LayeredLabels, LayeredSegment, one_layer
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import LabelVolume


def a_segment(label: int) -> Segment:
    return Segment(id=f"s{label}", name=f"S{label}", label_value=label, color=(1.0, 0.0, 0.0))


def a_segmentation(voxels: LabelArray, geometry: Geometry | None = None) -> LayeredLabels:
    volume = LabelVolume(
        voxels=voxels,
        geometry=geometry
        or Geometry(
            shape=voxels.shape, spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(-10.0, -10.0, 0.0)
        ),
    )
    return one_layer(volume, [a_segment(label) for label in volume.values()])


def a_shift(x: float, y: float, z: float) -> Pose:
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def a_turn(degrees: float, centre_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Pose:
    """About the axis towards Superior through a point."""
    pose = np.eye(4)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    pose[:2, :2] = [[c, -s], [s, c]]
    pose[:3, 3] = np.asarray(centre_lps_mm) - pose[:3, :3] @ centre_lps_mm
    return pose


def test_three_steps_along_i_of_an_oblique_grid_move_a_voxel_three_indices(
    fragments: LabelVolume,
) -> None:
    """3 · 0.75 mm along (0.6, 0.8, 0)."""
    before = one_layer(fragments, [a_segment(51), a_segment(52)])

    moved = move_labels(before, {"s52": a_shift(1.35, 1.8, 0.0)})

    (layer,) = moved.labels.layers
    assert np.argwhere(layer.voxels == 52).tolist() == [[1, 2, 6]]
    np.testing.assert_array_equal(layer.voxels == 51, fragments.voxels == 51)
    assert layer.geometry == fragments.geometry
    assert moved.warnings == ()


def test_a_quarter_turn_takes_x_y_to_minus_y_x() -> None:
    """Voxel (2, 12, 15) lies at x = 5, y = 2, so it goes to x = -2, y = 5: (2, 15, 8)."""
    voxels = np.zeros((4, 30, 30), np.uint8)
    voxels[2, 12, 15] = 1

    moved = move_labels(a_segmentation(voxels), {"s1": a_turn(90)})

    assert np.argwhere(moved.labels.layers[0].voxels).tolist() == [[2, 15, 8]]


def test_a_shift_of_less_than_half_a_voxel_moves_nothing_and_of_more_one_voxel() -> None:
    voxels = np.zeros((3, 5, 5), np.uint8)
    voxels[1, 2, 2] = 1

    for millimetres, index in ((0.49, 2), (0.51, 3)):
        moved = move_labels(a_segmentation(voxels), {"s1": a_shift(0.0, millimetres, 0.0)})
        assert np.argwhere(moved.labels.layers[0].voxels).tolist() == [[1, index, 2]]


def test_labels_and_surface_of_a_fragment_go_to_the_same_place(oblique: Geometry) -> None:
    """An L of bone, turned and shifted: the centroid of its voxels against that of its surface."""
    voxels = np.zeros(oblique.shape, np.uint16)
    voxels[4:10, 20:36, 14:18] = 7
    voxels[4:10, 30:36, 14:30] = 7
    labels = a_segmentation(voxels, oblique)
    pose = a_turn(25, (10.0, 2.0, 40.0)) @ a_shift(-1.0, 0.7, 2.0)

    moved = move_labels(labels, {"s7": pose})
    (model,) = posed_models(labels, {"s7": pose})

    after = moved.labels.layers[0].voxels == 7
    centre = oblique.to_lps(np.argwhere(after).mean(axis=0))
    corners = model.surface.corners_lps_mm
    volumes = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    surface_centre = (corners.sum(axis=1) / 4.0 * volumes[:, None]).sum(axis=0) / volumes.sum()
    np.testing.assert_allclose(centre, surface_centre, atol=0.2)
    assert np.count_nonzero(after) == pytest.approx(np.count_nonzero(voxels), rel=0.03)
    assert moved.warnings == ()


def test_fragments_that_overlap_are_told_and_keep_all_their_voxels() -> None:
    """Two bars of 4 voxels; the second comes to lie over half of the first: 2 mm³."""
    voxels = np.zeros((3, 8, 8), np.uint8)
    voxels[1, 2, 0:4] = 1
    voxels[1, 5, 2:6] = 2

    moved = move_labels(a_segmentation(voxels), {"s2": a_shift(0.0, -3.0, 0.0)})

    assert moved.warnings == ("S1 and S2 overlap by 2 mm³ in the plan.",)
    first, second = moved.labels.layers
    assert np.argwhere(first.voxels == 1)[:, 2].tolist() == [0, 1, 2, 3]
    assert np.argwhere(second.voxels == 2).tolist() == [[1, 2, i] for i in (2, 3, 4, 5)]
    assert [one.layer for one in moved.labels.segments] == [0, 1]


def test_fragments_that_change_places_do_not_overlap() -> None:
    voxels = np.zeros((3, 6, 6), np.uint8)
    voxels[1, 1, 1], voxels[1, 4, 1] = 1, 2

    moved = move_labels(a_segmentation(voxels), {"s1": a_shift(0, 3, 0), "s2": a_shift(0, -3, 0)})

    (layer,) = moved.labels.layers
    assert (layer.voxels[1, 1, 1], layer.voxels[1, 4, 1]) == (2, 1)
    assert moved.warnings == ()


def test_what_leaves_the_grid_is_cut_off_and_told() -> None:
    """Of a bar of 4 voxels at i = 2 to 5 of 8, three steps leave 3 inside."""
    voxels = np.zeros((3, 4, 8), np.uint8)
    voxels[1, 1, 2:6] = 1

    moved = move_labels(a_segmentation(voxels), {"s1": a_shift(3.0, 0.0, 0.0)})

    assert np.argwhere(moved.labels.layers[0].voxels)[:, 2].tolist() == [5, 6, 7]
    assert moved.warnings == (
        "S1: 25 % of it leave the grid of the CT in the plan and are cut off.",
    )


def test_a_fragment_that_leaves_the_grid_altogether_leaves_nothing() -> None:
    voxels = np.zeros((3, 4, 8), np.uint8)
    voxels[1, 1, 2], voxels[2, 2, 2] = 1, 2

    moved = move_labels(a_segmentation(voxels), {"s1": a_shift(-5000.0, 0.0, 0.0)})

    assert moved.labels.layers[0].values() == (2,)
    assert moved.warnings[0].startswith("S1: 100 %")


def test_overlapping_fragments_of_one_label_image_stay_with_the_first() -> None:
    voxels = np.zeros((3, 8, 8), np.uint8)
    voxels[1, 2, 0:4] = 1
    voxels[1, 5, 2:6] = 2
    moved = move_labels(a_segmentation(voxels), {"s2": a_shift(0.0, -3.0, 0.0)})

    labels, warnings = in_one_layer(moved.labels)

    (layer,) = labels.layers
    assert layer.voxels[1, 2].tolist() == [1, 1, 1, 1, 2, 2, 0, 0]
    assert warnings == ()


def test_label_values_that_two_layers_share_are_told_apart(tmp_path: Path) -> None:
    """Labels 1 and 2, and another 1 in the second layer, which gets the free 3."""
    voxels = np.zeros((2, 3, 3), np.uint8)
    geometry = Geometry(shape=voxels.shape, spacing_mm=(1.0, 1.0, 1.0))
    first, second = voxels.copy(), voxels.copy()
    first[0, 0, 0], first[0, 0, 1], second[1, 1, 1] = 1, 2, 1
    odd = Segment(id="x", name='chip, "loose"', label_value=1, color=(0.0, 0.0, 1.0))
    layered = LayeredLabels(
        layers=tuple(LabelVolume(voxels=one, geometry=geometry) for one in (first, second)),
        segments=(
            LayeredSegment(segment=a_segment(1)),
            LayeredSegment(segment=a_segment(2)),
            LayeredSegment(segment=odd, layer=1),
        ),
    )

    labels, warnings = in_one_layer(layered)
    segments = [one.segment for one in labels.segments]
    write_label_table(tmp_path / "labels.csv", segments)

    assert labels.layers[0].voxels[1, 1, 1] == 3
    assert [one.label_value for one in segments] == [1, 2, 3]
    assert warnings == ('chip, "loose" has label 3 instead of 1, which another segment has.',)
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[3] == ["3", 'chip, "loose"', "0", "0", "255", "255"]


def test_a_moved_fragment_whose_label_is_taken_in_its_own_layer_keeps_it_in_another() -> None:
    """Both are label 1, in two layers; the moved one would collide with the other in layer 0."""
    voxels = np.zeros((2, 4, 4), np.uint8)
    geometry = Geometry(shape=voxels.shape, spacing_mm=(1.0, 1.0, 1.0))
    first, second = voxels.copy(), voxels.copy()
    first[0, 0, 0], second[0, 0, 0], second[1, 3, 3] = 1, 1, 2
    layered = LayeredLabels(
        layers=tuple(LabelVolume(voxels=one, geometry=geometry) for one in (first, second)),
        segments=(
            LayeredSegment(segment=a_segment(1)),
            LayeredSegment(
                segment=Segment(id="other", name="Other", label_value=1, color=(0, 0, 1)), layer=1
            ),
            LayeredSegment(segment=a_segment(2), layer=1),
        ),
    )

    moved = move_labels(layered, {"other": a_shift(3.0, 3.0, 1.0)})

    places = {one.segment.id: one.layer for one in moved.labels.segments}
    assert places == {"s1": 0, "other": 2, "s2": 1}
    assert np.argwhere(moved.labels.layers[2].voxels).tolist() == [[1, 3, 3]]
    assert moved.warnings == ("S2 and Other overlap by 1 mm³ in the plan.",)


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
