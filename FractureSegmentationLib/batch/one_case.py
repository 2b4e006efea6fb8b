"""One case of many: kept if its inputs and settings are unchanged (one hash), else segmented.

`--list` and the cluster call the same function, so both give the same results.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from FractureSegmentationLib import __version__
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.errors import (
    FracSegError,
    InputError,
    OutputExistsError,
    RunCancelledError,
    as_problem,
)
from FractureSegmentationLib.io.folder import FRAGMENTS_NAME
from FractureSegmentationLib.io.read import readable
from FractureSegmentationLib.pipeline import CaseRequest, segment_case
from FractureSegmentationLib.pipeline.models import ModelCache, Weights, weights_of
from FractureSegmentationLib.progress import CancelToken, Progress
from FractureSegmentationLib.results.named_labels import read_bone_labels
from FractureSegmentationLib.results.report import read_report
from FractureSegmentationLib.volume import LabelVolume

Clock = Callable[[], float]
Status = Literal["waiting", "done", "failed"]

_NEEDED = (FRAGMENTS_NAME, "fragments.seg.nrrd", "bones.nii.gz", "contact.nrrd")


_WHOLE_FILES = (".nii", ".nii.gz", ".nrrd", ".mha")
"""Endings of files that hold everything; any other file is read together with its neighbours."""
_PIECE_BYTES = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseJob:
    """One case to be done; small enough to be sent to another machine.

    Attributes:
        name: of the case, for people and for its folder.
        line: where it stands in the list.
        ct: what to read.
        out: its result folder.
        settings: how to segment; `bones` names a way.
        bones_file: a label file that holds the bones; None if they are to be detected.
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
    model_cache: ModelCache | None = None,
    clock: Clock = time.perf_counter,
) -> CaseRecord:
    """Do one case, unless its result is there already; a failure is recorded, not raised.

    Args:
        job: the case.
        progress: receives progress; may request a stop.
        model_cache: keeps the models for the next case.
        clock: the time in seconds.

    Returns:
        How it went.

    Raises:
        RunCancelledError: the caller asked to stop.
    """
    progress = progress or Progress()
    begin = clock()
    try:
        return _done(job, progress, model_cache, clock)
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


def _done(
    job: CaseJob, progress: Progress, model_cache: ModelCache | None, clock: Clock
) -> CaseRecord:
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
        settings = replace(job.settings, bones=read_bone_labels(job.bones_file))
        request = replace(request, settings=settings)
    sha256 = request_sha256(request, weights_of(request.settings), progress.token)
    request = replace(request, sha256=sha256)
    previous = _report_in(job.out)
    if previous.get("request_sha256") == sha256:
        if _is_whole(job.out):
            return _record_of(job, previous, sum(previous["seconds"].values()), is_kept=True)
        request = replace(request, overwrite=True)
    elif previous and not job.may_replace:
        raise OutputExistsError(
            "The folder of this case holds the result of another CT, or of other settings.",
            "Allow it to be replaced with --overwrite, or choose another output folder.",
        )
    segment_case(request, progress, clock, model_cache)
    return _record_of(job, read_report(job.out), clock() - begin, is_kept=False)


def _report_in(folder: Path) -> Mapping[str, Any]:
    """The report of a result folder; empty if there is none of ours."""
    try:
        return read_report(folder)
    except InputError:
        return {}


def _is_whole(folder: Path) -> bool:
    """Whether every file that a result always has is there and holds something."""
    return all((folder / name).is_file() and (folder / name).stat().st_size > 0 for name in _NEEDED)


def _record_of(
    job: CaseJob, report: Mapping[str, Any], seconds: float, *, is_kept: bool
) -> CaseRecord:
    return replace(
        waiting(job),
        status="done",
        is_kept=is_kept,
        fragment_count=sum(len(bone["fragments"]) for bone in report["bones"]),
        seconds=seconds,
        warnings=tuple(report["warnings"]),
    )


def request_sha256(request: CaseRequest, weights: Sequence[Weights], token: CancelToken) -> str:
    """A hash that is the same exactly when the same result is to be expected.

    It stands for the bytes of the CT and of other inputs, the settings, the version of this
    software and the weights. Names, places and dates of files do not enter it, so it holds after
    the data were moved, and it reveals nothing of them. Nor do device and precision: a list may be
    finished on another machine.

    Args:
        request: the case; every input exists.
        weights: that it would be segmented with.
        token: stops the reading.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: a file cannot be read.
        RunCancelledError: the caller asked to stop.
    """
    settings = request.settings
    identity = {
        "version": __version__,
        "weights": [{"name": one.name, "sha256": one.sha256} for one in weights],
        "inputs": [_content_sha256(path, token) for path in (request.ct, *request.other_inputs)],
        "series": request.series,
        "bones": "given" if isinstance(settings.bones, LabelVolume) else settings.bones,
        "totalsegmentator": _totalsegmentator(settings.bones == "totalsegmentator"),
        "only": sorted(settings.only),
        "method": settings.method,
        "numbering": settings.numbering.name,
        "recovery": asdict(settings.recovery) if settings.recovery else None,
        "keeps_maps": settings.keeps_maps,
        "writes_meshes": request.writes_meshes,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _totalsegmentator(is_used: bool) -> str:
    try:
        return importlib.metadata.version("TotalSegmentator") if is_used else ""
    except importlib.metadata.PackageNotFoundError:
        return ""


def _content_sha256(path: Path, token: CancelToken) -> str:
    """A hash of all bytes that belong to an input, whatever the files are called."""
    with readable():
        hashes = sorted(_file_sha256(file, token) for file in _files_of(path))
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _files_of(path: Path) -> Iterator[Path]:
    candidates: Iterator[Path]
    if path.is_dir():
        candidates = path.rglob("*")
    elif path.name.lower().endswith(_WHOLE_FILES):
        candidates = iter((path,))
    else:
        # One file of a DICOM series, or a header whose voxels lie in another file.
        candidates = path.parent.iterdir()
    return (file for file in candidates if file.is_file())


def _file_sha256(file: Path, token: CancelToken) -> str:
    hashed = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            token.raise_if_cancelled()
            hashed.update(piece)
    return hashed.hexdigest()
