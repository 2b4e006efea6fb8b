"""`fracseg export` on one screen: read, move by the plan, write in the requested format.

The folder is there whole or not at all. An export may replace an export, never a result: that one
holds more than can be made from it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FractureSegmentationLib.errors import InputError, NoBoneError
from FractureSegmentationLib.export.dicom_seg import require_highdicom
from FractureSegmentationLib.export.formats import DICOM_SEG, FORMATS, Job, Written
from FractureSegmentationLib.export.poses import moving_poses
from FractureSegmentationLib.io.folder import (
    FOREIGN_FILE,
    REPORT_NAME,
    SCHEMA_KEY,
    SCHEMA_PREFIX,
    staged_folder,
)
from FractureSegmentationLib.io.json_object import read_json_object
from FractureSegmentationLib.planning.plan_file import read_plan
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.results.layers import LayeredLabels, is_reviewed
from FractureSegmentationLib.results.report import write_report
from FractureSegmentationLib.results.source import files_of, read_source

FILE_ENDINGS = (".stl", ".obj", ".mtl", ".ply", ".glb", ".nii", ".nii.gz", ".nrrd")
SCHEMA = f"{SCHEMA_PREFIX}-export/1"
FILES_KEY = "files"
"""Key of the report under which an export lists its files, itself left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What is exported, and how.

    Attributes:
        segmentation: a result folder, its label image, a `.seg.nrrd`, or another label image.
        out: the folder to make.
        format: one of `FORMATS`.
        numbering: what the labels of an image mean, or `none`; None takes it from the report.
        plan: a file with poses; None leaves every fragment where it is.
        overwrite: replace `out` if it is an export of ours.
        ct: DICOM folder or file that the segmentation was made from; for DICOM SEG only.
        series: number or UID of the series there that is meant; None chooses it.

    Raises:
        ValueError: there is no such format.
    """

    segmentation: Path
    out: Path
    format: str
    numbering: str | None = None
    plan: Path | None = None
    overwrite: bool = False
    ct: Path | None = None
    series: str | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"formats are {', '.join(FORMATS)}, got {self.format!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What was written.

    Attributes:
        files: names of the files in the folder, the report left out.
        fragment_count: fragments in them.
        moved: ids of the fragments that the plan moved.
    """

    files: tuple[str, ...]
    fragment_count: int
    moved: tuple[str, ...]


def export_segmentation(request: ExportRequest, progress: Progress | None = None) -> ExportResult:
    """Write a segmentation in another format; the folder is there whole or not at all.

    Raises:
        InputError: the segmentation or the plan cannot be used, or they do not fit together.
        OutputExistsError: the folder may not be made or replaced.
        NoBoneError: the segmentation holds no fragment.
        EnvironmentProblemError: something could not be written.
        RunCancelledError: the caller asked to stop.
    """
    progress = progress or Progress()
    given = [path for path in (request.plan, request.ct) if path is not None]
    inputs = [*files_of(request.segmentation), *given]
    _refuse_file_name(request.out)
    _check_dicom(request)
    with staged_export(request.out, overwrite=request.overwrite, inputs=inputs) as folder:
        progress.enter("read", 0.0, 0.2)
        poses = read_plan(request.plan) if request.plan else {}
        source = read_source(request.segmentation, request.numbering)
        for warning in source.warnings:
            progress.warn(warning)
        moving = moving_poses(poses, [one.segment.id for one in source.labels.segments])
        _report_empty(source.labels, progress)
        progress.enter("export", 0.2, 1.0)
        job = Job(
            source=source,
            poses=moving,
            folder=folder,
            progress=progress,
            ct=request.ct,
            series=request.series,
        )
        written = FORMATS[request.format](job)
        progress.report(1.0)
        write_report(folder, _report(request.format, job, written), schema=SCHEMA)
    return ExportResult(
        files=tuple(_file_names(written)),
        fragment_count=len(source.labels.filled()),
        moved=tuple(moving),
    )


def staged_export(
    out: Path, *, overwrite: bool, inputs: Sequence[Path]
) -> AbstractContextManager[Path]:
    """Give a private temporary folder that becomes `out` when the block ends without an error.

    Args:
        out: the folder to make; missing parents are made too.
        overwrite: replace `out` if it is an export of ours without any foreign file, or empty.
        inputs: what is read; `out` may not be one of it, hold it, or lie inside it.

    Returns:
        Gives the folder to write into (mode 0700), on the same disk as `out`.

    Raises:
        OutputExistsError: `out` may not be made or replaced.
        EnvironmentProblemError: the disk is full, read-only, or fails otherwise.
    """
    return staged_folder(
        out, overwrite=overwrite, inputs=inputs, reason_to_keep=reason_to_keep_export
    )


def reason_to_keep_export(folder: Path) -> str:
    """Why `folder` is not a plain export of ours; empty if it is one, or is empty."""
    present = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    if not present:
        return ""
    listed = _listed_files(folder / REPORT_NAME)
    if listed is None:
        return "it is no export of FractureSegmentation"
    own = {*listed, REPORT_NAME}
    if any(path.is_symlink() or not path.is_file() or n not in own for n, path in present.items()):
        return FOREIGN_FILE
    return ""


def _refuse_file_name(out: Path) -> None:
    if out.name.lower().endswith(FILE_ENDINGS) and not out.is_dir():
        raise InputError(
            "The output is a folder, but its name ends like that of a file.",
            "Give the name of a folder; the files in it get their names by themselves.",
        )


def _check_dicom(request: ExportRequest) -> None:
    """Refuse what cannot become a DICOM SEG before anything is read."""
    if request.format != DICOM_SEG:
        if request.ct is not None or request.series is not None:
            raise InputError(
                "Only a DICOM SEG refers to the CT.",
                f"Leave out --ct and --series, or export --format {DICOM_SEG}.",
            )
        return
    require_highdicom()
    if request.ct is None:
        raise InputError(
            "A DICOM SEG lies on the DICOM images that the segmentation was made from.",
            "Name their folder with --ct.",
        )
    if request.plan is not None:
        raise InputError(
            "A DICOM SEG shows the fragments where the CT shows them, not where a plan moves them.",
            "Leave out --poses, or export seg.nrrd or surfaces.",
        )


def _report_empty(labels: LayeredLabels, progress: Progress) -> None:
    """Say which segments have no voxels, and refuse if none has any."""
    filled = labels.filled()
    if not filled:
        raise NoBoneError(
            "The segmentation holds no fragment.", "Check that it is the file you meant."
        )
    for one in labels.segments:
        if one not in filled:
            progress.warn(f"{one.segment.name} is empty.")


def _report(format_name: str, job: Job, written: Sequence[Written]) -> dict[str, Any]:
    is_glb, numbering = format_name == "glb", job.source.numbering
    return {
        "reviewed": is_reviewed(job.source.labels),
        "format": format_name,
        "space": "glTF: x = Left, y = Superior, z = Anterior" if is_glb else "LPS",
        "unit": "m" if is_glb else "mm",
        "numbering": numbering.name if numbering is not None else None,
        FILES_KEY: _file_names(written),
        "fragments": [
            {
                "id": one.segment.id,
                "name": one.segment.name,
                "label": one.segment.label_value,
                "files": list(one.files),
                "is_moved": one.segment.id in job.poses,
            }
            for one in written
        ],
        "warnings": list(job.progress.warnings),
    }


def _file_names(written: Sequence[Written]) -> list[str]:
    return list(dict.fromkeys(name for one in written for name in one.files))


def _listed_files(report_path: Path) -> list[str] | None:
    """The files that an export's report lists; None if it is no report of an export."""
    report = read_json_object(report_path)
    if report is None or report.get(SCHEMA_KEY) != SCHEMA:
        return None
    files = report.get(FILES_KEY)
    return [str(name) for name in files] if isinstance(files, list) else None
