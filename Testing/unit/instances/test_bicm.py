"""Boundary, interior, contact: classes by hand, against the direct form, and what always holds."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum_filter

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.bicm import BicmConfig, contact_mask, decode, encode
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.types import LabelArray, MaskArray
from FractureSegmentationLib.volume import FragmentMap

MM = (1.0, 1.0, 1.0)
RULES = ("adapt", "laplacian", "shift")


def contact_by_shifts(fragments: LabelArray, window: int) -> MaskArray:
    """The direct form: compare with every voxel of the cube."""
    reach = window // 2
    padded = np.pad(fragments, reach)
    contact = np.zeros(fragments.shape, bool)
    for offset in itertools.product(range(window), repeat=3):
        part = tuple(slice(o, o + n) for o, n in zip(offset, fragments.shape, strict=True))
        contact |= (padded[part] != 0) & (padded[part] != fragments) & (fragments != 0)
    return contact


def lumps(seed: int) -> LabelArray:
    rng = np.random.default_rng(seed)
    shape = (16, 18, 20)
    parts = gaussian_filter(rng.normal(size=(4, *shape)), (0, 3, 3, 3)).argmax(axis=0) + 1
    bone = gaussian_filter(rng.normal(size=shape), 3.0) > 0.0
    return np.where(bone, parts * 60, 0).astype(np.uint16)


@given(seed=st.integers(0, 10_000), window=st.sampled_from([3, 5, 7]))
def test_contact_equals_the_comparison_with_every_voxel_of_the_window(
    seed: int, window: int
) -> None:
    fragments = lumps(seed)

    np.testing.assert_array_equal(
        contact_mask(fragments, window), contact_by_shifts(fragments, window)
    )


def test_contact_reaches_three_voxels_to_each_side_and_across_a_gap() -> None:
    """Fragment 1 ends at 9, fragment 2 starts at 11: 8, 9 and 11, 12, 13 are within 3 of it."""
    fragments = np.zeros((1, 1, 24), np.uint8)
    fragments[0, 0, :10], fragments[0, 0, 11:] = 1, 2

    assert np.flatnonzero(contact_mask(fragments)).tolist() == [8, 9, 11, 12]


def test_a_block_has_a_shell_of_a_third_of_its_half_thickness() -> None:
    """A cube of 21: depths 1..11. The shell is where depth <= 0.35 x the greatest within 3 voxels,
    at most 2 mm: depth 1 of 4 (1.4 mm) is shell, depth 2 of 5 (1.75 mm) is not."""
    fragments = np.zeros((25, 25, 25), np.uint8)
    fragments[2:23, 2:23, 2:23] = 7

    middle = encode(fragments, MM)[12, 12]

    assert middle.tolist() == [0] * 2 + [1] + [2] * 19 + [1] + [0] * 2


def test_the_adaptive_shell_equals_its_formula_with_full_transforms() -> None:
    fragments = lumps(11)
    spacing_mm = (1.2, 0.8, 1.0)
    depth = np.zeros(fragments.shape)
    deepest = np.zeros(fragments.shape)
    for label in np.unique(fragments)[1:]:
        own = np.pad(fragments == label, 1)
        alone = distance_transform_edt(own, sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
        depth += alone
    deepest = maximum_filter(depth, (2 * 2 + 1, 2 * 4 + 1, 2 * 3 + 1))  # 3 mm: 2.5, 3.75, 3 voxels
    expected = (depth <= np.minimum(0.35 * deepest, 2.0)) & (fragments > 0)

    classes = encode(fragments, spacing_mm)

    clear = ~contact_mask(fragments) & (fragments > 0)
    np.testing.assert_array_equal((classes == bicm.BOUNDARY)[clear], expected[clear])


def test_a_thin_plate_keeps_its_interior_connected() -> None:
    """Two voxels of bone have depth 1 everywhere: no shell, all interior."""
    plate = np.zeros((6, 30, 30), np.uint8)
    plate[2:4, 2:28, 2:28] = 1

    assert (encode(plate, MM)[plate > 0] == bicm.INTERIOR).all()


def test_the_laplacian_rule_keeps_the_core_and_the_ridge_of_a_plate() -> None:
    """A slab of 21 mm has a deep core; the mid-plane of one of 5 mm is a ridge of its depth."""
    slab = np.zeros((25, 40, 40), np.uint8)
    slab[2:23, 2:38, 2:38] = 1
    plate = np.zeros((9, 40, 40), np.uint8)
    plate[2:7, 2:38, 2:38] = 1
    config = BicmConfig(rule="laplacian")

    in_slab, in_plate = encode(slab, MM, config), encode(plate, MM, config)

    assert in_slab[12, 20, 20] == bicm.INTERIOR
    assert in_slab[2, 20, 20] == in_slab[3, 20, 20] == bicm.BOUNDARY
    assert in_plate[4, 20, 20] == bicm.INTERIOR
    assert in_plate[2, 20, 20] == bicm.BOUNDARY


def test_the_shift_rule_peels_one_voxel() -> None:
    fragments = np.zeros((9, 9, 9), np.uint8)
    fragments[1:8, 1:8, 1:8] = 1

    classes = encode(fragments, MM, BicmConfig(rule="shift"))

    assert (classes == bicm.INTERIOR).sum() == 5**3
    assert (classes == bicm.BOUNDARY).sum() == 7**3 - 5**3


def test_contact_goes_before_boundary() -> None:
    fragments = np.ones((12, 12, 30), np.uint8)
    fragments[:, :, 15:] = 2

    classes = encode(fragments, MM)

    assert (classes[:, :, 12:18] == bicm.CONTACT).all()
    assert not (classes[:, :, :12] == bicm.CONTACT).any()


@given(seed=st.integers(0, 10_000), rule=st.sampled_from(RULES))
def test_every_fragment_keeps_interior_and_only_bone_has_a_class(seed: int, rule: Any) -> None:
    fragments = lumps(seed)

    classes = encode(fragments, (1.5, 0.7, 0.9), BicmConfig(rule=rule))

    assert classes.dtype == np.uint8
    assert np.array_equal(classes > 0, fragments > 0)
    for label in np.unique(fragments)[1:]:
        assert (classes[fragments == label] == bicm.INTERIOR).any()


def test_a_fragment_swallowed_by_contact_gets_back_what_lies_furthest_from_the_others() -> None:
    """A cube of 3 on top of a block: its far layer is 3 voxels from the block, the centre best."""
    fragments = np.zeros((20, 15, 15), np.uint8)
    fragments[:10] = 1
    fragments[10:13, 6:9, 6:9] = 2

    classes = encode(fragments, MM)

    kept = np.argwhere((classes == bicm.INTERIOR) & (fragments == 2))
    assert (12, 7, 7) in {tuple(int(v) for v in voxel) for voxel in kept}
    assert kept[:, 0].min() > 10, "what touches the block stays contact"


def test_encoding_does_not_depend_on_label_values_or_on_the_empty_space_around() -> None:
    fragments = lumps(4)
    renamed = np.where(fragments > 0, 1000 - fragments, 0)
    padded = np.pad(fragments, 6)

    expected = encode(fragments, MM)

    np.testing.assert_array_equal(encode(renamed, MM), expected)
    np.testing.assert_array_equal(encode(padded, MM)[6:-6, 6:-6, 6:-6], expected)


def test_nothing_in_nothing_out_and_the_input_untouched() -> None:
    nothing = np.zeros((4, 4, 4), np.int32)
    nothing.flags.writeable = False

    assert not encode(nothing, MM).any()
    assert not contact_mask(nothing).any()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rule": "erode"}, "rule"),
        ({"contact_window_voxels": 6}, "contact_window_voxels"),
        ({"shift_window_voxels": 1}, "shift_window_voxels"),
        ({"boundary_share": 1.0}, "boundary_share"),
        ({"max_boundary_mm": 0.0}, "max_boundary_mm"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BicmConfig(**setting)


def test_what_was_encoded_is_decoded() -> None:
    fragments = np.zeros((24, 24, 50), np.uint8)
    fragments[2:22, 2:22, 2:30], fragments[2:22, 2:22, 30:48] = 1, 2
    classes = encode(fragments, (1.0, 0.9, 0.9))
    voxels = np.stack([classes == c for c in range(4)]).astype(np.float16)
    geometry = Geometry(shape=fragments.shape, spacing_mm=(1.0, 0.9, 0.9))
    fragment_map = FragmentMap(voxels=voxels, geometry=geometry, channels=bicm.CHANNELS)

    actual = decode(fragment_map, fragments > 0, RecoveryConfig())

    np.testing.assert_array_equal(actual.labels, fragments)
