"""`fracseg segment`: one CT in, one result folder out."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.numbering import NUMBERINGS
from FractureSegmentationLib.backends.catalogue import BACKENDS
from FractureSegmentationLib.cli import protocol
from FractureSegmentationLib.cli.bar import TerminalBar
from FractureSegmentationLib.cli.main import DEBUG_REMEDY, unexpected_message
from FractureSegmentationLib.cli.stop import Stopper, stopped_by_signals, watch_stream
from FractureSegmentationLib.config import BoneFinder, SegmentSettings
from FractureSegmentationLib.errors import FracSegError
from FractureSegmentationLib.progress import CancelToken, Event, Progress

if TYPE_CHECKING:
    from FractureSegmentationLib.pipeline import CaseRequest
    from FractureSegmentationLib.pipeline_result import SegmentResult
    from FractureSegmentationLib.volume import LabelVolume


def _slugs(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...]:
    """`left_hip,sacrum` as slugs that exist."""
    slugs = tuple(word.strip() for word in (text or "").split(",") if word.strip())
    try:
        for slug in slugs:
            bone_named(slug)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, option) from error
    return slugs


@click.command()
@click.argument("ct", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--series", metavar="UID|N", help="Which series, if a folder holds several.")
@click.option(
    "--bones",
    metavar="auto|threshold|totalsegmentator|PATH",
    default="auto",
    show_default=True,
    help="How the bones are found, or a label file with 1 sacrum, 2 left hip, 3 right hip, "
    "4 left femur, 5 right femur.",
)
@click.option("--only", callback=_slugs, metavar="left_hip,...", help="Segment these bones only.")
@click.option(
    "--method",
    type=click.Choice([backend.name for backend in BACKENDS]),
    default=BACKENDS[0].name,
    show_default=True,
)
@click.option("--model", type=click.Path(path_type=Path), help="Folder of the fragment model.")
@click.option(
    "--bones-model",
    type=click.Path(path_type=Path),
    help="Folder with bones-coarse and bones-fine.",
)
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]|mps")
@click.option(
    "--numbering", type=click.Choice(list(NUMBERINGS)), default="fracseg", show_default=True
)
@click.option("--save-map", is_flag=True, help="Write the predicted maps too.")
@click.option("--no-meshes", is_flag=True, help="Write no STL files.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it is a result of fracseg.")
@click.option(
    "--progress", type=click.Choice(["auto", "json", "none"]), default="auto", show_default=True
)
@click.option("--parent-pipe", is_flag=True, help="Stop when stdin ends.")
def segment(
    ct: Path,
    out: Path,
    series: str | None,
    bones: str,
    only: tuple[str, ...],
    method: str,
    model: Path | None,
    bones_model: Path | None,
    device: str,
    numbering: str,
    save_map: bool,
    no_meshes: bool,
    overwrite: bool,
    progress: str,
    parent_pipe: bool,
) -> int:
    """Segment the bone fragments of CT into the folder OUT.

    CT is a DICOM folder, a file of a DICOM series, or a NIfTI, NRRD or MetaImage file. OUT is
    written whole or not at all. Not for diagnosis: review every fragment.
    """

    def make_request() -> CaseRequest:
        from FractureSegmentationLib.pipeline import CaseRequest

        how, bone_files = _bones(bones)
        return CaseRequest(
            ct=ct,
            out=out,
            series=series,
            overwrite=overwrite,
            writes_meshes=not no_meshes,
            other_inputs=bone_files,
            settings=SegmentSettings(
                bones=how,
                only=only,
                method=method,
                model=model,
                bones_model=bones_model,
                device=device,
                numbering=NUMBERINGS[numbering],
                keeps_maps=save_map,
            ),
        )

    return _run(make_request, out, progress, parent_pipe=parent_pipe)


def _bones(text: str) -> tuple[BoneFinder | LabelVolume, tuple[Path, ...]]:
    """How the bones are found, and the files read for it."""
    for finder in get_args(BoneFinder):
        if text == finder:
            return finder, ()
    from FractureSegmentationLib.io.read import read_labels

    return read_labels(Path(text)), (Path(text),)


def _run(
    make_request: Callable[[], CaseRequest], out: Path, style: str, *, parent_pipe: bool
) -> int:
    """Run one case under a stopper and tell how it went; returns the exit status."""
    bar = TerminalBar()
    listeners: dict[str, Callable[[Event], None]] = {
        "auto": bar.on_event,
        "json": lambda event: protocol.send(protocol.progress_event(event)),
        "none": lambda _: None,
    }
    if style == "json":
        protocol.send(protocol.started_event())
    token = CancelToken()
    stopper = Stopper(token, out, _leaver(style))
    if style == "json" or parent_pipe:
        watch_stream(stopper, ends_run=parent_pipe)
    begin = time.monotonic()
    try:
        with stopped_by_signals(stopper):
            from FractureSegmentationLib.pipeline import segment_case

            result = segment_case(make_request(), Progress(listener=listeners[style], token=token))
    except FracSegError as error:
        if style != "json":
            raise
        protocol.send(protocol.error_event(error))
        return error.exit_status
    except Exception as error:
        if style != "json" or os.environ.get("FRACSEG_DEBUG"):
            raise
        bug = FracSegError(unexpected_message(error), DEBUG_REMEDY)
        protocol.send(protocol.error_event(bug))
        return bug.exit_status
    finally:
        stopper.run_is_over()
        if style == "auto":
            bar.finish()
    if style == "json":
        protocol.send(protocol.result_event(result))
    else:
        _tell(result, out, time.monotonic() - begin)
    return 0


def _leaver(style: str) -> Callable[[int], None]:
    """Ends the process from another thread, after the last word of the protocol."""

    def leave(status: int) -> None:
        from FractureSegmentationLib.errors import RunCancelledError

        if style == "json":
            error = RunCancelledError("The run was cancelled.", "Nothing was written.")
            protocol.send(protocol.error_event(error))
        else:
            sys.stderr.write("\nCancelled.\n")
            sys.stderr.flush()
        os._exit(status)

    return leave


def _tell(result: SegmentResult, out: Path, seconds: float) -> None:
    for finding in result.findings:
        count = len(finding.fragments)
        what = "one piece found" if count == 1 else f"{count} fragments"
        suspicious = len(finding.possible_fractures)
        more = f", {suspicious} possible unseparated fractures" if suspicious else ""
        click.echo(f"{finding.bone.name}: {what}{more}")
    click.echo(f"Written to {out} in {seconds:.0f} s. Not for diagnosis: review every fragment.")
