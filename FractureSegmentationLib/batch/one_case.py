"""One case of many: kept if it is done, else segmented; its outcome is a small record either way.

`--list` and the cluster call the same function, so both give the same results.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from FractureSegmentationLib.batch.fingerprint import request_sha256
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.errors import (
    FracSegError,
    InputError,
    OutputExistsError,
    RunCancelledError,
    as_problem,
)
from FractureSegmentationLib.io.folder import FRAGMENTS_NAME
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.pipeline import CaseRequest, segment_case
from FractureSegmentationLib.pipeline.models import ModelShelf, weights_of
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.results.report import read_report

Clock = Callable[[], float]
Status = Literal["waiting", "done", "failed"]

_NEEDED = (FRAGMENTS_NAME, "fragments.seg.nrrd", "bones.nii.gz", "contact.nrrd")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseJob:
    """One case to be done; small enough to be sent to another machine.

    Attributes:
        name: of the case, for people and for its folder.
        line: where it stands in the list.
        ct: what to read.
        out: its result folder.
        settings: how to segment; `bones` names a way.
        bones_file: a label file that holds the bones; None if they are to be found.
        series: number or UID of the series, where a folder holds several.
        may_replace: whether a result of other settings or another CT may be replaced.
        writes_meshes: whether surfaces are written as STL files.
    """

    name: str
    line: int
    ct: Path
    out: Path
    settings: SegmentSettings = field(default_factory=SegmentSettings)
    bones_file: Path | None = None
    series: str | None = None
    may_replace: bool = False
    writes_meshes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """How a case went; neither paths nor patient data.

    Attributes:
        name: of the case.
        line: where it stands in the list.
        status: waiting, done or failed.
        is_kept: whether an earlier run did it.
        fragment_count: fragments of all bones.
        seconds: wall time that it took, in an earlier run if it was kept.
        warnings: for the user to see.
        code: of the failure, as in the protocol; "" if there was none.
        error: the failure in one sentence.
        remedy: what to do about it.
    """

    name: str
    line: int
    status: Status = "waiting"
    is_kept: bool = False
    fragment_count: int | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    code: str = ""
    error: str = ""
    remedy: str = ""


def run_case(
    job: CaseJob,
    progress: Progress | None = None,
    shelf: ModelShelf | None = None,
    clock: Clock = time.perf_counter,
) -> CaseRecord:
    """Do one case, unless its result is there already; a failure is told, not raised.

    Args:
        job: the case.
        progress: told how far it is, and asked whether to stop.
        shelf: keeps the models for the next case.
        clock: tells the time in seconds.

    Returns:
        How it went.

    Raises:
        RunCancelledError: the caller asked to stop.
    """
    progress = progress or Progress()
    begin = clock()
    try:
        return _done(job, progress, shelf, clock)
    except RunCancelledError:
        raise
    except Exception as error:
        problem = as_problem(error)
        if problem is not error and os.environ.get("FRACSEG_DEBUG"):
            traceback.print_exc()
    return replace(
        failed(job, problem),
        seconds=clock() - begin,
        warnings=tuple(progress.warnings),
    )


def waiting(job: CaseJob) -> CaseRecord:
    """The record of a case that nobody has begun."""
    return CaseRecord(name=job.name, line=job.line)


def failed(job: CaseJob, problem: FracSegError) -> CaseRecord:
    """The record of a case that could not be done."""
    return replace(
        waiting(job),
        status="failed",
        code=problem.code,
        error=problem.message,
        remedy=problem.remedy,
    )


def _done(job: CaseJob, progress: Progress, shelf: ModelShelf | None, clock: Clock) -> CaseRecord:
    begin = clock()
    request = CaseRequest(
        ct=job.ct,
        out=job.out,
        settings=job.settings,
        series=job.series,
        overwrite=job.may_replace,
        writes_meshes=job.writes_meshes,
        other_inputs=(job.bones_file,) if job.bones_file else (),
    )
    if not job.ct.exists():
        raise InputError("The CT was not found.", "Check the name of the file or folder.")
    if job.bones_file:
        settings = replace(job.settings, bones=read_labels(job.bones_file))
        request = replace(request, settings=settings)
    sha256 = request_sha256(request, weights_of(request.settings), progress.token)
    request = replace(request, sha256=sha256)
    previous = _report_in(job.out)
    if previous.get("request_sha256") == sha256:
        if _is_whole(job.out):
            return _told(job, previous, sum(previous["seconds"].values()), is_kept=True)
        request = replace(request, overwrite=True)
    elif previous and not job.may_replace:
        raise OutputExistsError(
            "The folder of this case holds the result of another CT, or of other settings.",
            "Allow it to be replaced with --overwrite, or choose another output folder.",
        )
    segment_case(request, progress, clock, shelf)
    return _told(job, read_report(job.out), clock() - begin, is_kept=False)


def _report_in(folder: Path) -> Mapping[str, Any]:
    """The report of a result folder; empty if there is none of ours."""
    try:
        return read_report(folder)
    except InputError:
        return {}


def _is_whole(folder: Path) -> bool:
    """Whether every file that a result always has is there and holds something."""
    return all((folder / name).is_file() and (folder / name).stat().st_size > 0 for name in _NEEDED)


def _told(job: CaseJob, report: Mapping[str, Any], seconds: float, *, is_kept: bool) -> CaseRecord:
    return replace(
        waiting(job),
        status="done",
        is_kept=is_kept,
        fragment_count=sum(len(bone["fragments"]) for bone in report["bones"]),
        seconds=seconds,
        warnings=tuple(report["warnings"]),
    )
