"""`fracseg info`: what is at a path, and whether it can be segmented, without segmenting it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.inference.engine import installed_engines
from FractureSegmentationLib.io.survey import survey
from FractureSegmentationLib.methods.catalogue import METHODS
from FractureSegmentationLib.results.report import geometry_entry

if TYPE_CHECKING:
    from FractureSegmentationLib.geometry import Geometry
    from FractureSegmentationLib.io.read import CtInput
    from FractureSegmentationLib.io.survey import SeriesFinding, Survey


@click.command()
@click.argument("ct", required=False, type=click.Path(path_type=Path))
@click.option("--series", metavar="UID|N", help="Which series, if a folder holds several.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def info(ct: Path | None, series: str | None, as_json: bool) -> None:
    """Say what CT holds and whether it can be segmented; without CT, which engines are there.

    Of a DICOM folder every series is reported: what it is, its size, spacing and HU range, what is
    wrong with it, and which one `fracseg segment` would take. The exit status is 0 if there is a
    usable CT, else 2.
    """
    if ct is None:
        click.echo(json.dumps({"engines": _engine_entries()}, indent=1) if as_json else _engines())
        return
    result = survey(ct, series=series)
    if as_json:
        click.echo(json.dumps(_entries(result), indent=1))
    else:
        for name, text in _lines(result):
            click.echo(f"{name + ':':<11}{text}" if name else f"{'':<11}{text}")
    if result.refusal is not None:
        raise result.refusal


def _lines(result: Survey) -> Iterator[tuple[str, str]]:
    """The report in words: a heading (or none, if it goes on) and a text."""
    yield "Usable", "yes" if result.ct is not None else "no"
    for one in result.series:
        yield f"Series {one.number}", one.contents
        yield "", _verdict(one)
        if one.hu_range is not None and one.geometry is not None:
            low, high = one.hu_range
            apart_mm = one.geometry.spacing_mm[0]
            yield "", f"slices {apart_mm:.2f} mm apart, {low:.0f} to {high:.0f} HU"
        if not one.is_taken:
            for warning in one.warnings:
                yield "", f"Warning: {warning}"
    if result.ct is not None:
        yield from _ct_lines(result.ct)


def _verdict(one: SeriesFinding) -> str:
    if one.problems:
        return f"cannot be used: {'; '.join(one.problems)}"
    return "usable; segment takes this one" if one.is_taken else "usable"


def _ct_lines(ct: CtInput) -> Iterator[tuple[str, str]]:
    k, j, i = ct.volume.geometry.shape
    k_mm, j_mm, i_mm = ct.volume.geometry.spacing_mm
    hu = ct.volume.voxels
    yield "Kind", ct.kind
    yield "Voxels", f"{i} x {j} x {k} (columns x rows x slices)"
    yield "Spacing", f"{i_mm:.3f} x {j_mm:.3f} x {k_mm:.3f} mm"
    yield "Axes", f"{_axes(ct.volume.geometry)} (columns, rows, slices run towards)"
    yield "HU", f"{hu.min():.0f} to {hu.max():.0f}"
    if ct.is_already_masked:
        yield "Content", "bone only, everything else is 0 HU"
    yield "Looks for", ", ".join(_bones())
    for warning in ct.warnings:
        yield "Warning", warning


def _engines() -> str:
    """Engines and their versions, the one that auto tries first at the front."""
    return "Engines:   " + (
        ", ".join(f"{one.name} {one.version}" for one in installed_engines()) or "none"
    )


def _engine_entries() -> list[dict[str, str]]:
    return [asdict(one) for one in installed_engines()]


def _entries(result: Survey) -> dict[str, Any]:
    entries: dict[str, Any] = {"usable": result.ct is not None}
    if result.refusal is not None:
        entries["problem"] = result.refusal.message
        entries["remedy"] = result.refusal.remedy
    if result.ct is not None:
        entries |= _ct_entries(result.ct)
    entries["series"] = [_series_entry(one) for one in result.series]
    return entries


def _ct_entries(ct: CtInput) -> dict[str, Any]:
    hu = ct.volume.voxels
    return {
        "kind": ct.kind,
        **geometry_entry(ct.volume.geometry),
        "axes": _axes(ct.volume.geometry),
        "hu_min": float(hu.min()),
        "hu_max": float(hu.max()),
        "is_already_masked": ct.is_already_masked,
        "bones": _bones(),
        "warnings": list(ct.warnings),
    }


def _series_entry(one: SeriesFinding) -> dict[str, Any]:
    return {
        "number": one.number,
        "contents": one.contents,
        "usable": not one.problems,
        "taken": one.is_taken,
        "geometry": None if one.geometry is None else geometry_entry(one.geometry),
        "hu_range": None if one.hu_range is None else list(one.hu_range),
        "problems": list(one.problems),
        "warnings": list(one.warnings),
    }


def _bones() -> list[str]:
    return [bone_named(slug).name.lower() for slug in METHODS[0].bones]


def _axes(geometry: Geometry) -> str:
    """Where columns, rows and slices run, each by the nearest direction of the patient."""
    names = (("Right", "Left"), ("Anterior", "Posterior"), ("Inferior", "Superior"))
    words = []
    for row in reversed(geometry.direction):
        axis = max(range(3), key=lambda n: abs(row[n]))
        words.append(names[axis][int(row[axis] > 0)])
    return ", ".join(words)
