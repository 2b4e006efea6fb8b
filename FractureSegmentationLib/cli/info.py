"""`fracseg info`: what a CT holds and what is wrong with it, without segmenting it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.backends.catalogue import BACKENDS
from FractureSegmentationLib.io.read import read_ct
from FractureSegmentationLib.io.report import geometry_entry

if TYPE_CHECKING:
    from FractureSegmentationLib.io.read import CtInput


@click.command()
@click.argument("ct", type=click.Path(path_type=Path))
@click.option("--series", metavar="UID|N", help="Which series, if a folder holds several.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def info(ct: Path, series: str | None, as_json: bool) -> None:
    """Say what CT holds: geometry, HU range, problems, and the bones that would be looked for."""
    entries = _describe(read_ct(ct, series=series))
    if as_json:
        click.echo(json.dumps(entries, indent=1))
        return
    shape, spacing = entries["shape_kji"], entries["spacing_kji_mm"]
    click.echo(f"Kind:      {entries['kind']}")
    click.echo(f"Voxels:    {shape[2]} x {shape[1]} x {shape[0]} (columns x rows x slices)")
    click.echo(f"Spacing:   {spacing[2]:.3f} x {spacing[1]:.3f} x {spacing[0]:.3f} mm")
    click.echo(f"Axes:      {entries['axes']} (columns, rows, slices run towards)")
    click.echo(f"HU:        {entries['hu_min']:.0f} to {entries['hu_max']:.0f}")
    if entries["is_already_masked"]:
        click.echo("Content:   bone only, everything else is 0 HU")
    click.echo(f"Looks for: {', '.join(entries['bones'])}")
    for warning in entries["warnings"]:
        click.echo(f"Warning:   {warning}")


def _describe(ct: CtInput) -> dict[str, Any]:
    hu = ct.volume.voxels
    return {
        "kind": ct.kind,
        **geometry_entry(ct.volume.geometry),
        "axes": _axes(ct),
        "hu_min": float(hu.min()),
        "hu_max": float(hu.max()),
        "is_already_masked": ct.is_already_masked,
        "bones": [bone_named(slug).name.lower() for slug in BACKENDS[0].bones],
        "warnings": list(ct.warnings),
    }


def _axes(ct: CtInput) -> str:
    """Where columns, rows and slices run, each by the nearest direction of the patient."""
    names = (("Right", "Left"), ("Anterior", "Posterior"), ("Inferior", "Superior"))
    words = []
    for row in reversed(ct.volume.geometry.direction):
        axis = max(range(3), key=lambda n: abs(row[n]))
        words.append(names[axis][int(row[axis] > 0)])
    return ", ".join(words)
