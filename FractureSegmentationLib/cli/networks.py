"""`fracseg networks`: how large the networks are and how much they compute."""

from __future__ import annotations

from typing import Final

import click

from FractureSegmentationLib.networks.config import (
    BONES_COARSE,
    BONES_FINE,
    PAPER,
    SMALL,
    TPCNetConfig,
    UNet3DConfig,
)

NETWORKS: Final[dict[str, TPCNetConfig | UNet3DConfig]] = {
    "small": SMALL,
    "paper": PAPER,
    "bones-coarse": BONES_COARSE,
    "bones-fine": BONES_FINE,
}


@click.command()
@click.option(
    "--patch",
    type=click.IntRange(min=64),
    default=64,
    show_default=True,
    help="Side of the cubic patch in voxels, a multiple of 32.",
)
def networks(patch: int) -> None:
    """Print parameters and operations of each network and of its parts.

    Operations are those of one patch at inference, a multiply-add counted as two.
    """
    if patch % 32:
        raise click.BadParameter("must be a multiple of 32", param_hint="--patch")
    from FractureSegmentationLib.networks.cost import network_cost

    for name, config in NETWORKS.items():
        click.echo(f"{name}: features {', '.join(str(width) for width in config.features)}")
        click.echo(f"  {'part':<22}{'parameters':>12}{'GFLOP':>10}")
        for row in network_cost(config, patch):
            click.echo(f"  {row.part:<22}{row.parameters:>12,}{row.flop / 1e9:>10.3f}")
