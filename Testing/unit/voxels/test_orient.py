"""Turning grids: every voxel keeps its value and its place in the patient."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.geometry import CANONICAL_DIRECTION, Geometry
from FractureSegmentationLib.volume import Volume
from FractureSegmentationLib.voxels.orient import AxisOrder, canonical_order

ALL_ORDERS = [
    AxisOrder(axes=axes, reversed_axes=flips)
    for axes in permutations(range(3))
    for flips in product((False, True), repeat=3)
]


def a_volume(order: AxisOrder) -> Volume:
    """A 2 x 3 x 4 volume of numbers whose axes are those of an axial CT, turned by `order`."""
    straight = Volume(
        voxels=np.arange(24).reshape(2, 3, 4),
        geometry=Geometry(shape=(2, 3, 4), spacing_mm=(3.0, 1.0, 0.5), origin_lps_mm=(5, -7, 11)),
    )
    return order.volume(straight)


def test_a_volume_that_runs_down_and_right_is_turned_up_and_left() -> None:
    """k to Inferior and i to Right are reversed, j to Posterior stays."""
    geometry = Geometry(
        shape=(2, 3, 4),
        spacing_mm=(1.0, 1.0, 1.0),
        direction=((0, 0, -1), (0, 1, 0), (-1, 0, 0)),
    )
    order = canonical_order(geometry)

    assert order == AxisOrder(axes=(0, 1, 2), reversed_axes=(True, False, True))
    assert order.geometry(geometry).direction == CANONICAL_DIRECTION
    assert order.geometry(geometry).origin_lps_mm == (-3.0, 0.0, -1.0)


@pytest.mark.parametrize("order", ALL_ORDERS)
def test_every_turned_volume_comes_back_canonical(order: AxisOrder) -> None:
    turned = a_volume(order)

    back = canonical_order(turned.geometry).volume(turned)

    np.testing.assert_array_equal(back.voxels, np.arange(24).reshape(2, 3, 4))
    assert back.geometry.is_close_to(a_volume(ALL_ORDERS[0]).geometry, 1e-9)


@pytest.mark.parametrize("order", ALL_ORDERS)
def test_undo_reverses_apply_with_and_without_channels(order: AxisOrder) -> None:
    voxels = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(order.undo(order.apply(voxels)), voxels)
    np.testing.assert_array_equal(order.undo(order.apply(voxels[None])), voxels[None])


@given(angle=st.floats(-40.0, 40.0), which=st.integers(0, len(ALL_ORDERS) - 1))
def test_an_oblique_grid_is_left_less_than_45_degrees_off(angle: float, which: int) -> None:
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    tilted = np.array(CANONICAL_DIRECTION) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    geometry = Geometry(
        shape=(2, 3, 4),
        spacing_mm=(1.0, 2.0, 3.0),
        direction=tuple(tuple(row) for row in tilted.tolist()),
    )
    turned = ALL_ORDERS[which].geometry(geometry)

    straight = canonical_order(turned).geometry(turned)

    cosines = np.sum(np.array(straight.direction) * np.array(CANONICAL_DIRECTION), axis=1)
    assert cosines.min() > np.cos(np.radians(45.0))
