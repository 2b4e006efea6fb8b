"""Counting parameters and operations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from FractureSegmentationLib.networks.config import PAPER, SMALL, UNet3DConfig
from FractureSegmentationLib.networks.cost import network_cost


def test_operations_of_a_tiny_u_net_by_hand() -> None:
    """Features (1, 1), one convolution per stage, 4^3 voxels, 2 operations per multiply-add.

    Encoder 27 * 64 + 27 * 8 products; up 8 * 8, join 2 * 27 * 64; head 64.
    """
    config = UNet3DConfig(
        in_channels=1, out_channels=1, features=(1, 1), convs_per_stage=1, decoder_convs=1
    )

    rows = {row.part: row for row in network_cost(config, 4)}

    assert rows["encoder"].flop == 2 * (27 * 64 + 27 * 8)
    assert rows["decoder"].flop == 2 * (8 * 8 + 2 * 27 * 64)
    assert rows["heads"].flop == 2 * 64
    assert rows["total"].flop == sum(rows[p].flop for p in ("encoder", "decoder", "heads"))
    # Kernels, and gain and offset of each normalisation; transposed and 1x1x1 kernels have a bias.
    assert rows["encoder"].parameters == 2 * (27 + 2)
    assert rows["decoder"].parameters == (8 + 1) + (2 * 27 + 2)


def test_small_stays_within_five_million_parameters() -> None:
    assert network_cost(SMALL, 32)[-1].parameters <= 5_000_000


def test_the_trauma_parts_cost_little_beside_the_u_net() -> None:
    full = network_cost(PAPER, 64)
    plain = network_cost(
        replace(
            PAPER,
            use_memory=False,
            use_contrastive=False,
            use_channel_attention=False,
            use_spatial_attention=False,
            use_fca=False,
        ),
        64,
    )

    assert full[-1].flop < 1.1 * plain[-1].flop


@pytest.mark.parametrize("config", [SMALL, PAPER])
def test_every_part_is_listed_and_the_parts_add_up(config: object) -> None:
    *rows, total = network_cost(config, 64)  # type: ignore[arg-type]

    assert [row.part for row in rows] == [
        "encoder",
        "memory",
        "channel attention",
        "spatial attention",
        "feature calibration",
        "decoder",
        "heads",
    ]
    assert 0.9 * total.flop < sum(row.flop for row in rows) <= total.flop
