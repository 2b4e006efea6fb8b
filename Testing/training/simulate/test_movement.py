"""Contacts, poses, and pushing fragments apart."""

from __future__ import annotations

import numpy as np
import pytest
from broken_bones import SPACING_MM, halves
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fracseg_training.simulate.config import PoseConfig
from fracseg_training.simulate.contacts import contact_tree, find_contacts
from fracseg_training.simulate.movement import draw_movements
from fracseg_training.simulate.pattern import by_volume, join_small_pieces
from fracseg_training.simulate.pose import IDENTITY, Occupancy, Pose, draw_pose, push_apart


def test_contact_of_two_boxes_has_their_face_as_area_and_their_axis_as_normal() -> None:
    """10 x 10 faces of 1.0 x 0.5 mm: 50 mm2; the face lies at k = 11.5, 2 mm voxels: 23 mm."""
    (contact,) = find_contacts(halves(), (2.0, 1.0, 0.5))

    assert (contact.first, contact.second) == (1, 2)
    assert contact.area_mm2 == pytest.approx(50.0)
    assert contact.normal == pytest.approx([1.0, 0.0, 0.0])
    assert contact.points_mm.mean(axis=0) == pytest.approx([23.0, 6.5, 3.25])


def test_normal_runs_from_the_smaller_label_to_the_larger_whichever_comes_first() -> None:
    labels = halves()

    (contact,) = find_contacts(np.where(labels > 0, 3 - labels, 0), SPACING_MM)

    assert contact.normal == pytest.approx([-1.0, 0.0, 0.0])


def test_boxes_across_a_gap_have_no_contact() -> None:
    assert find_contacts(halves(gap=1), SPACING_MM) == []


def test_tree_hangs_each_fragment_on_the_neighbour_with_the_larger_face() -> None:
    """2 touches 1 with 100 faces; 3 touches 2 with 30 and 1 with none."""
    labels = halves()
    labels[22:24, 2:5, 2:12] = 3

    order = contact_tree(find_contacts(labels, SPACING_MM), np.bincount(labels.ravel()))

    assert [(parent, child) for parent, child, _ in order] == [(1, 2), (2, 3)]


@given(st.integers(0, 1000))
def test_undoing_a_pose_brings_every_point_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = Rotation.from_quat(rng.standard_normal(4)).as_matrix()
    pose = Pose(rotation=turn, shift_mm=rng.normal(0, 10, 3))
    points = rng.normal(0, 50, (7, 3))

    assert pose.undo(pose.apply(points)) == pytest.approx(points, abs=1e-9)


def test_pose_after_another_does_that_one_first() -> None:
    quarter = Pose(
        rotation=Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix(), shift_mm=np.zeros(3)
    )
    step = Pose(rotation=np.eye(3), shift_mm=np.array([1.0, 0.0, 0.0]))

    assert quarter.after(step).apply(np.zeros((1, 3)))[0] == pytest.approx([0.0, 1.0, 0.0])
    assert step.after(quarter).apply(np.zeros((1, 3)))[0] == pytest.approx([1.0, 0.0, 0.0])


def test_overlapping_box_is_pushed_out_along_the_normal_by_the_least_step_that_frees_it() -> None:
    """Box 2 is driven 3 mm into box 1: three layers of 100 voxels overlap, 3 mm frees all."""
    labels = halves()
    occupancy = Occupancy(np.where(labels == 1, labels, 0), SPACING_MM)
    points = np.argwhere(labels == 2).astype(float)
    driven = Pose(rotation=np.eye(3), shift_mm=np.array([-3.0, 0.0, 0.0]))
    normal = np.array([1.0, 0.0, 0.0])

    assert occupancy.overlap(driven.apply(points)) == 300
    freed = push_apart(driven, points, normal, occupancy, tolerated_voxels=0)
    bitten = push_apart(driven, points, normal, occupancy, tolerated_voxels=100)

    assert freed.shift_mm == pytest.approx([0.0, 0.0, 0.0])
    assert bitten.shift_mm[0] < -0.5
    assert occupancy.overlap(bitten.apply(points)) == 100


@pytest.mark.parametrize("seed", range(5))
def test_crease_opens_the_far_rim_and_holds_the_near_one(seed: int) -> None:
    """The fragment's side of the face moves along the normal, never into the parent."""
    (contact,) = find_contacts(halves(), SPACING_MM)
    normal = contact.normal
    pose = draw_pose("crease", contact, normal, PoseConfig(), np.random.default_rng(seed))

    opening = (pose.apply(contact.points_mm) - contact.points_mm) @ normal

    assert opening.min() > -0.2
    assert opening.max() > 0.25
    assert opening.min() < 0.35 * opening.max()


@pytest.mark.parametrize("seed", range(5))
def test_displacement_keeps_within_its_limits(seed: int) -> None:
    (contact,) = find_contacts(halves(), SPACING_MM)
    config = PoseConfig(
        displacement_sd_mm=50.0,
        rotation_sd_deg=90.0,
        max_displacement_mm=6.0,
        max_rotation_deg=8.0,
    )
    pose = draw_pose("displaced", contact, contact.normal, config, np.random.default_rng(seed))
    centre = contact.points_mm.mean(axis=0)

    assert pose.angle_deg <= 8.0 + 1e-6
    assert np.linalg.norm(pose.apply(centre[None])[0] - centre) <= np.hypot(6.0, 6.0) + 1e-6


def test_impaction_drives_the_fragment_into_its_parent() -> None:
    (contact,) = find_contacts(halves(), SPACING_MM)
    pose = draw_pose("impaction", contact, contact.normal, PoseConfig(), np.random.default_rng(0))
    centre = contact.points_mm.mean(axis=0)

    assert (pose.apply(centre[None])[0] - centre) @ contact.normal < -0.9


def test_fragment_hung_on_a_moving_one_is_carried_along() -> None:
    """Every fracture is a hairline, which opens by 0.6 mm at most, so 3 ends near where 2 went."""
    labels = halves()
    labels[22:24, 2:12, 2:12] = 3
    labels = np.pad(labels, 3)
    contacts = find_contacts(labels, SPACING_MM)
    weights = PoseConfig(mode_weights=(0.0, 0.0, 1.0, 0.0, 0.0))

    second, third = draw_movements(labels, contacts, SPACING_MM, weights, np.random.default_rng(11))

    assert (second.parent, third.parent) == (1, 2)
    assert second.pose is not IDENTITY
    relative = third.pose.rotation @ second.pose.rotation.T
    assert Rotation.from_matrix(relative).magnitude() <= np.deg2rad(15.0) + 1e-9


def test_turned_fragments_are_pushed_free_of_their_parent() -> None:
    """Rotations of 10 degrees drive an edge 1 mm into the parent; none stays, all are kept."""
    labels = np.pad(halves(), 2)
    contacts = find_contacts(labels, SPACING_MM)
    config = PoseConfig(
        mode_weights=(0, 0, 1, 0, 0),
        displacement_sd_mm=0.01,
        rotation_sd_deg=20.0,
        bite_mm=(0.0, 0.0),
    )
    angles = []
    for seed in range(8):
        (moved,) = draw_movements(labels, contacts, SPACING_MM, config, np.random.default_rng(seed))
        parent = Occupancy(labels == moved.parent, SPACING_MM)
        assert parent.overlap(moved.pose.apply(np.argwhere(labels == moved.label))) == 0
        angles.append(moved.pose.angle_deg)

    assert np.median(angles) > 7.0


def test_fragment_keeps_out_of_blocked_places() -> None:
    """A wall stands 1 mm beside the boxes; without being told, fragments slide into it."""
    labels = np.pad(halves(), 3)
    wall = np.zeros(labels.shape, bool)
    wall[:, :, 16:] = True
    contacts = find_contacts(labels, SPACING_MM)
    config = PoseConfig(mode_weights=(0, 0, 1, 0, 0), bite_mm=(0.0, 0.1))

    def entered(blocked: np.ndarray | None) -> int:
        voxels = 0
        for seed in range(8):
            (moved,) = draw_movements(
                labels, contacts, SPACING_MM, config, np.random.default_rng(seed), blocked
            )
            points = moved.pose.apply(np.argwhere(labels == moved.label))
            voxels += Occupancy(wall, SPACING_MM).overlap(points)
        return voxels

    assert entered(None) > 300
    assert entered(wall) < 0.1 * entered(None)


def test_small_piece_joins_the_neighbour_it_touches_most() -> None:
    """Piece 3 (12 voxels) touches 2 with all its voxels of one face and 1 with none."""
    labels = halves()
    labels[20:22, 2:4, 2:5] = 3

    joined = join_small_pieces(labels, 30)

    assert set(np.unique(joined)) == {0, 1, 2}
    assert (joined[20:22, 2:4, 2:5] == joined[15, 7, 7]).all()


def test_large_part_torn_off_its_label_becomes_a_label_of_its_own() -> None:
    """Label 1 lies on both sides of label 2: 1000 voxels and 200 voxels, five times 30 is 150."""
    labels = halves()
    labels[22:24, 2:12, 2:12] = 1

    assert len(np.unique(join_small_pieces(labels, 30))) == 4


def test_smaller_part_torn_off_its_label_joins_what_it_touches() -> None:
    """100 voxels, more than 30 but less than five times 30."""
    labels = halves()
    labels[22:23, 2:12, 2:12] = 1

    joined = join_small_pieces(labels, 30)

    assert len(np.unique(joined)) == 3
    assert joined[22, 5, 5] == joined[15, 5, 5]


def test_lone_crumb_is_dropped_only_on_demand() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[:10] = 1
    labels[15, 15, 15] = 1

    assert join_small_pieces(labels, 30)[15, 15, 15] == 1
    assert join_small_pieces(labels, 30, drops_lone=True)[15, 15, 15] == 0


def test_lone_crumb_with_a_label_of_its_own_takes_the_nearest_label() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[:10] = 1
    labels[15, 15, 15] = 2

    assert join_small_pieces(labels, 30)[15, 15, 15] == 1


def test_labels_are_renumbered_by_volume() -> None:
    assert by_volume(np.array([[[5, 5, 2, 0, 7, 7, 7]]])).tolist() == [[[2, 2, 3, 0, 1, 1, 1]]]
