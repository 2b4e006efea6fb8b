"""`fracseg export`: the fragments of a segmentation in the format of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from FractureSegmentationLib.anatomy.numbering import NUMBERINGS
from FractureSegmentationLib.cli.runner import Report, RunFrame, TerminalBar, run_stoppable
from FractureSegmentationLib.progress import CancelToken, Progress

if TYPE_CHECKING:
    from FractureSegmentationLib.export.export import ExportResult

FORMATS = ("stl", "obj", "ply", "glb", "nifti", "seg.nrrd", "dicom-seg")
_NO_NUMBERING = "none"


def _format(ctx: click.Context, option: click.Parameter, name: str) -> str:
    """A format that is written."""
    if name in FORMATS:
        return name
    raise click.BadParameter(f"{name!r} is none of {', '.join(FORMATS)}.", ctx, option)


@click.command()
@click.argument("segmentation", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--format", "format_name", metavar="|".join(FORMATS), callback=_format, required=True)
@click.option(
    "--poses",
    metavar="PLAN",
    type=click.Path(path_type=Path),
    help="JSON file with a pose per fragment, which it is moved by.",
)
@click.option(
    "--numbering",
    type=click.Choice([*NUMBERINGS, _NO_NUMBERING]),
    help="What the labels of an image mean that is no result of fracseg.",
)
@click.option(
    "--ct",
    metavar="DICOM",
    type=click.Path(path_type=Path),
    help="For dicom-seg: the DICOM folder that the segmentation was made from.",
)
@click.option("--series", metavar="UID|N", help="The series there that is meant.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it is an export of fracseg.")
def export(
    segmentation: Path,
    out: Path,
    format_name: str,
    poses: Path | None,
    numbering: str | None,
    ct: Path | None,
    series: str | None,
    overwrite: bool,
) -> int:
    """Write the fragments of SEGMENTATION into the folder OUT.

    SEGMENTATION is a result folder of `fracseg segment`, a .seg.nrrd file, or a label image (NIfTI,
    NRRD, MetaImage). Surfaces are in LPS and mm, glb in metres with y up. A DICOM SEG carries the
    patient's identity, as its CT does; no other format does. OUT is written whole or not at all.
    Not for diagnosis: review every fragment.
    """
    bar = TerminalBar()

    def work(token: CancelToken) -> Report:
        from FractureSegmentationLib.export.export import ExportRequest, export_segmentation

        request = ExportRequest(
            segmentation=segmentation,
            out=out,
            format=format_name,
            numbering=numbering,
            plan=poses,
            overwrite=overwrite,
            ct=ct,
            series=series,
        )
        result = export_segmentation(request, Progress(listener=bar.on_event, token=token))
        return lambda: _report(result, out)

    frame = RunFrame(style="auto", out=out, parent_pipe=False, at_end=bar.finish)
    return run_stoppable(work, frame)


def _report(result: ExportResult, out: Path) -> None:
    fragments = "1 fragment" if result.fragment_count == 1 else f"{result.fragment_count} fragments"
    moved = f", {len(result.moved)} moved by the plan" if result.moved else ""
    click.echo(f"{fragments}{moved}: {', '.join(result.files)}")
    click.echo(f"Written to {out}. Not for diagnosis: review every fragment.")
