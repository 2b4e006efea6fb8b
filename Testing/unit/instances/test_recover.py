"""Recovery as a whole: phantoms with a perfect map, imperfect maps, and what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, find_objects, gaussian_filter
from scipy.ndimage import label as scipy_label

from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.recover import recover_fragments
from FractureSegmentationLib.instances.result import Recovery
from FractureSegmentationLib.types import LabelArray, Spacing

MM: Spacing = (1.0, 1.0, 1.0)
PAPER = RecoveryConfig(mode="paper")


def recovered(
    fragments: LabelArray, spacing_mm: Spacing = MM, config: RecoveryConfig | None = None
) -> Recovery:
    """What recovery makes of the perfect map of these fragments."""
    classes = bicm.encode(fragments, spacing_mm)
    boundary, interior, contact = ((classes == c).astype(np.float32) for c in (1, 2, 3))
    return recover_fragments(
        boundary, interior, contact, fragments > 0, spacing_mm, config or RecoveryConfig()
    )


def share_equal(actual: LabelArray, truth: LabelArray) -> float:
    """Share of bone voxels with the right label once recovered labels are matched by majority."""
    bone = truth > 0
    hits = 0
    for label in np.unique(actual[bone]):
        hits += int(np.bincount(truth[(actual == label) & bone]).max())
    return hits / int(bone.sum())


def two_boxes() -> LabelArray:
    fragments = np.zeros((30, 30, 64), np.uint8)
    fragments[5:25, 5:25, 4:40] = 1
    fragments[5:25, 5:25, 40:60] = 2
    return fragments


def test_two_touching_boxes_are_told_apart_exactly_and_numbered_by_volume() -> None:
    fragments = two_boxes()

    actual = recovered(fragments)

    np.testing.assert_array_equal(actual.labels, fragments)
    (interface,) = actual.interfaces
    assert interface.area_mm2 == pytest.approx(400.0)
    assert interface.mean_contact == pytest.approx(1.0)
    assert actual.joined == ()
    assert actual.unseparated == ()


def test_labels_follow_volume_not_place() -> None:
    fragments = two_boxes()
    fragments[fragments > 0] = 3 - fragments[fragments > 0]

    actual = recovered(fragments[:, :, ::-1])

    assert actual.labels[15, 15, 30] == 1
    assert actual.labels[15, 15, 5] == 2


def shaft_with_a_ring_of_contact(probability: float) -> tuple[LabelArray, np.ndarray]:
    """A shaft of radius 13 mm, 130 mm long, broken in the middle; contact shows in the cortex only.

    Contact is missed within 7 mm of the axis: of the 531 mm² between the two fragments the outer
    377 mm² show it, with this probability.
    """
    z, y, x = np.meshgrid(np.arange(140), np.arange(32), np.arange(32), indexing="ij")
    radius = np.hypot(y - 15.5, x - 15.5)
    bone = (radius < 13.0) & (z >= 5) & (z < 135)
    fragments = np.where(bone, 1 + (z >= 70), 0).astype(np.uint8)
    ring = bone & (np.abs(z - 69.5) < 2.0) & (radius > 7.0)
    return fragments, np.where(ring, probability, 0.0).astype(np.float32)


@pytest.mark.parametrize(("marrow_weight", "count"), [(0.3, 2), (1.0, 1)])
def test_a_fracture_that_shows_in_the_cortex_alone_is_found(
    marrow_weight: float, count: int
) -> None:
    """0.71 of the face shows contact at 0.45: a support of 0.32, and 0.35 are needed.

    With marrow (beyond 5 mm, 201 mm² of the face) at 0.3 it is 155 of 390 mm², or 0.40.
    """
    fragments, contact = shaft_with_a_ring_of_contact(0.45)
    bone = fragments > 0
    interior = np.where(bone, 1.0 - contact, 0.0).astype(np.float32)

    actual = recover_fragments(
        np.zeros_like(contact),
        interior,
        contact,
        bone,
        MM,
        RecoveryConfig(marrow_weight=marrow_weight),
    )

    assert actual.count == count
    if count == 2:
        assert share_equal(actual.labels, fragments) > 0.98


@pytest.mark.parametrize("spacing_mm", [(3.0, 0.8, 0.8), (0.8, 0.8, 2.0), (0.7, 1.4, 1.0)])
def test_anisotropic_grids_divide_where_the_isotropic_one_does(spacing_mm: Spacing) -> None:
    """A cylinder of 24 mm cut obliquely, sampled on each grid."""
    shape = [round(60.0 / s) for s in spacing_mm]
    z, y, x = (np.arange(n) * s for n, s in zip(shape, spacing_mm, strict=True))
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    bone = ((y - 30) ** 2 + (x - 30) ** 2 < 12.0**2) & (z > 2) & (z < 58)
    fragments = np.where(bone, 1 + (z - 25 > 0.5 * (x - 30)), 0).astype(np.uint8)

    actual = recovered(fragments, spacing_mm)

    assert actual.count == 2
    assert share_equal(actual.labels, fragments) > 0.98


def test_a_thin_plate_in_one_piece_stays_in_one_piece() -> None:
    """A curved plate of 2 mm with a hole, as an iliac wing has."""
    y, x = np.meshgrid(np.arange(70.0), np.arange(60.0), indexing="ij")
    height = 12.0 + 6.0 * np.sin(y / 15.0) + 4.0 * np.cos(x / 11.0)
    k = np.arange(30.0)[:, None, None]
    plate = (np.abs(k - height) <= 1.0) & ((y - 30) ** 2 + (x - 30) ** 2 > 8.0**2)

    actual = recovered(plate.astype(np.uint8))

    assert actual.count == 1
    assert np.array_equal(actual.labels > 0, plate)


def test_a_thin_plate_in_two_pieces_is_divided() -> None:
    fragments = np.zeros((10, 40, 60), np.uint8)
    fragments[4:7, 2:38, 2:25] = 1
    fragments[4:7, 2:38, 25:58] = 2

    actual = recovered(fragments)

    assert actual.count == 2
    assert share_equal(actual.labels, fragments) == 1.0


def comminuted(seed: int) -> LabelArray:
    """A block of 40 x 40 x 50 mm in 6 cells, the smallest about 1 cm³."""
    rng = np.random.default_rng(seed)
    grid = np.argwhere(np.ones((40, 40, 50), bool))
    centres = np.array([[a, b, c] for a in (10, 30) for b in (20,) for c in (8, 25, 42)], float)
    centres += rng.uniform(-4.0, 4.0, centres.shape)
    nearest = np.square(grid[:, None] - centres[None]).sum(axis=2).argmin(axis=1) + 1
    return np.pad(nearest.reshape(40, 40, 50), 3).astype(np.uint8)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_comminuted_block_comes_back_whole_by_the_default_mode(seed: int) -> None:
    fragments = comminuted(seed)

    actual = recovered(fragments)

    assert actual.count == 6
    assert share_equal(actual.labels, fragments) > 0.98


def test_paper_mode_equals_the_published_steps_written_plainly() -> None:
    fragments = comminuted(3)
    spacing_mm = (1.2, 0.8, 1.0)
    classes = bicm.encode(fragments, spacing_mm)
    far = distance_transform_edt(classes != 3, sampling=spacing_mm) > 5.0
    components, _ = scipy_label((classes == 2) & far, np.ones((3, 3, 3)))
    for label, box in enumerate(find_objects(components), start=1):
        sides = [(b.stop - b.start) * s for b, s in zip(box, spacing_mm, strict=True)]
        if np.linalg.norm(sides) < 5.0:
            components[components == label] = 0
    nearest = distance_transform_edt(
        components == 0, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    expected = np.where(fragments > 0, components[tuple(nearest)], 0)

    actual = recovered(fragments, spacing_mm, PAPER).labels

    assert actual.max() == len(np.unique(expected)) - 1
    for label in np.unique(expected)[1:]:
        assert len(np.unique(actual[expected == label])) == 1
    sizes = np.bincount(actual.ravel())[1:]
    assert list(sizes) == sorted(sizes, reverse=True)


def test_a_hole_in_the_contact_is_closed_and_reported_as_less_support() -> None:
    fragments = two_boxes()
    classes = bicm.encode(fragments, MM)
    classes[11:16, 11:16, 36:44] = bicm.INTERIOR
    boundary, interior, contact = ((classes == c).astype(np.float32) for c in (1, 2, 3))

    actual = recover_fragments(boundary, interior, contact, fragments > 0, MM)

    assert actual.count == 2
    assert share_equal(actual.labels, fragments) > 0.99
    assert 0.85 < actual.interfaces[0].support < 1.0


def test_the_interface_follows_contact_not_the_middle_between_interiors() -> None:
    """Boundary at 15..39 leaves a long way to grow; the middle of it is 27, contact is at 12..14.
    The front from the left needs 3 x 51 for the contact, the other one 25 for all the boundary."""
    bone = np.ones((12, 12, 60), bool)
    contact, boundary = np.zeros(bone.shape), np.zeros(bone.shape)
    contact[:, :, 12:15] = 1.0
    boundary[:, :, 15:40] = 1.0
    interior = 1.0 - contact - boundary

    actual = recover_fragments(
        boundary, interior, contact, bone, MM, RecoveryConfig(contact_cost=50.0)
    )

    assert actual.count == 2
    row = actual.labels[6, 6]
    assert (row[:12] == row[0]).all()
    assert (row[15:] == row[59]).all()


def test_contact_that_does_not_cut_through_divides_nothing_and_is_reported() -> None:
    """A sheet over half of the cross-section: bone runs on beside it, 1.5 cm² may be a fracture."""
    bone = np.zeros((36, 26, 70), bool)
    bone[3:33, 3:23, 3:67] = True
    contact = np.zeros(bone.shape, np.float32)
    contact[3:13, 3:23, 32:38] = 1.0
    interior = np.where(bone, 1.0 - contact, 0.0)

    actual = recover_fragments(np.zeros(bone.shape), interior, contact, bone, MM)

    assert actual.count == 1
    (ridge,) = actual.unseparated
    assert ridge.label == 1
    assert 150.0 < ridge.area_mm2 < 320.0
    assert 3 <= ridge.centroid_kji[0] < 13


def test_faint_contact_does_not_invent_a_fracture() -> None:
    bone = two_boxes() > 0
    contact = np.zeros(bone.shape, np.float32)
    contact[:, :, 36:42] = 0.4
    contact[~bone] = 0.0

    actual = recover_fragments(np.zeros(bone.shape), bone - contact, contact, bone, MM)

    assert actual.count == 1


def test_an_empty_prediction_leaves_one_fragment_per_piece() -> None:
    bone = two_boxes() > 0
    bone[:, :, 30:33] = False
    nothing = np.zeros(bone.shape, np.float32)

    actual = recover_fragments(nothing, nothing, nothing, bone, MM)
    paper = recover_fragments(nothing, nothing, nothing, bone, MM, PAPER)

    assert actual.count == 2
    assert np.array_equal(actual.labels > 0, bone)
    assert paper.count == 1


def test_a_prediction_of_nan_counts_as_empty() -> None:
    bone = two_boxes() > 0
    broken = np.full(bone.shape, np.nan, np.float32)

    assert recover_fragments(broken, broken, broken, bone, MM).count == 1


def test_a_bone_of_one_voxel_is_one_fragment_and_no_bone_is_none() -> None:
    bone = np.zeros((3, 3, 3), bool)
    nothing = np.zeros(bone.shape, np.float32)
    assert recover_fragments(nothing, nothing, nothing, bone, MM).count == 0

    bone[1, 1, 1] = True
    actual = recover_fragments(nothing, nothing, nothing, bone, MM)
    assert actual.labels[1, 1, 1] == actual.labels.sum() == 1


def test_small_pieces_join_and_large_ones_stay() -> None:
    """4 x 31 = 124 voxels apart from the bone join it; 125 stay a fragment."""
    bone = np.zeros((20, 20, 64), bool)
    bone[2:18, 2:18, 2:30] = True
    bone[4:8, 4, 31:62] = True
    interior = bone.astype(np.float32)
    nothing = np.zeros(bone.shape, np.float32)

    actual = recover_fragments(nothing, interior, nothing, bone, MM)

    assert actual.count == 1
    (piece,) = actual.joined
    assert (piece.volume_mm3, piece.into) == (124.0, 1)
    assert piece.centroid_kji == (5.5, 4.0, 46.0)
    bone[8, 4, 40] = True
    assert recover_fragments(nothing, bone * 1.0, nothing, bone, MM).count == 2


def test_places_are_given_on_the_grid_that_came_in() -> None:
    """The same bone moved by (5, 7, 9) moves the joined piece and nothing else."""
    bone = np.zeros((12, 12, 30), bool)
    bone[0:8, 0:8, 0:20] = bone[0, 0, 25] = True
    moved = np.zeros((30, 30, 60), bool)
    moved[5:17, 7:19, 9:39] = bone

    here, there = (
        recover_fragments(m * 0.0, m * 1.0, m * 0.0, m, MM).joined[0] for m in (bone, moved)
    )

    assert np.subtract(there.centroid_kji, here.centroid_kji).tolist() == [5.0, 7.0, 9.0]


def test_grids_that_differ_are_refused() -> None:
    one = np.zeros((3, 3, 3), np.float32)
    with pytest.raises(ValueError, match="one grid"):
        recover_fragments(one, one, one[:2], np.ones((3, 3, 3), bool), MM)


@given(seed=st.integers(0, 10_000), mode=st.sampled_from(["hierarchical", "paper"]))
def test_whatever_the_network_says_every_bone_voxel_has_one_label(seed: int, mode: str) -> None:
    """Random maps: the labels are 1..n by falling volume, fill the bone, and nothing is edited."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(4, 14, 16, 18)), (0, 1.5, 1.5, 1.5)) * 12.0
    maps = np.exp(noise) / np.exp(noise).sum(axis=0)
    bone = gaussian_filter(rng.normal(size=(14, 16, 18)), 2.0) > -0.02
    before = maps.copy()

    actual = recover_fragments(
        maps[1], maps[2], maps[3], bone, (1.4, 0.9, 1.1), RecoveryConfig(mode=mode)
    )

    assert np.array_equal(actual.labels > 0, bone)
    sizes = np.bincount(actual.labels.ravel())[1:]
    assert (sizes > 0).all()
    assert list(sizes) == sorted(sizes, reverse=True)
    assert all(1 <= piece.into <= actual.count for piece in actual.joined)
    assert np.array_equal(maps, before)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirrored_maps_give_mirrored_fragments(axis: int) -> None:
    """Up to the voxels of interfaces, which ties decide."""
    fragments = comminuted(0)

    actual = recovered(np.flip(fragments, axis))

    assert actual.count == 6
    assert share_equal(np.flip(actual.labels, axis), recovered(fragments).labels) > 0.99
