"""`fracseg segment`: one CT in, one result folder out; or a list of them, one folder each."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from FractureSegmentationLib import protocol
from FractureSegmentationLib.cli.options import SegmentOptions, with_settings
from FractureSegmentationLib.cli.runner import Report, RunFrame, TerminalBar, run_stoppable
from FractureSegmentationLib.config import BoneFinder, finder_named
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.progress import CancelToken, Event, Progress

if TYPE_CHECKING:
    from FractureSegmentationLib.pipeline import CaseRequest
    from FractureSegmentationLib.pipeline.result import SegmentResult
    from FractureSegmentationLib.volume import LabelVolume


@click.command()
@click.argument("places", metavar="CT OUT", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--list",
    "list_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Segment every CT of a list into a folder of its own below OUT: "
    "fracseg segment --list FILE OUT.",
)
@with_settings
def segment(places: tuple[Path, ...], list_file: Path | None, options: SegmentOptions) -> int:
    """Segment the bone fragments of CT into the folder OUT.

    CT is a DICOM folder, a file of a DICOM series, or a NIfTI, NRRD or MetaImage file. OUT is
    written whole or not at all. Not for diagnosis: review every fragment.

    A list holds one CT per line, or is a CSV file with the column ct and, if wanted, name, series
    and bones. OUT then gets a folder per case, summary.csv and summary.json. Cases that are done
    are kept, so the same command goes on where it was stopped; one that fails does not stop the
    rest, and the exit status is 5 then.
    """
    if list_file is not None:
        if len(places) != 1:
            raise click.UsageError("--list FILE takes one more place, the folder OUT.")
        from FractureSegmentationLib.cli.segment_list import segment_list

        return segment_list(list_file, places[0], options)
    if len(places) != 2:
        raise click.UsageError("Give two places, CT and OUT.")
    return _segment_one(*places, options)


def _segment_one(ct: Path, out: Path, options: SegmentOptions) -> int:
    bar = TerminalBar()
    listeners: dict[str, Callable[[Event], None]] = {
        "auto": bar.on_event,
        "json": lambda event: protocol.send(protocol.progress_event(event)),
        "none": lambda _: None,
    }
    begin = time.monotonic()

    def work(token: CancelToken) -> Report:
        from FractureSegmentationLib.pipeline import segment_case

        progress = Progress(listener=listeners[options.progress], token=token)
        result = segment_case(_request(ct, out, options), progress)
        seconds = time.monotonic() - begin
        if options.progress == "json":
            return lambda: protocol.send(protocol.result_event(result.summary()))
        return lambda: _report(result, out, seconds)

    frame = RunFrame(
        style=options.progress,
        out=out,
        parent_pipe=options.parent_pipe,
        at_end=bar.finish if options.progress == "auto" else lambda: None,
    )
    return run_stoppable(work, frame)


def _request(ct: Path, out: Path, options: SegmentOptions) -> CaseRequest:
    from FractureSegmentationLib.pipeline import CaseRequest

    how, bone_files = _bones(options.bones)
    return CaseRequest(
        ct=ct,
        out=out,
        series=options.series,
        overwrite=options.overwrite,
        writes_meshes=not options.no_meshes,
        other_inputs=bone_files,
        settings=options.settings(how),
    )


def _bones(text: str) -> tuple[BoneFinder | LabelVolume, tuple[Path, ...]]:
    """How the bones are detected, and the files read for it."""
    finder = finder_named(text)
    if finder is not None:
        return finder, ()
    if not Path(text).exists():
        raise InputError(
            "--bones names neither a label file that is there nor a way to find bones.",
            f"Check the name of the file, or give one of {', '.join(get_args(BoneFinder))}.",
        )
    from FractureSegmentationLib.results.named_labels import read_bone_labels

    return read_bone_labels(Path(text)), (Path(text),)


def _report(result: SegmentResult, out: Path, seconds: float) -> None:
    for finding in result.findings:
        count = len(finding.fragments)
        what = "one piece found" if count == 1 else f"{count} fragments"
        suspicious = len(finding.possible_fractures)
        more = f", {suspicious} possible unseparated fractures" if suspicious else ""
        click.echo(f"{finding.bone.name}: {what}{more}")
    click.echo(f"Written to {out} in {seconds:.0f} s. Not for diagnosis: review every fragment.")
